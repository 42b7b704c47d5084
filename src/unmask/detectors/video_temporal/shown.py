"""What video.temporal shows of each face: curves with what bona fide films reached, stretches that stand out, facts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unmask import evidence
from unmask.detectors.video_temporal.traces import Traces, unusual
from unmask.report import Evidence

SOURCE = "faces followed frame by frame"

Floats = NDArray[np.float64]


def lane(one: Traces) -> str:
    """How the face is called in all lanes and captions, as in face.swap."""
    return f"Face {one.track}"


def stretches(one: Traces, p: dict[str, float]) -> list[evidence.Stretch]:
    """Where skin or outline change more than in the rest of the stretch that was followed."""
    curves = {"the skin flickers": one.skin, "the outline of the face flickers": one.seam}
    return [
        evidence.Stretch(start, end, f"{what}: {2**excess:.1f} times its usual", lane(one))
        for what, values in curves.items()
        for start, end, excess in unusual(values, one.times, p)
    ]


def evidence_of(found: Sequence[Traces], items: Sequence[evidence.Stretch], p: dict[str, float]) -> list[Evidence]:
    """Stretches first, then each face's facts and curves."""
    out: list[Evidence] = []
    if items:
        text = (
            "Compared with the rest of the same face. Fast speech, a hand, a flash, a dissolve or a key frame does "
            "this as well as a face that was drawn anew there; look at these moments."
        )
        out.append(evidence.segments("Stretches in which a face flickers", text, sorted(items)))
    out += [fact for one in found for fact in _facts(one, p)]
    return out + [curve for one in found for curve in (_flicker(one, p), _trembling(one, p), _openings(one))]


def _facts(one: Traces, p: dict[str, float]) -> list[Evidence]:
    known = f"{p['reference_films']:.0f} bona fide talking heads, most also coded anew"
    skin, seam = 2 ** _middle(one.skin), 2 ** _middle(one.seam)
    return [
        evidence.fact(
            f"{lane(one)}: change of the skin that motion does not explain",
            f"{skin:.2f} times that of its surroundings ({_middle(one.around):.1f} grey levels)",
            SOURCE,
            f"{known}: {p['reference_skin_low']:.2f} to {p['reference_skin_high']:.2f}.",
        ),
        evidence.fact(
            f"{lane(one)}: change along the outline of the face",
            f"{seam:.2f} times that of its surroundings",
            SOURCE,
            f"{known}: {p['reference_seam_low']:.2f} to {p['reference_seam_high']:.2f}.",
        ),
    ]


def _flicker(one: Traces, p: dict[str, float]) -> Evidence:
    skin, seam = _filled(one.skin), _filled(one.seam)
    return evidence.plot(
        f"{lane(one)}: flicker against its surroundings",
        "How many times more of the face changes than of what surrounds it, motion taken out; doublings (1 is twice as "
        "much). The rhythm of key frames is taken out.",
        one.times.tolist(),
        [("skin", skin.tolist()), ("outline", seam.tolist())],
        "seconds",
        "doublings",
        levels=[(float(np.log2(p["reference_skin_high"])), "highest median of the bona fide films")],
    )


def _trembling(one: Traces, p: dict[str, float]) -> Evidence:  # noqa: ARG001
    return evidence.plot(
        f"{lane(one)}: trembling of the mesh",
        "What is left of the paths of the mesh's points when the motion of the head and smooth mimic are taken out. "
        "Small, blurred and strongly coded faces tremble more.",
        one.times.tolist(),
        [("inside", _filled(one.inner).tolist()), ("outline", _filled(one.outline).tolist())],
        "seconds",
        "thousandths of the picture of the face",
    )


def _openings(one: Traces) -> Evidence:
    return evidence.plot(
        f"{lane(one)}: eyes and mouth",
        "Mouth: the gap between the lips by the mouth's width. Eyes: edges across against edges along them, which "
        "falls when they close (and when they are blurred). Blinks are not counted: short ones drown in noise.",
        one.times.tolist(),
        [("eyes", _filled(one.eyes).tolist()), ("mouth", _filled(one.mouth).tolist())],
        "seconds",
        "ratio",
    )


def _middle(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else 0.0


def _filled(values: Floats) -> Floats:
    """Gaps bridged by straight lines, since a report holds numbers only."""
    known = np.flatnonzero(np.isfinite(values))
    if not known.size:
        return np.zeros(len(values))
    return np.asarray(np.interp(np.arange(len(values)), known, values[known]), np.float64)
