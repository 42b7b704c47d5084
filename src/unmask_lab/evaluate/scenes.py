"""``unmask-lab eval-scenes``: films put together from out-of-fold scores of pictures, as `video.synthetic` tells them.

Real films at hand are few. The score table of `image.synthetic` has some 1,700 bona fide files and, of each generated
film of the gallery, four frames, all scored by heads that knew neither source nor maker. A bona fide scene here is one
bona fide file: three equal looks, which is harsher than a real scene, whose looks differ and are medianed. A generated
scene is one film of the gallery with its own frames. What coding a whole film adds is not in these numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unmask.card import find_cards
from unmask.detectors.video_synthetic.scenes import Scene, told
from unmask.verdict import read_rules
from unmask_lab import scores
from unmask_lab.errors import LabError
from unmask_lab.learned import inverse
from unmask_lab.ratios import Table
from unmask_lab.scores import Score

Floats = NDArray[np.float64]
FILMS = "films-"
QUESTION = "video.synthetic"
COUNTS = (1, 2, 4, 8, 16)
ROUNDS = 4000
LOOKS = 3


@dataclass(frozen=True)
class Pool:
    """``bona``: (n,) scores of bona fide files; ``films``: of each generated film its frames' scores."""

    bona: Floats
    films: tuple[Floats, ...]


def pools(rows: Sequence[Score], stratum: str) -> dict[str, Pool]:
    """``clean`` and ``laundered``: the files and films of a score table.

    Raises:
        LabError: ``scenes.films``, the table has no film of the gallery or no bona fide file.
    """
    out = {}
    for name in ("clean", "laundered"):
        kept = [r for r in rows if r.stratum == stratum and r.status == "ok" and r.variant.startswith(name)]
        films: dict[tuple[str, str], list[float]] = defaultdict(list)
        for row in kept:
            if row.label and row.path.startswith(FILMS):
                films[row.path.rpartition("-")[0], row.variant].append(row.raw)
        bona = np.asarray([r.raw for r in kept if not r.label], np.float64)
        if not films or not bona.size:
            raise LabError("scenes.films", f"No films of the gallery or no bona fide files ({stratum}, {name}).")
        out[name] = Pool(bona, tuple(np.asarray(f, np.float64) for f in films.values()))
    return out


def film(parts: Sequence[Floats], slope: float, rng: np.random.Generator, even: int = 8) -> tuple[float, float]:
    """The median of ``even`` looks spread over scenes of equal length, and the detector's raw score.

    Args:
        parts: the scores that looks at each scene may give.
        slope: the card's ``scene_slope``.
        rng: which looks are taken.
        even: looks over the whole film; scenes that these miss get looks of their own.
    """
    scenes = [Scene(i * 100, i * 100 + 99, float(i), float(i + 1)) for i in range(len(parts))]
    places = [int((k + 0.5) / even * len(parts) * 100) for k in range(even)]
    looks = {at: float(rng.choice(parts[at // 100])) for at in places}
    spread = sorted(looks)
    for i, part in enumerate(parts):
        missing = LOOKS - sum(i * 100 <= at < (i + 1) * 100 for at in spread)
        # Numbers that no even look has: a scene's further looks.
        looks |= {i * 100 + 90 + k: float(rng.choice(part)) for k in range(max(0, missing))}
    raw = told(scenes, looks, spread, LOOKS, slope)
    return raw.whole, raw.raw


def rates(pool: Pool, count: int, generated: int, level: float, slope: float, seed: int = 1) -> tuple[float, float]:
    """Share of `ROUNDS` films of ``count`` scenes, ``generated`` of them generated, at the level: by the median of
    eight looks alone, and as the detector tells it.
    """
    rng = np.random.default_rng([seed, count, generated])
    hits = np.zeros(2)
    for _ in range(ROUNDS):
        made = [pool.films[i] for i in rng.integers(len(pool.films), size=generated)]
        real = [pool.bona[i : i + 1] for i in rng.integers(len(pool.bona), size=count - generated)]
        parts = [*made, *real]
        hits += np.asarray(film([parts[i] for i in rng.permutation(count)], slope, rng)) >= level
    return float(hits[0] / ROUNDS), float(hits[1] / ROUNDS)


def level_of(stratum: str) -> float:
    """The raw score from which a film with nothing else in question is `suspicious`."""
    card = next(card for card in find_cards() if card.id == QUESTION)
    table, marks = card.strata[stratum], read_rules().learned[QUESTION].strata[stratum]
    return inverse(Table(table.raw, table.log10_lr), marks.suspicious)


def blocks(table: Path) -> Iterator[str]:
    """Markdown: parts of the table by themselves, and films of scenes."""
    rows = scores.read(table)
    slope = next(card for card in find_cards() if card.id == QUESTION).parameters["scene_slope"]
    lines = [
        "| networks | copies | scenes | untouched: median of eight / by scene | one scene generated | all generated |",
        "|---|---|---|---|---|---|",
    ]
    for stratum in sorted({row.stratum for row in rows}, reverse=True):
        level = level_of(stratum)
        for name, pool in pools(rows, stratum).items():
            for count in COUNTS:
                found = [rates(pool, count, made, level, slope) for made in (0, 1, count)]
                told_ = " | ".join(f"{a:.1%} / {b:.1%}" for a, b in found)
                lines.append(f"| {stratum} | {name} | {count} | {told_} |")
    n = pools(rows, rows[0].stratum)["clean"]
    yield f"{len(n.bona)} bona fide files and {len(n.films)} generated films, {ROUNDS} films drawn for each cell."
    yield "\n".join(lines)
