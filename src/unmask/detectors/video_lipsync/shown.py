"""What a person can look at: which stretches were compared, the curve over time, and the agreement at each offset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist

from unmask.detectors.video_lipsync.agreement import Agreement
from unmask.detectors.video_lipsync.prepare import Prepared
from unmask.detectors.video_lipsync.sound import STEPS
from unmask.evidence import Stretch, fact, plot, segments
from unmask.films.closeup import CloseLook
from unmask.report import Evidence

_SOURCE = "movement of the lips against the loudness in eight bands"
One = tuple[CloseLook, Prepared, Agreement]


def evidence(judged: Sequence[One], p: Mapping[str, float]) -> list[Evidence]:
    """Stretches, curves and facts of all faces that were compared."""
    return [_stretches(judged), _offsets(judged, p), *(_curve(*one, p) for one in judged), *_facts(judged)]


def in_words(offset: float) -> str:
    """An offset in seconds, as a clause."""
    value = round(offset * 1000, -1)
    if abs(value) < 10:
        return "at the same time"
    return f"with the sound {abs(value):.0f} ms {'after' if value > 0 else 'before'} the picture"


def _stretches(judged: Sequence[One]) -> Evidence:
    items = [
        Stretch(
            made.start,
            made.start + len(made.mouth) / STEPS,
            f"best {in_words(found.offset)}, by accident in {found.chance:.1%}",
            lane=f"Face {look.track}, lips",
        )
        for look, made, found in judged
    ]
    return segments("Stretches compared", "Where the lips of each face were compared with the sound.", items)


def _offsets(judged: Sequence[One], p: Mapping[str, float]) -> Evidence:
    level = NormalDist().inv_cdf((1.0 - p["agree_below"]) ** (1.0 / p["independent_offsets"]))
    series = [(f"face {look.track}", found.by_lag.tolist()) for look, _, found in judged]
    text = (
        "Agreement of lips and sound with the sound moved by each offset, in standard deviations of what the sound of "
        "other moments gives. A true pair has one clear peak."
    )
    marks = [(found.offset * 1000, f"face {look.track}") for look, _, found in judged]
    lags = [lag * 1000 for lag in judged[0][2].lags.tolist()]
    reached = f"reached by accident in {p['agree_below']:.0%}"
    label = "sound after the picture, ms"
    return plot("Agreement at each offset", text, lags, series, label, "agreement", marks, [(level, reached)])


def _curve(look: CloseLook, made: Prepared, found: Agreement, p: Mapping[str, float]) -> Evidence:
    text = (
        f"Agreement within {p['curve_seconds']:.0f} s around each moment at the best offset. It falls in pauses, too; "
        "where somebody speaks and it stays low, look at the lips."
    )
    return plot(
        f"Lips and sound of face {look.track}",
        text,
        (found.times + made.start).tolist(),
        [(f"face {look.track}", found.by_time.tolist())],
        "seconds",
        "agreement",
        levels=[(0.0, "as sound of other moments")],
    )


def _facts(judged: Sequence[One]) -> list[Evidence]:
    out: list[Evidence] = []
    for look, _, found in judged:
        name = f"face {look.track}"
        text = "Positive: the sound comes after the picture. It means little where they do not agree."
        out.append(fact(f"Offset of the sound, {name}", f"{found.offset * 1000:+.0f} ms", _SOURCE, text))
        text = "How often a sound that has nothing to do with this mouth would agree so well at some offset."
        out.append(fact(f"Agreement by accident, {name}", f"{found.chance:.2%}", _SOURCE, text))
    return out
