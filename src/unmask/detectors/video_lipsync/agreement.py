"""Do a mouth and a sound move together, and with what offset? Correlations weighed by one small table.

Of each lip measure with each band of the sound the correlation is taken with the sound moved by every possible time;
``weights.toml`` says how much each of them counts (a linear discriminant between the true time and all others). What
the same mouth gives with the sound of other moments of the same film, forwards and backwards, is the scale: the
answer is in standard deviations of that, so loud, noisy and lively films are held to their own measure.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unmask.detectors.video_lipsync.mouth import NAMES
from unmask.detectors.video_lipsync.sound import STEPS

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Agreement:
    """One face and the sound.

    ``offset``: seconds by which the sound comes after the picture where they agree best; ``peak``: agreement there, in
    standard deviations of what other moments of the sound give; ``chance``: 0..1, how often a sound that has nothing to
    do with this mouth agrees so well at some offset; ``lags``, ``by_lag``: seconds and agreement at each offset;
    ``times``, ``by_time``: seconds in the film and agreement around them at the best offset, in standard deviations of
    what two seconds of another moment's sound give.
    """

    offset: float
    peak: float
    chance: float
    lags: Float
    by_lag: Float
    times: Float
    by_time: Float


@cache
def weights() -> Float:
    """(4, bands): what the correlation of each lip measure (`NAMES`) with each band counts."""
    table = tomllib.loads((Path(__file__).parent / "weights.toml").read_text("utf-8"))["weights"]
    return np.array([table[name] for name in NAMES], np.float64)


def band_passed(values: Float, p: Mapping[str, float]) -> Float:
    """(n, k) without what is slower than speech and without jitter."""
    from scipy.ndimage import gaussian_filter1d

    calm = gaussian_filter1d(np.asarray(values, np.float64), p["smooth_steps"], axis=0)
    return np.asarray(calm - gaussian_filter1d(calm, p["slow_seconds"] * STEPS, axis=0), np.float64)


def even(values: Float) -> Float:
    """Each column brought to variance 1."""
    return np.asarray(values / (values.std(axis=0) + 1e-9), np.float64)


def compare(mouth: Float, sound: Float, first: int, p: Mapping[str, float], rows: Float | None = None) -> Agreement:
    """How well they agree.

    Args:
        mouth: (n, 4) band-passed lip measures, `STEPS` a second.
        sound: (m, bands) band-passed loudness, m >= n, longer than twice ``far_seconds``.
        first: row of ``sound`` that belongs to the first row of ``mouth`` as the film is played.
        p: the card's parameters.
        rows: other weights than the shipped ones, for the laboratory.
    """
    table = weights() if rows is None else rows
    reach, far = int(p["most_offset"] * STEPS), int(p["far_seconds"] * STEPS)
    own, back = scores(mouth, sound, table), scores(mouth, sound[::-1], table)
    distance = np.abs((np.arange(len(own)) - first + len(own) // 2) % len(own) - len(own) // 2)
    null = np.concatenate([own[distance >= far], back])
    lags = np.arange(-reach, reach + 1)
    by_lag = (own[(first + lags) % len(own)] - null.mean()) / (null.std() + 1e-12)
    best = int(np.argmax(by_lag))
    moved = int(first + lags[best])
    offset = (lags[best] + _between(by_lag, best)) / STEPS - p["usual_offset"]
    chance = _chance(float(by_lag[best]), p["independent_offsets"])
    times, by_time = _over_time(mouth, sound, moved, far, table, p)
    return Agreement(offset, float(by_lag[best]), chance, lags / STEPS - p["usual_offset"], by_lag, times, by_time)


def scores(mouth: Float, sound: Float, table: Float) -> Float:
    """(m,) weighed correlations of the mouth with the sound from each of its rows on; the sound is taken as a ring."""
    return np.asarray(np.einsum("va,pva->p", table, correlations(mouth, sound)), np.float64)


def correlations(mouth: Float, sound: Float) -> Float:
    """(m, 4, bands) correlations of (n, 4) with (m, bands) from each row of the sound on, the sound as a ring."""
    n, m = len(mouth), len(sound)
    ring = np.concatenate([sound, sound[: n - 1]])
    lips = mouth - mouth.mean(axis=0)
    lips = lips / (np.linalg.norm(lips, axis=0) + 1e-9)
    sums, squares = (np.cumsum(np.vstack([np.zeros(ring.shape[1]), x]), axis=0) for x in (ring, np.square(ring)))
    mean = (sums[n:] - sums[:-n]) / n
    spread = np.sqrt(np.maximum(1e-9, squares[n:] - squares[:-n] - n * np.square(mean)))
    size = 1 << (m + n - 1).bit_length()
    heard, seen = np.fft.rfft(ring, size, axis=0), np.fft.rfft(lips, size, axis=0).conj()
    out = np.fft.irfft(heard[:, None, :] * seen[:, :, None], size, axis=0)[:m]
    return np.asarray(out / spread[:, None, :], np.float64)


def _between(values: Float, best: int) -> float:
    """Where between its neighbours a peak lies, in steps of -0.5 to 0.5 (a parabola through three points)."""
    if not 0 < best < len(values) - 1:
        return 0.0
    before, top, after = values[best - 1 : best + 2]
    bend = before - 2 * top + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0


def _chance(peak: float, offsets: float) -> float:
    """Chance that the best of so many independent offsets reaches ``peak`` by accident, normally distributed."""
    single = 0.5 * math.erfc(peak / math.sqrt(2.0))
    return float(-math.expm1(offsets * math.log1p(-min(single, 1.0 - 1e-12))))


def _over_time(
    mouth: Float, sound: Float, moved: int, far: int, table: Float, p: Mapping[str, float]
) -> tuple[Float, Float]:
    """Seconds after the mouth's first row, and agreement in a sliding window at the best offset."""
    length = max(1, min(len(mouth), int(p["curve_seconds"] * STEPS)))
    asked = mouth @ table
    steps = np.arange(len(mouth))

    def at(start: int) -> Float:
        product = np.einsum("na,na->n", asked, sound[(start + steps) % len(sound)])
        sums = np.concatenate([[0.0], np.cumsum(product)])
        return np.asarray((sums[length:] - sums[:-length]) / length, np.float64)

    others = np.arange(moved + far, moved + len(sound) - far, max(1, STEPS // 4))
    null = np.concatenate([at(int(start)) for start in others])
    times = (np.arange(len(mouth) - length + 1) + length / 2) / STEPS
    return times, (at(moved) - null.mean()) / (null.std() + 1e-12)
