"""Which quantisation step had each frequency before the last compression?

When a JPEG is decoded and saved again on the same grid, the second quantisation meets values that sit on multiples
of the first step. The histogram of the new levels then has a periodic comb (Lukas & Fridrich 2003; Lin et al. 2009).
Each frequency's histogram is explained here as a mixture: a share of blocks that carries the comb of step ``q1``,
the others without (Bianchi & Piva 2012). What the histogram would be without a comb is taken off the grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from unmask.detectors.image_jpeg.blocks import FREQUENCIES, Blocks

Floats = NDArray[np.float64]

MAX_STEP = 48  # first steps looked for
_REACH = 150.0  # magnitudes beyond it are too rare to tell anything
_MIN_LEVELS, _MAX_LEVELS = 6, 40
# Deviation of a coefficient after decoding: 8-bit rounding of three channels and of luma, sqrt(1.45 / 12).
_ROUNDING = 0.35
_SHARES = np.array([0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 0.9, 0.95])
# Off the grid the spectrum is a little weaker than on it; the stretch is fitted.
_STRETCHES = np.array([0.8, 0.9, 1.0, 1.1, 1.25, 1.45])
_SCALE_STEP = 0.05
_SCALE_TOP = 8.5
_FLOOR = 1e-5


@dataclass(frozen=True)
class Comb:
    """How one frequency's histogram is explained.

    ``index`` into `FREQUENCIES`; ``step`` now and ``earlier`` step; ``gain``: log-likelihood per non-zero
    coefficient (nats) of the comb against no comb; ``share``: part of the coefficients without the comb, 0..1;
    ``with_comb``/``without``: probabilities of levels 1..n; ``counts``: what was seen.
    """

    index: int
    step: int
    earlier: int
    gain: float
    share: float
    with_comb: Floats
    without: Floats
    counts: Floats

    @property
    def frequency(self) -> tuple[int, int]:
        """(v, u)."""
        return FREQUENCIES[self.index]

    @property
    def evidence(self) -> Floats:
        """Log-likelihood ratio (nats) for "carries the comb" of levels 1..n, bounded to +-3."""
        return np.clip(np.log((self.with_comb + _FLOOR) / (self.without + _FLOOR)), -3.0, 3.0)


def find_combs(blocks: Blocks, off_grid: NDArray[np.float32]) -> list[Comb]:
    """The best comb of each frequency, strong or not. ``off_grid``: see `blocks.off_grid`."""
    usable = blocks.usable
    found = []
    for k in range(len(FREQUENCIES)):
        step = int(blocks.steps[k])
        top = level_count(step)
        seen = np.bincount(blocks.levels[k][usable], minlength=top + 1)[1 : top + 1].astype(np.float64)
        if seen.sum() > 0:
            found.append(_best_comb(k, step, seen, _Spectrum(off_grid[k])))
    return found


def level_count(step: int) -> int:
    """How many levels of a histogram are looked at."""
    return int(np.clip(np.ceil(_REACH / step), _MIN_LEVELS, _MAX_LEVELS))


class _Spectrum:
    """Smooth distribution of a frequency's magnitude: constant relative resolution, about five per cent."""

    def __init__(self, magnitudes: NDArray[np.float32]) -> None:
        bins = round(_SCALE_TOP / _SCALE_STEP)
        counts = np.histogram(np.arcsinh(magnitudes), bins, (0.0, _SCALE_TOP))[0].astype(np.float64) + 1e-3
        kernel = np.exp(-0.5 * (np.arange(-4, 5) / 1.5) ** 2)
        smooth = np.convolve(np.pad(counts, 4, "reflect"), kernel / kernel.sum(), "valid")
        self._edges = np.linspace(0.0, _SCALE_TOP, bins + 1)
        self._sum = np.concatenate([[0.0], np.cumsum(smooth)]) / smooth.sum()

    def below(self, x: Floats) -> Floats:
        """P(magnitude < x)."""
        return np.asarray(np.interp(np.arcsinh(np.maximum(x, 0.0)), self._edges, self._sum))

    def masses(self, step: int, count: int) -> Floats:
        """(stretches, count + 1): P(level = 0..count) with this step, for each stretch."""
        edges = (np.arange(count + 2) - 0.5) * step
        return np.diff(self.below(edges[None, :] / _STRETCHES[:, None]), axis=1)


def _best_comb(index: int, step: int, seen: Floats, spectrum: _Spectrum) -> Comb:
    count = len(seen)
    without = _normalised(spectrum.masses(step, count)[:, 1:])
    alone = (np.log(without) @ seen).max()
    best = (-np.inf, 0, 0, 0)
    for earlier in range(2, MAX_STEP + 1):
        if earlier == step:
            continue
        with_comb = _comb_levels(spectrum, earlier, step, count)
        fits = np.log(with_comb + _SHARES[:, None, None] * (without - with_comb)) @ seen
        share, stretch = np.unravel_index(int(np.argmax(fits)), fits.shape)
        best = max(best, (float(fits[share, stretch]), earlier, int(share), int(stretch)))
    likelihood, earlier, share_at, stretch_at = best
    return Comb(
        index=index,
        step=step,
        earlier=earlier,
        gain=float((likelihood - alone) / seen.sum()),
        share=float(_SHARES[share_at]),
        with_comb=_comb_levels(spectrum, earlier, step, count)[stretch_at],
        without=without[stretch_at],
        counts=seen,
    )


def _comb_levels(spectrum: _Spectrum, earlier: int, step: int, count: int) -> Floats:
    """(stretches, count): P(level 1..count) when the values sat on multiples of ``earlier``."""
    moves = _moves(earlier, step, count)
    return _normalised(spectrum.masses(earlier, len(moves) - 1) @ moves)


def _normalised(masses: Floats) -> Floats:
    masses = masses + _FLOOR * masses.sum(axis=1, keepdims=True) / masses.shape[1] + 1e-12
    return np.asarray(masses / masses.sum(axis=1, keepdims=True))


@cache
def _moves(earlier: int, step: int, count: int) -> Floats:
    """(n, count): probability that the multiple 0..n-1 of ``earlier`` becomes level 1..count of ``step``."""
    multiples = np.arange(int(np.ceil((count + 1) * step / earlier)) + 1)[:, None] * float(earlier)
    edges = (np.arange(1, count + 2) - 0.5) * step
    up = np.diff(ndtr((edges[None, :] - multiples) / _ROUNDING), axis=1)
    down = np.diff(ndtr((edges[None, :] + multiples) / _ROUNDING), axis=1)  # from the negative side
    return np.asarray(up + np.where(multiples == 0, down, 0.0))
