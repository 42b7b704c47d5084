"""The watcher: takes the newest frame a few times a second, asks the questions, and tells what it sees as events."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from unmask.detectors.face_swap.faces import SMALL
from unmask.errors import MediaError, UnmaskError, UsageError
from unmask.live.challenge.conductor import Conductor
from unmask.live.events import (
    AnyEvent,
    Dropped,
    Ended,
    Labelled,
    QuestionState,
    Reconnected,
    Recorded,
    Stalled,
    Started,
    State,
)
from unmask.live.inbox import Inbox, Look, Note, SoundInlet
from unmask.live.lane import Lane
from unmask.live.looks import Looker, Seen, upright, usable_scores
from unmask.live.options import QUESTIONS, LiveOptions
from unmask.live.people import Crowd
from unmask.live.reader import Reader
from unmask.live.record import Recorder
from unmask.live.reports import Reports
from unmask.live.settings import LiveSettings, read_settings
from unmask.live.slow import HEARD_SECONDS, Moment, ask_frame, ask_voice
from unmask.live.sources import Source, find_source, microphone
from unmask.live.verdicts import SIGNS, Verdicts, graver
from unmask.report import Label, Reason
from unmask.voices.speech import RATE

STATE_EVERY = 0.5
REPORT_WAIT = 600.0
_DELAYS = 3600
_NAP = 0.1


def watch(
    source: str | Source,
    options: LiveOptions | None = None,
    stop: threading.Event | None = None,
    settings: LiveSettings | None = None,
) -> Iterator[AnyEvent]:
    """Watch a source until it ends; the last event is `Ended`.

    Args:
        source: as for `unmask.live.sources.find_source`.
        options: what to ask, how long, what to record.
        stop: set it to end the watch from another thread.
        settings: ``live.toml``; the packaged one by default.

    Raises:
        UsageError: an address, a folder or a question that cannot be used.
        UnmaskError: the source cannot be opened; each cause has a code of its own (docs/errors.md).

    Example:
        >>> for event in watch("rtsp://camera.local/stream"):    # doctest: +SKIP
        ...     print(event.model_dump_json())
    """
    options = options or LiveOptions()
    for name in options.only:
        if name not in QUESTIONS:
            raise UsageError("usage.question", f"A stream cannot be asked {name!r}. There are: {', '.join(QUESTIONS)}.")
    found = source if isinstance(source, Source) else find_source(source)
    yield from _Watch(found, options, stop or threading.Event(), settings or read_settings()).run()


@dataclass
class _Delays:
    """How long frames waited for their state; bounded."""

    kept: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_DELAYS))
    worst: float = 0.0

    def add(self, now: float, delay: float) -> None:
        self.kept.append((now, delay))
        self.worst = max(self.worst, delay)

    def last(self) -> float:
        return self.kept[-1][1] if self.kept else 0.0

    def worst_since(self, since: float) -> float:
        return max((delay for at, delay in self.kept if at >= since), default=0.0)

    def median(self) -> float:
        return float(np.median([delay for _, delay in self.kept])) if self.kept else 0.0


class _Watch:
    """One watch from its beginning to its end."""

    def __init__(self, source: Source, options: LiveOptions, stop: threading.Event, settings: LiveSettings) -> None:
        self._source, self._options, self._stop, self._settings = source, options, stop, settings
        self._fast = options.fast and source.kind == "file"
        self._verdicts = Verdicts(settings.windows, [q for q in QUESTIONS if options.asks(q)])
        self._card = self._verdicts.card("face.swap")
        self._looker = Looker(settings, self._card, options.asks("face.swap"))
        self._crowd = Crowd(self._card, settings.windows.swap_least)
        self._lane: Lane[Moment] = Lane(inline=self._fast)
        self._recorder: Recorder | None = None
        if options.record is not None:
            window = max(settings.windows.swap_seconds, settings.windows.synthetic_seconds)
            self._recorder = Recorder(options.record, settings.record, window, options.record_limit_mb)
        self._reports = Reports()
        self._conductor = Conductor(options.challenges, options.seed, settings.challenge, self._card, options.mirrored)
        self._delays = _Delays()
        self._untold: deque[float] = deque(maxlen=256)
        self._label: Label = "inconclusive"
        self._gravest: Label = "inconclusive"
        self._verdict = self._verdicts.verdict()
        self._now = self._told = 0.0
        self._last_look = self._last_synthetic = -1e9
        self._heard = 0
        self._looked = 0
        self._seen: Seen | None = None
        self._stalled = False
        self._windows: dict[str, int] = {}
        self._not_asked: list[Reason] = []

    # The course of a watch -------------------------------------------------------------------------------

    def run(self) -> Iterator[AnyEvent]:
        """All events."""
        self._open_models()
        self._begun = time.monotonic()
        self._inbox = Inbox(waits=self._fast)
        self._readers = [Reader(self._source, self._inbox, self._options, self._settings, self._begun, self._recorder)]
        if self._options.sound is not None:
            inlet = SoundInlet(self._inbox)
            sound = microphone(self._options.sound)
            self._readers.append(Reader(sound, inlet, self._options, self._settings, self._begun, picture=False))
        for reader in self._readers:
            reader.start()
        try:
            yield from self._opened()
            yield from self._watching()
            yield from self._end()
        finally:
            self._close()

    def _open_models(self) -> None:
        """Networks are opened before the source, so that the first frames need not wait for them."""
        from unmask.detectors.face_swap.faces import MODEL as SWAP
        from unmask.faces.blaze import FULL, SHORT
        from unmask.faces.mesh import MODEL as MESH
        from unmask.models.runtime import open_model

        for name in (SHORT.name, FULL.name, MESH, *((SWAP,) if self._options.asks("face.swap") else ())):
            open_model(name)

    def _opened(self) -> Iterator[AnyEvent]:
        """Wait for the source; `Started`."""
        while True:
            notes = self._inbox.notes()
            first = next((n for n in notes if n.code == "opened"), None)
            if first is not None:
                break
            ended = self._inbox.ended
            if ended is not None:
                raise ended if isinstance(ended, UnmaskError) else MediaError("live.ended", "The source ended at once.")
            if self._stop.wait(0.02):
                return
        look = self._inbox.take(self._options.read_timeout)
        if look is None and isinstance(self._inbox.ended, UnmaskError):
            raise self._inbox.ended
        yield self._started(look)
        yield from self._notes(notes)
        if look is not None:
            yield from self._take(look)

    def _started(self, look: Look | None) -> Started:
        self._leave_out()
        frame = look.frame if look is not None else None
        return Started(
            time=0.0,
            source=self._source.shown,
            kind=self._source.kind,
            device=self._source.device,
            width=int(frame.width) if frame is not None else 0,
            height=int(frame.height) if frame is not None else 0,
            sound=self._inbox.has_sound,
            asked=tuple(self._verdicts.questions),
            not_asked=tuple(self._not_asked),
        )

    def _leave_out(self) -> None:
        """Questions that this stream does not allow."""
        if not self._inbox.has_picture:
            for name in ("face.swap", "image.synthetic"):
                self._drop(name, "live.no_picture", "The stream has no picture.")
        if not self._inbox.has_sound and self._options.sound is None:
            self._drop("voice.synthetic", "live.no_sound", "The stream has no sound.")

    def _drop(self, question: str, code: str, text: str) -> None:
        if question in self._verdicts.questions:
            self._verdicts.drop(question)
            self._not_asked.append(Reason(code=code, text=f"{question}: {text}"))

    def _watching(self) -> Iterator[AnyEvent]:
        while not self._stop.is_set() and not self._over():
            look = self._inbox.take(_NAP) if self._due() else None
            yield from self._notes(self._inbox.notes())
            if look is not None:
                yield from self._take(look)
            elif self._inbox.ended is not None:
                return
            if not self._fast:
                self._now = time.monotonic() - self._begun
            yield from self._tend()

    def _over(self) -> bool:
        return bool(self._options.seconds) and self._now >= self._options.seconds

    def _due(self) -> bool:
        """Wait until the next look is due; whether it is."""
        if self._fast:
            return True
        looking = self._settings.looking
        rate = looking.per_second_challenge if self._conductor.active else looking.per_second
        left = self._last_look + 1.0 / rate - time.monotonic()
        if left > 0:
            self._stop.wait(min(left, _NAP))
        return left <= _NAP

    def _take(self, look: Look) -> Iterator[AnyEvent]:
        """One look, and all that follows from it."""
        self._last_look = time.monotonic()
        if self._fast:
            self._now = look.time
        self._stalled = False
        if look.frame is not None:
            seen = self._looker.look(look.time, upright(look.frame), with_mesh=self._conductor.active)
            self._seen, self._looked = seen, self._looked + 1
            yield from self._judge(seen)
        self._hear(look.time)
        self._untold.append(look.arrival)
        if self._fast:
            yield from self._tend()

    def _judge(self, seen: Seen) -> Iterator[AnyEvent]:
        yield from self._crowd.take(seen)
        for number, score in usable_scores(seen.faces, self._card.parameters["drift_limit_small"]):
            self._verdicts.add("face.swap", seen.time, score, number, SMALL)
        self._explain(seen)
        self._ask_synthetic(seen)
        yield from self._conductor.feed(seen, self._inbox.sound if self._inbox.has_sound else None)

    def _explain(self, seen: Seen) -> None:
        reason = seen.reason or next((f.why for f in seen.faces if f.why is not None), None)
        if reason is not None:
            self._verdicts.explain("face.swap", reason)

    def _ask_synthetic(self, seen: Seen) -> None:
        """A frame now and then, where time allows: not while looks are slow, and at most half of the time."""
        name = "image.synthetic"
        if name not in self._verdicts.questions or self._conductor.active:
            return
        if seen.reason is not None and seen.reason.code == "live.black":
            self._verdicts.explain(name, seen.reason)
            return
        cost = 0.0 if self._fast else self._lane.costs.get(name, 0.0)
        if seen.time < self._last_synthetic + max(self._settings.windows.synthetic_every, 2 * cost):
            return
        bound = self._settings.delay.bound
        if not self._fast and (cost > bound or self._delays.last() > bound / 2):
            text = "This machine is too slow for it beside the faces."
            self._verdicts.explain(name, Reason(code="live.too_slow", text=text))
            return
        card, rgb = self._verdicts.card(name), seen.rgb
        if self._lane.submit(name, lambda: ask_frame(card, seen.time, rgb)):
            self._last_synthetic = seen.time

    def _hear(self, now: float) -> None:
        name = "voice.synthetic"
        if name not in self._verdicts.questions or not self._inbox.has_sound:
            return
        wave, total = self._inbox.sound(HEARD_SECONDS)
        if total - self._heard < self._settings.windows.voice_every * RATE:
            return
        card = self._verdicts.card(name)
        if self._lane.submit(name, lambda: ask_voice(card, now, wave)):
            self._heard = total

    # What follows with time ------------------------------------------------------------------------------

    def _tend(self) -> Iterator[AnyEvent]:
        """Answers of the second thread, windows that close, the state, files, stalls."""
        self._answers()
        closed = self._verdicts.close(self._now)
        for name in closed:
            self._windows[name] = self._windows.get(name, 0) + 1
        if closed:
            yield from self._labels()
            yield from self._keep(min(window.start for window in closed.values()))
        if self._recorder is not None:
            yield from self._recorded(self._recorder.step(self._now))
            if self._options.report:
                yield from self._reports.step()
        yield from self._stall()
        if self._now - self._told >= STATE_EVERY:
            self._told = self._now
            now = time.monotonic()
            for arrival in self._untold:
                self._delays.add(now - self._begun, now - arrival)
            self._untold.clear()
            yield self.state()

    def _answers(self) -> None:
        for name, answer in self._lane.results():
            if isinstance(answer, UnmaskError):
                self._drop(name, answer.code, answer.text)
            elif answer.score is None and answer.reason is not None:
                self._verdicts.explain(name, answer.reason)
            elif answer.score is not None:
                self._verdicts.add(name, answer.time, answer.score, stratum=answer.stratum)

    def _labels(self) -> Iterator[AnyEvent]:
        self._verdict = self._verdicts.verdict()
        before, self._label = self._label, self._verdict.label
        self._gravest = graver(self._gravest, self._label)
        if before != self._label:
            yield Labelled(time=round(self._now, 3), before=before, verdict=self._verdict)

    def _keep(self, since: float) -> Iterator[AnyEvent]:
        if self._recorder is not None and self._verdicts.momentary().label in SIGNS:
            yield from self._recorded(self._recorder.suspicious(since, self._now))

    def _recorded(self, events: list[Recorded]) -> Iterator[Recorded]:
        for event in events:
            if event.file is not None and self._options.report:
                self._reports.add(Path(event.file), event.end)
            yield event

    def _stall(self) -> Iterator[AnyEvent]:
        if self._fast or self._stalled or self._inbox.ended is not None:
            return
        silent = time.monotonic() - max(self._last_look, self._begun)
        if silent >= self._settings.looking.stalled_after:
            self._stalled = True
            text = f"No new picture or sound for {silent:.0f} s; waiting."
            reason = Reason(code="live.stalled", text=text)
            yield Stalled(time=round(self._now, 3), seconds=round(silent, 1), reason=reason)

    def _notes(self, notes: list[Note]) -> Iterator[AnyEvent]:
        for note in notes:
            moment = round(note.time, 3)
            if note.code == "late":
                yield Dropped(time=moment, count=int(note.value), behind=float(note.detail))
            elif note.code == "broken":
                self._stalled = True
                reason = Reason(code=note.detail, text=f"{note.text} Attempt {note.value:.0f} to open it again.")
                yield Stalled(time=moment, seconds=0.0, reason=reason)
            elif note.code == "reconnected":
                self._stalled = False
                yield Reconnected(time=moment, attempts=int(note.value))

    def state(self) -> State:
        """The rolling state."""
        now = time.monotonic() - self._begun
        return State(
            time=round(self._now, 3),
            label=self._label,
            reason=self._reason(),
            faces=self._crowd.states(self._now),
            more_faces=self._seen.more if self._seen else 0,
            questions=self._states(),
            delay=round(self._delays.last(), 3),
            delay_worst=round(self._delays.worst_since(now - 60.0), 3),
            read=self._inbox.read,
            looked=self._looked,
            dropped=self._inbox.dropped,
        )

    def _states(self) -> tuple[QuestionState, ...]:
        return self._verdicts.states()

    def _reason(self) -> Reason:
        """Why the label is what it is, or why nothing can be seen."""
        if self._stalled:
            return Reason(code="live.stalled", text="The stream stands still; waiting for it.")
        if self._seen is not None and self._seen.more:
            text = f"A crowd: the largest {len(self._seen.faces)} faces are examined, {self._seen.more} more are not."
            return Reason(code="live.crowd", text=text)
        if self._seen is not None and self._seen.reason is not None:
            return self._seen.reason
        if self._label == "inconclusive":
            text = (
                "Too few clear windows so far." if self._verdicts.questions else "Nothing can be asked of this stream."
            )
            return Reason(code="live.watching", text=text)
        return self._verdict.reasons[0]

    # The end ---------------------------------------------------------------------------------------------

    def _end(self) -> Iterator[AnyEvent]:
        for reader in self._readers:
            reader.stop()
        self._answers()
        yield from self._conductor.finish(self._now)
        if self._recorder is not None:
            yield from self._recorded(self._recorder.close())
            yield from self._wait_for_reports()
        reason, examined = self._why()
        yield Ended(
            time=round(self._now, 3),
            reason=reason,
            label=self._label,
            gravest=self._gravest,
            examined=examined,
            verdict=self._verdict,
            read=self._inbox.read,
            looked=self._looked,
            dropped=self._inbox.dropped,
            delay_median=round(self._delays.median(), 3),
            delay_worst=round(self._delays.worst, 3),
            windows=self._windows,
        )

    def _wait_for_reports(self) -> Iterator[AnyEvent]:
        deadline = time.monotonic() + REPORT_WAIT
        stopped = self._stop.is_set()
        while self._options.report and self._reports.open and time.monotonic() < deadline:
            yield from self._reports.step()
            self._reports.wait(_NAP)
            if self._stop.is_set() and not stopped:
                return

    def _why(self) -> tuple[Reason, bool]:
        ended = self._inbox.ended
        if self._stop.is_set():
            return Reason(code="live.stopped", text="Stopped."), True
        if self._over():
            return Reason(code="live.seconds", text=f"The {self._options.seconds:g} s asked for are over."), True
        if isinstance(ended, UnmaskError):
            return Reason(code=ended.code, text=ended.text), False
        if self._label == "inconclusive" and not self._windows:
            text = (
                "The stream ended before one window was clear, so nothing is said. `unmask scan` examines short films."
            )
            return Reason(code="live.too_short", text=text), True
        return Reason(code="live.ended", text="The stream ended."), True

    def _close(self) -> None:
        for reader in self._readers:
            reader.stop()
        for reader in self._readers:
            reader.join(1.0)
        self._lane.close()
        self._reports.close()
