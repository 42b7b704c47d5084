"""What `video.temporal` measures of faces from frame to frame, in forged films against untouched ones.

The detector has no score. Taken from stored findings: the medians of flicker and of trembling, and the stretches that
stand out from the rest of a face, with the place where the film truly was forged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from unmask.report import Evidence, Finding
from unmask_lab.evaluate import metrics
from unmask_lab.evaluate.films import Judged, facts_of
from unmask_lab.evaluate.films_report import COMPRESSIONS, GROUPS, bona_fide, grouped

DETECTOR = "video.temporal"
Number = Callable[[Judged], float | None]


def skin(one: Judged) -> float | None:
    """Change of the skin that motion does not explain, in times of that of its surroundings."""
    return _fact(one, "change of the skin that motion does not explain")


def outline(one: Judged) -> float | None:
    """Change along the outline of the face, in times of that of its surroundings."""
    return _fact(one, "change along the outline of the face")


def trembling(one: Judged) -> float | None:
    """Median trembling of the mesh inside the face, thousandths of the picture of the face; of several the largest."""
    found = [float(np.median(y)) for y in _series(_answer(one), "trembling of the mesh") if y]
    return max(found) if found else None


MEASURES: dict[str, Number] = {
    "skin against surroundings": skin,
    "outline against surroundings": outline,
    "trembling inside": trembling,
}


def _answer(one: Judged) -> Finding | None:
    found = one.findings.get(DETECTOR)
    return found if found is not None and found.status == "ok" else None


def _fact(one: Judged, name: str) -> float | None:
    found = _answer(one)
    return None if found is None else facts_of(found).get(name)


def _series(found: Finding | None, title: str) -> Iterator[list[float]]:
    """The first curve of each plot whose title ends so."""
    for evidence in found.evidence if found is not None else ():
        series = (evidence.data or {}).get("series") if evidence.kind == "plot" else None
        if evidence.title.endswith(title) and isinstance(series, list) and series:
            yield [float(value) for value in series[0]["y"]]  # type: ignore[index, call-overload, union-attr, arg-type]


def stretches(one: Judged) -> list[tuple[float, float]]:
    """Seconds of the stretches that stand out from the rest of a face."""
    found = _answer(one)
    return [pair for evidence in (found.evidence if found else ()) for pair in _pairs(evidence)]


def _pairs(evidence: Evidence) -> Iterator[tuple[float, float]]:
    listed = (evidence.data or {}).get("segments") if evidence.kind == "segments" else None
    for part in listed if isinstance(listed, list) else ():
        yield float(part["start"]), float(part["end"])  # type: ignore[index, call-overload, arg-type]


def blocks(judged: Sequence[Judged]) -> Iterator[str]:
    """Both tables as Markdown."""
    yield "\n".join(_areas(judged))
    yield "\n".join(_marked(judged))


def _changed_faces(judged: Sequence[Judged]) -> list[tuple[str, list[Judged]]]:
    """The families that change faces, and groups of them."""
    begins = ("**", "public", *GROUPS["all changed faces"])
    return [(name, some) for name, some in grouped(judged) if name.startswith(begins)]


def _areas(judged: Sequence[Judged]) -> Iterator[str]:
    yield "| measure | forged by | " + " | ".join(COMPRESSIONS) + " | higher than its twin |"
    yield "|---|---|" + "---|" * (len(COMPRESSIONS) + 1)
    real = [one for one in judged if bona_fide(one)]
    for name, number in MEASURES.items():
        for family, some in _changed_faces(judged):
            if any(number(one) is not None for one in some):
                cells = [_area(some, real, number, copy) for copy in COMPRESSIONS]
                yield f"| {name} | {family} | " + " | ".join([*cells, _raised(some, real, number)]) + " |"


def _area(forged: Sequence[Judged], real: Sequence[Judged], number: Number, copy: str) -> str:
    """AUC of forged against untouched, and films of each."""
    changed, untouched = (_numbers(side, number, copy) for side in (forged, real))
    if not changed or not untouched:
        return "–"
    values = np.array([*changed, *untouched])
    area = metrics.auc(values, np.arange(len(values)) < len(changed))
    return f"{area:.2f} (n {len(changed)}/{len(untouched)})"


def _numbers(films: Sequence[Judged], number: Number, copy: str) -> list[float]:
    """Of the films of one compression that have one."""
    return [value for one in films if one.row.compression == copy and (value := number(one)) is not None]


def _raised(forged: Sequence[Judged], real: Sequence[Judged], number: Number) -> str:
    """In how many pairs of a forged film and the untouched copy of the same piece the forged one is higher."""
    twins = {(one.row.parent, one.row.compression): number(one) for one in real}
    pairs = [(number(one), twins.get((one.row.parent, one.row.compression))) for one in forged]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    return f"{sum(a > b for a, b in known)} of {len(known)}" if known else "–"


def _marked(judged: Sequence[Judged]) -> Iterator[str]:
    """Stretches that stand out: in untouched films, and in those forged in one stretch only."""
    yield "| films | copy | films | with a stretch that stands out | of those, one at the right place |"
    yield "|---|---|---|---|---|"
    parts = [(name, [o for o in some if o.row.partial == "yes"]) for name, some in _changed_faces(judged)]
    for name, some in [("untouched", [one for one in judged if bona_fide(one)]), *parts]:
        for copy in COMPRESSIONS:
            said = [o for o in some if o.row.compression == copy and _answer(o) is not None]
            if said:
                loud = [o for o in said if stretches(o)]
                right = "–" if name == "untouched" else str(sum(map(_right, loud)))
                yield f"| {name} | {copy} | {len(said)} | {len(loud)} | {right} |"


def _right(one: Judged) -> bool:
    """Whether some stretch lies in the forged one with its middle."""
    low, high = one.row.stretch or (0.0, 0.0)
    return any(low <= (a + b) / 2 <= high for a, b in stretches(one))
