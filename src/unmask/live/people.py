"""What is shown of each face: its moments of the last seconds, and when it appears, changes and leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from unmask.card import Card
from unmask.live.events import FaceEvent, FaceState, Watching
from unmask.live.looks import Seen, SeenFace
from unmask.live.rolling import Recent
from unmask.report import Box, Reason

GONE_AFTER = 2.0
"""Seconds unseen after which a face has left."""

RECENT_SECONDS = 10.0


@dataclass
class _Face:
    seen: SeenFace
    time: float
    recent: Recent = field(default_factory=lambda: Recent(RECENT_SECONDS))
    status: Watching | None = None
    drifted: bool = False


class Crowd:
    """The faces that are seen now.

    Args:
        card: of face.swap.
        least: clear moments that a face needs before anything is said of it.
    """

    def __init__(self, card: Card, least: int) -> None:
        self._card, self._least = card, least
        self._faces: dict[int, _Face] = {}
        self._time = 0.0

    def take(self, seen: Seen) -> list[FaceEvent]:
        """One look; what changed."""
        out = []
        self._time = seen.time
        for one in seen.faces:
            known = self._faces.setdefault(one.number, _Face(one, seen.time))
            known.seen, known.time = one, seen.time
            if one.score is not None:
                known.drifted = one.score.distance > self._card.parameters["drift_limit_small"]
                if not known.drifted:
                    known.recent.add(seen.time, one.score.score)
            out += self._changed(known, seen.time)
        return [*out, *self._left(seen.time)]

    def _changed(self, known: _Face, time: float) -> list[FaceEvent]:
        state = self._state(known, time)
        before, known.status = known.status, state.status
        if before == state.status:
            return []
        return [FaceEvent(time=round(time, 3), what="appeared" if before is None else "changed", face=state)]

    def _left(self, time: float) -> list[FaceEvent]:
        out = []
        for number in [n for n, f in self._faces.items() if time - f.time > GONE_AFTER]:
            face = self._faces.pop(number)
            out.append(FaceEvent(time=round(time, 3), what="left", face=self._state(face, time)))
        return out

    def states(self, time: float) -> tuple[FaceState, ...]:
        """The faces of the last looks, by number."""
        shown = (f for _, f in sorted(self._faces.items()) if self._time - f.time <= GONE_AFTER)
        return tuple(self._state(face, time) for face in shown)

    def _state(self, known: _Face, time: float) -> FaceState:
        values = known.recent.values(time)
        status, reason = self._status(known, values)
        x, y, w, h = known.seen.face.box
        judged = status in ("quiet", "raised")
        raw = float(np.median(values)) if judged else None
        calibration = self._card.calibration
        return FaceState(
            number=known.seen.number,
            box=Box(x=round(x, 1), y=round(y, 1), w=round(w, 1), h=round(h, 1)),
            size=round(known.seen.face.size, 1),
            status=status,
            reason=reason,
            moments=len(values),
            raw=None if raw is None else round(raw, 3),
            probability=round(calibration.probability(raw), 3) if calibration and raw is not None else None,
        )

    def _status(self, known: _Face, values: Sequence[float]) -> tuple[Watching, Reason]:
        if len(values) >= self._least:
            if float(np.median(values)) >= self._card.parameters["report_above_small"]:
                return "raised", Reason(code="live.signs", text="signs of blending in the last seconds")
            return "quiet", Reason(code="live.none", text="no clear sign")
        if known.seen.why is not None and not values:
            return "not_judged", known.seen.why
        if known.drifted and not values:
            return "not_judged", Reason(code="drift.unlike_training", text="unlike all faces that the network knows")
        text = f"{len(values)} of {self._least} clear moments"
        return "watching", Reason(code="live.watching", text=text)
