"""Where does the earlier compression's comb miss (or where alone is it present)?

Each block's non-zero levels vote for or against the comb (log-likelihood ratio, Lin et al. 2009; Bianchi & Piva 2012).
Zeros do not vote: their number tells texture, not history. Votes are summed over windows and compared with what a
picture with one history would give; the spread is taken from the picture itself, so that rough fits cost strength.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.detectors.image_jpeg.blocks import FREQUENCIES, Blocks
from unmask.detectors.image_jpeg.history import Comb

Floats = NDArray[np.float32]

# Magnitudes that rounding alone can make in a flat block do not vote.
QUIET = 2.5


@dataclass(frozen=True)
class Votes:
    """Per block (rows, cols) float32 sums over the voting coefficients.

    ``voters``: how many frequencies vote; ``found``: log-likelihood ratio seen; ``if_with``/``if_without``: expected
    for blocks with and without the comb; ``spread_with``/``spread_without``: their variances; ``count``: coefficients
    that vote.
    """

    voters: int
    found: Floats
    if_with: Floats
    if_without: Floats
    spread_with: Floats
    spread_without: Floats
    count: Floats

    def summed(self, side: int) -> Votes:
        """The same over windows of ``side`` x ``side`` blocks around each block."""
        maps = (self.found, self.if_with, self.if_without, self.spread_with, self.spread_without, self.count)
        return Votes(self.voters, *(_window_sum(m, side) for m in maps))


@dataclass(frozen=True)
class Region:
    """A connected part with another history.

    ``mask`` (rows, cols) bool; ``box`` x, y, w, h in blocks; ``strength``: standard deviations by which the
    region's votes miss the rest's; ``contrast``: 0 where the region votes as the rest, 1 where as the other
    hypothesis; ``place`` and ``rest_place``: where region and rest vote, 0 as with the comb, 1 as without it;
    ``information``: nats that a vote can tell; ``share``: of all voting coefficients; ``compactness``: area over box
    area; ``lacks``: True where the region lacks what the rest has, False where it alone has it.
    """

    mask: NDArray[np.bool_]
    box: tuple[int, int, int, int]
    strength: float
    contrast: float
    place: float
    rest_place: float
    information: float
    share: float
    compactness: float
    lacks: bool


def cast_votes(blocks: Blocks, combs: Sequence[Comb]) -> Votes:
    """Sum the votes of the chosen combs in each block."""
    shape = blocks.usable.shape
    sums = np.zeros((6, *shape), np.float32)
    for comb in combs:
        level = np.where(blocks.usable, blocks.levels[comb.index], 0)
        table = _ballot(comb)
        for i in range(6):
            sums[i] += table[:, i][level]
    return Votes(len(combs), *sums)


def _ballot(comb: Comb) -> NDArray[np.float32]:
    """(256, 6): what each level adds to the six sums of `Votes`; levels that do not vote add nothing."""
    table = np.zeros((256, 6), np.float32)
    levels = np.arange(1, len(comb.evidence) + 1)
    voting = levels * comb.step >= QUIET
    votes = comb.evidence[voting]
    with_comb, without = _moments(votes, comb.with_comb[voting]), _moments(votes, comb.without[voting])
    table[levels[voting], 0] = votes
    table[levels[voting], 1:] = [with_comb[0], without[0], with_comb[1], without[1], 1.0]
    return table


def _moments(votes: NDArray[np.float64], masses: NDArray[np.float64]) -> tuple[float, float]:
    masses = masses / masses.sum()
    mean = float(votes @ masses)
    return mean, float(votes**2 @ masses) - mean**2


def posterior(votes: Votes, prior_without: float = 0.5) -> Floats:
    """(rows, cols) probability 0..1 that the block lacks the comb, from summed votes."""
    odds = np.log(prior_without / (1 - prior_without)) - np.clip(votes.found, -40, 40)
    return np.asarray(1.0 / (1.0 + np.exp(-odds)), np.float32)


def position(votes: Votes) -> Floats:
    """(rows, cols) where the votes lie: 0 as with the comb, 1 as without it."""
    span = votes.if_with - votes.if_without
    return np.asarray((votes.if_with - votes.found) / np.maximum(span, 1e-6), np.float32)


def find_region(votes: Votes, limits: Mapping[str, float]) -> tuple[Region | None, Floats]:
    """The strongest connected region that disagrees with the rest, and the map 0..1 to show.

    ``limits``: the card's parameters.
    """
    side = int(limits["window_blocks"])
    around = votes.summed(side)
    # Flat parts are silent: what few votes they have come from rounding.
    informed = around.if_with - around.if_without > limits["window_information"]
    informed &= around.count > limits["window_votes"] * side**2 * votes.voters / len(FREQUENCIES)
    place = np.clip(position(around), -0.5, 1.5)
    if informed.sum() < limits["min_region_blocks"]:
        return None, np.zeros(place.shape, np.float32)
    best: Region | None = None
    shown = np.where(informed, np.clip(place, 0, 1), 0).astype(np.float32)
    lacking = informed & (place > 0.5)
    for mask, lacks in ((lacking, True), (informed & (place <= 0.5), False)):
        for region in _components(mask, votes, informed, lacks, limits):
            if best is None or region.strength > best.strength:
                best = region
    if best is not None and not best.lacks:
        shown = np.where(informed, 1 - np.clip(place, 0, 1), 0).astype(np.float32)
    return best, shown


def _components(
    mask: NDArray[np.bool_], votes: Votes, informed: NDArray[np.bool_], lacks: bool, limits: Mapping[str, float]
) -> list[Region]:
    """Connected parts of ``mask``, each measured against the rest; none where the mask is the majority."""
    if 2 * mask.sum() > informed.sum():
        return []
    clean = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(clean, connectivity=4)
    rest = informed & ~mask
    found = []
    for i in np.argsort(-stats[1:count, cv2.CC_STAT_AREA])[:5] + 1:
        x, y, w, h, area = (int(v) for v in stats[i])
        if area < limits["min_region_blocks"]:
            break
        part = labels == i
        found.append(_measure(part, rest, (x, y, w, h), votes, lacks, limits["misfit"]))
    return found


def _measure(
    part: NDArray[np.bool_],
    rest: NDArray[np.bool_],
    box: tuple[int, int, int, int],
    votes: Votes,
    lacks: bool,
    misfit: float,
) -> Region:
    """Compare the part's votes with the rest's, scaled to the rest's own spread."""
    inside, outside = _totals(votes, part), _totals(votes, rest)
    span = inside["if_with"] - inside["if_without"]
    part_place = (inside["if_with"] - inside["found"]) / max(span, 1e-6)
    rest_span = outside["if_with"] - outside["if_without"]
    rest_place = (outside["if_with"] - outside["found"]) / max(rest_span, 1e-6)
    contrast = (part_place - rest_place) if lacks else (rest_place - part_place)
    chance = np.sqrt(inside["spread_with" if lacks else "spread_without"]) * _overdispersion(votes, rest, rest_place)
    # However many votes there are, the fitted histograms are a little wrong for every texture.
    noise = np.hypot(chance, misfit * inside["count"])
    area = int(part.sum())
    return Region(
        mask=part,
        box=box,
        strength=float(contrast * span / max(noise, 1e-6)),
        contrast=float(contrast),
        place=float(part_place),
        rest_place=float(rest_place),
        information=float(span / max(inside["count"], 1.0)),
        share=float(inside["count"] / max(votes.count.sum(), 1.0)),
        compactness=area / (box[2] * box[3]),
        lacks=lacks,
    )


def _totals(votes: Votes, where: NDArray[np.bool_]) -> dict[str, float]:
    names = ("found", "if_with", "if_without", "spread_with", "spread_without", "count")
    return {n: float(getattr(votes, n)[where].sum(dtype=np.float64)) for n in names}


def _overdispersion(votes: Votes, rest: NDArray[np.bool_], place: float) -> float:
    """Spread of the rest's windows over what independent votes would have, at least 1."""
    side = 8
    tiles = [_tile_sum(np.where(rest, v, 0), side) for v in (votes.found, votes.if_with, votes.if_without)]
    spread = _tile_sum(np.where(rest, votes.spread_with, 0), side)
    good = spread > np.percentile(spread, 25)
    if good.sum() < 4:
        return 1.0
    expected = tiles[1] + (tiles[2] - tiles[1]) * place
    z = ((tiles[0] - expected) / np.sqrt(np.maximum(spread, 1e-6)))[good]
    return max(1.0, float(1.4826 * np.median(np.abs(z - np.median(z)))))


def _window_sum(values: Floats, side: int) -> Floats:
    return np.asarray(cv2.boxFilter(values, -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT))


def _tile_sum(values: Floats, side: int) -> Floats:
    rows, cols = values.shape[0] // side, values.shape[1] // side
    cut = values[: rows * side, : cols * side].reshape(rows, side, cols, side)
    return np.asarray(cut.sum(axis=(1, 3)))
