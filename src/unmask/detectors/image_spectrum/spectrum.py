"""Periodic traces in a picture: peaks of its residual's power spectrum, and the rhythm of its second derivative."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TILE = 128  # pixels a side; every multiple of 1/16 is then an exact frequency bin
_LOG_SD = np.pi / np.sqrt(6)  # standard deviation of the log of an exponentially distributed power
_CLIP = 16.0  # grey levels: strong edges are not residual
_RING = 13  # bins a side that make the background of a peak
_TREND = 31  # samples


@dataclass(frozen=True)
class Spectrum:
    """Mean log power of the residual over ``tiles`` tiles, above its local background.

    ``z``: (128, 65) in standard deviations of what noise alone gives; row v and column u stand for the frequencies
    v/128 (rows above 64 are negative) and u/128 cycles a pixel. ``decibel``: the same in dB.
    """

    z: NDArray[np.float32]
    decibel: NDArray[np.float32]
    tiles: int


def residual_spectrum(luma: NDArray[np.uint8], max_tiles: int, least_noise: float) -> Spectrum | None:
    """Spectrum of luma minus its 3x3 median, over at most ``max_tiles`` evenly spread textured tiles.

    After Corvi et al. 2023 and Zhang et al. 2019, with a median filter as the denoiser and each tile scaled to
    unit power, so that no single tile rules the mean. None where fewer than four tiles hold a residual of at
    least ``least_noise`` grey levels.
    """
    from scipy import fft

    tiles = np.stack([_residual(luma, y, x) for y, x in _places(luma.shape, max_tiles)])
    noise = tiles.std(axis=(1, 2))
    tiles = tiles[noise >= least_noise]
    if len(tiles) < 4:
        return None
    window = np.outer(np.hanning(TILE), np.hanning(TILE)).astype(np.float32)
    tiles = (tiles - tiles.mean(axis=(1, 2), keepdims=True)) / noise[noise >= least_noise, None, None]
    power = np.abs(fft.rfft2(tiles * window)) ** 2
    above = _above_background(np.log(power + 1e-3).mean(axis=0).astype(np.float32))
    scale = max(_LOG_SD / np.sqrt(len(tiles)), 1.4826 * float(np.median(np.abs(above))))
    return Spectrum(above / np.float32(scale), above * np.float32(10 / np.log(10)), len(tiles))


def _places(shape: tuple[int, ...], most: int) -> list[tuple[int, int]]:
    """Top left corners of tiles, half overlapping where the picture is small, on multiples of 8."""
    step = TILE // 2
    while (max(0, (shape[0] - TILE) // step) + 1) * (max(0, (shape[1] - TILE) // step) + 1) > most:
        step += 8
    ys, xs = (range(0, max(1, n - TILE + 1), step) for n in shape)
    return [(y, x) for y in ys for x in xs]


def _residual(luma: NDArray[np.uint8], y: int, x: int) -> NDArray[np.float32]:
    import cv2

    tile = np.ascontiguousarray(luma[y : y + TILE, x : x + TILE])
    difference = tile.astype(np.float32) - cv2.medianBlur(tile, 3)
    return np.asarray(np.clip(difference, -_CLIP, _CLIP), np.float32)


def _above_background(log_power: NDArray[np.float32]) -> NDArray[np.float32]:
    """(128, 65) minus the smoothed median of the surroundings, across the borders of the periodic spectrum."""
    import cv2

    pad = _RING
    turned = log_power[np.r_[0, np.arange(TILE - 1, 0, -1)]][:, TILE // 2 - 1 : 0 : -1]
    whole = np.pad(np.concatenate([log_power, turned], axis=1), pad, mode="wrap")
    background = cv2.blur(cv2.medianBlur(whole, 5), (_RING, _RING))
    return np.asarray((whole - background)[pad:-pad, pad : pad + TILE // 2 + 1], np.float32)


def interpolation_rhythm(luma: NDArray[np.uint8], axis: int, most_lines: int) -> NDArray[np.float32]:
    """Spectrum of the second derivative's strength along ``axis``: (n//2+1,) -log10 of its chance probability.

    Gallagher 2005: interpolated samples vary less, in the rhythm of the interpolation, so enlarging by L puts a
    peak at 1/L cycles a pixel. Bin i is frequency i/n, n = 2*(bins-1). Under noise the power of a bin is exponentially
    distributed around its local level (the median of its neighbours over ln 2).
    """
    from scipy import fft
    from scipy.ndimage import median_filter

    step = max(1, luma.shape[1 - axis] // most_lines)
    lines = np.ascontiguousarray(luma[::step] if axis == 1 else luma[:, ::step].T, np.int16)
    second = np.abs(2 * lines[:, 1:-1] - lines[:, :-2] - lines[:, 2:])
    strength = np.minimum(second, int(4 * second.mean() + 1)).mean(axis=0, dtype=np.float64)
    strength = strength[: len(strength) // 2 * 2]  # even, so that bin i is frequency i/n exactly
    rest = strength - median_filter(strength, _TREND, mode="nearest")
    power = np.abs(fft.rfft(rest * np.hanning(len(rest)))) ** 2
    level = median_filter(power, max(15, len(power) // 12 | 1), mode="reflect") / np.log(2)
    return np.asarray(power / np.maximum(level, 1e-12) / np.log(10), np.float32)
