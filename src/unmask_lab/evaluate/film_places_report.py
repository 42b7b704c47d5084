"""The tables of where in time: IoU of what a curve marks, by detector, way of forging and compression."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from unmask.detectors.face_swap.detector import CARD
from unmask.detectors.face_swap.faces import BOTH, SMALL, levels
from unmask_lab.evaluate import film_places as places
from unmask_lab.evaluate import metrics
from unmask_lab.evaluate.film_places import EXCEEDED, MILD, Smoother, Trace
from unmask_lab.evaluate.films import Judged
from unmask_lab.evaluate.films_report import COMPRESSIONS, GROUPS, LEAST_PEOPLE, bona_fide
from unmask_lab.evaluate.metrics import Bools

FACES = GROUPS["all changed faces"]
ASKED = {"face.swap": FACES, "video.synthetic": FACES, "video.temporal": FACES, "voice.synthetic": ("voice",)}
"""Detectors with a curve, and what the families are called whose changes it could show."""

WAYS: dict[str, tuple[Smoother, bool, float]] = {
    "as it is": (places.as_it_is, False, EXCEEDED),
    "as it is, level exceeded in 10 %": (places.as_it_is, False, 2 * EXCEEDED),
    "median of 3 looks": (partial(places.running_median, looks=3), False, EXCEEDED),
    "median of 5 looks": (partial(places.running_median, looks=5), False, EXCEEDED),
    "median of 15 looks": (partial(places.running_median, looks=15), False, EXCEEDED),
    "two levels": (places.as_it_is, True, EXCEEDED),
    "median of 5 looks, two levels": (partial(places.running_median, looks=5), True, EXCEEDED),
    "change points": (places.stepwise, False, EXCEEDED),
    "change points, two levels": (places.stepwise, True, EXCEEDED),
}
"""What is done with a curve, whether marked looks are widened down to the milder level, and the share of honest looks
above the level."""

SWAP = "face.swap"
FIXED = ((6.0, 3.0), (5.0, 2.5), (4.0, 2.0), (3.0, 1.5))
ABOVE_OWN = ((5.0, 2.5), (4.0, 2.0), (3.0, 1.5))
"""Log-odds of `face.swap`: a level, and the lower one that a marked stretch is widened down to; and so much above the
film's own median."""


@dataclass(frozen=True)
class Curves:
    """One detector's curves, smoothed in one way. ``levels``: of each person, from other people's honest films."""

    honest: tuple[Trace, ...]
    forged: tuple[Trace, ...]
    levels: dict[str, tuple[float, float]]
    wide: bool

    def marked(self, one: Trace) -> Bools:
        """(n,) the looks that are marked, whoever the level was fitted without."""
        high, mild = self.levels[one.person]
        return places.widened(one.values, high, mild) if self.wide else one.values >= high

    def share(self, one: Trace) -> float:
        """Share (0..1) of the film's looks that are marked, by time."""
        return float(one.spans[self.marked(one)].sum() / max(1e-9, one.spans.sum()))

    def overlap(self, one: Trace) -> float:
        """IoU (0..1) of what is marked with the truth."""
        return places.overlap_of(self.marked(one), one)


def curves(judged: Sequence[Judged], detector: str, way: str = "as it is") -> Curves:
    """Untouched talking heads, and films forged in one stretch only, as this detector sees them."""
    smoother, wide, share = WAYS[way]
    honest = _traces([one for one in judged if bona_fide(one)], detector, smoother)
    forged = _traces([one for one in judged if _in_part(one, ASKED[detector])], detector, smoother)
    levels = {}
    for person in {one.person for one in (*honest, *forged)}:
        others = [one for one in honest if one.person != person]
        levels[person] = places.level_of(others, share), places.level_of(others, MILD)
    return Curves(honest, forged, levels, wide)


def _in_part(one: Judged, families: tuple[str, ...]) -> bool:
    """Forged by one of these, in one stretch only."""
    return one.row.partial == "yes" and one.row.stretch is not None and one.row.family.startswith(families)


def _traces(films: Sequence[Judged], detector: str, smoother: Smoother) -> tuple[Trace, ...]:
    found = (places.trace(one, detector) for one in films)
    return tuple(one.with_values(smoother(one.values)) for one in found if one is not None)


def blocks(judged: Sequence[Judged], rounds: int = 200) -> Iterator[str]:
    """The tables as Markdown: by family and compression, by what is done with the curve, by fixed levels."""
    yield "\n".join(_by_family(judged, rounds))
    yield "\n".join(_by_way(judged, rounds))
    yield "\n".join(_by_level(judged))


def _by_family(judged: Sequence[Judged], rounds: int) -> Iterator[str]:
    yield (
        "| detector | forged by | copy | films / people | IoU, honest level | best level of each film | the same, "
        "curve turned | all marked | random stretch |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for detector in ASKED:
        found = curves(judged, detector)
        families = sorted({one.family for one in found.forged})
        for name, group in [(family, [family]) for family in families] + [("**all**", families)] * (len(families) > 1):
            for copy in COMPRESSIONS:
                some = [one for one in found.forged if one.family in group and one.compression == copy]
                if some:
                    yield _row(found, some, f"`{detector}` | {name} | {copy}", rounds)


def _row(found: Curves, some: Sequence[Trace], name: str, rounds: int) -> str:
    measures: tuple[Callable[[Trace], float], ...] = (
        found.overlap,
        places.best_overlap,
        places.turned_overlap,
        places.whole_overlap,
        places.random_overlap,
    )
    cells = [_mean(measure, some, rounds if i < 2 else 0) for i, measure in enumerate(measures)]
    return f"| {name} | {len(some)} / {len({one.person for one in some})} | " + " | ".join(cells) + " |"


def _mean(measure: Callable[[Trace], float], some: Sequence[Trace], rounds: int) -> str:
    """Mean over films; with an interval from drawing people where there are enough of them."""
    values = np.array([measure(one) for one in some])
    people = np.array([one.person for one in some], np.str_)
    if rounds and len(set(people)) >= LEAST_PEOPLE:
        return str(metrics.bootstrap(lambda i: float(values[i].mean()), people, rounds))
    return f"{values.mean():.2f}".lstrip("0")


def _by_way(judged: Sequence[Judged], rounds: int) -> Iterator[str]:
    yield (
        "| detector | curve | films / people | IoU, honest level | more than as it is | best level of each film | "
        "honest time marked |"
    )
    yield "|---|---|---|---|---|---|---|"
    for detector in ASKED:
        plain = curves(judged, detector)
        for way in WAYS:
            found = curves(judged, detector, way)
            if found.forged and found.honest:
                yield f"| `{detector}` | {way} | " + _way_cells(found, plain, rounds) + " |"


def _way_cells(found: Curves, plain: Curves, rounds: int) -> str:
    some = found.forged
    before = dict(zip(map(id, some), map(plain.overlap, plain.forged), strict=True))
    cells = [
        _mean(found.overlap, some, rounds),
        _mean(lambda one: found.overlap(one) - before[id(one)], some, rounds),
        _mean(places.best_overlap, some, rounds),
        f"{np.mean([found.share(one) for one in found.honest]):.0%}",
    ]
    return f"{len(some)} / {len({one.person for one in some})} | " + " | ".join(cells)


def _by_level(judged: Sequence[Judged]) -> Iterator[str]:
    """What `face.swap` would mark at fixed levels, widened down to lower ones."""
    strata = {one.findings[SWAP].stratum for one in judged if SWAP in one.findings}
    found, reported = curves(judged, SWAP), levels(CARD.parameters, BOTH if BOTH in strata else SMALL)["report_above"]
    yield "| level | widened down to | films marked | IoU | IoU of those marked | untouched films marked |"
    yield "|---|---|---|---|---|---|"
    for high, low in ((reported, reported), (reported, reported / 2), *FIXED):
        yield f"| {high:.1f} | {low:.1f} | " + _level_cells(found, high, low, places.as_it_is) + " |"
    for high, low in ABOVE_OWN:
        cells = _level_cells(found, high, low, places.against_itself)
        yield f"| own median + {high:.1f} | own median + {low:.1f} | {cells} |"


def _level_cells(found: Curves, high: float, low: float, smoother: Smoother) -> str:
    least = int(CARD.parameters["film_stretch_moments"])
    marked = [(one, places.runs_above(smoother(one.values), high, low, least)) for one in found.forged]
    overlaps = [places.overlap_of(flags, one) for one, flags in marked]
    those = [v for v, (_, flags) in zip(overlaps, marked, strict=True) if flags.any()]
    loud = sum(places.runs_above(smoother(one.values), high, low, least).any() for one in found.honest)
    ious = " | ".join(f"{np.mean(v):.2f}" if v else "–" for v in (overlaps, those))
    return f"{len(those)} of {len(marked)} | {ious} | {loud} of {len(found.honest)}"
