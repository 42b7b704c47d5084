"""The form in which voices reach a network, the same in training and in use.

Loudness, DC offset, rumble below 90 Hz and energy above 7.4 kHz tell collections apart rather than speech from
synthesis, so they are taken out. The filter runs over the whole recording, the level is set for each window.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

RATE = 16000
LEVEL = 0.05
"""Root mean square to which a window is brought; full scale is 1."""

Wave = NDArray[np.float32]

_SHORTEST = 100
MARGIN = RATE // 2
"""Samples on either side that `band_at` looks at."""


def band(wave: Wave) -> Wave:
    """(samples,) at 16 kHz, limited to 90-7400 Hz without shifting its phase; the offset from zero is taken out."""
    if wave.size <= _SHORTEST:
        return np.asarray(wave, np.float32)
    return np.asarray(_filtered(wave - wave.mean()), np.float32)


def band_at(wave: Wave, first: int, size: int, offset: float) -> Wave:
    """``size`` samples from ``first`` of what `band` gives, without filtering the rest.

    The filter forgets at e^-146 a second, so what lies further than `MARGIN` away does not count.

    Args:
        wave: (samples,) at 16 kHz, the whole recording.
        first: index of the first sample that is wanted.
        size: how many; fewer come back at the end of the recording.
        offset: the recording's mean, which `band` takes out.
    """
    start = max(0, first - MARGIN)
    piece = wave[start : first + size + MARGIN]
    if piece.size <= _SHORTEST:
        return np.asarray(piece[first - start :][:size], np.float32)
    limited = _filtered(piece - np.float32(offset))
    return np.asarray(limited[first - start : first - start + size], np.float32)


def _filtered(wave: Wave) -> NDArray[np.floating]:
    # scipy.signal brings half of SciPy with it: nobody who looks at a picture should wait for that.
    from scipy.signal import sosfiltfilt

    return np.asarray(sosfiltfilt(_sections(), wave))


@cache
def _sections() -> NDArray[np.float64]:
    from scipy.signal import butter

    return np.asarray(butter(6, [90, 7400], "bandpass", fs=RATE, output="sos"))


def level(wave: Wave) -> Wave:
    """The same sound at a root mean square of `LEVEL` along the last axis; silence stays silence."""
    if not wave.size:
        return np.asarray(wave, np.float32)
    power = np.sqrt(np.mean(np.square(wave, dtype=np.float64), axis=-1, keepdims=True))
    return np.asarray(wave * (LEVEL / (power + 1e-9)), np.float32)


def neutral(wave: Wave) -> Wave:
    """`band`, then `level`: one clip as a network sees it; (samples,) at 16 kHz."""
    return level(band(wave))
