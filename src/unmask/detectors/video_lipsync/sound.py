"""What of a film's sound shows in a mouth: loudness in a few bands, forty times a second, on the picture's clock."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import av
import numpy as np
from numpy.typing import NDArray

from unmask.media.container import open_container, real_video_stream, seconds, sound_stream
from unmask.subject import Subject

Float = NDArray[np.float64]

RATE = 16000
STEPS = 40
"""Steps a second in which mouth and sound are compared."""

_HOP, _WINDOW = RATE // STEPS, 512
_FLOOR = 1e-4  # 40 dB below the loudest twentieth: what is quieter than that counts as silence


def bands(wave: NDArray[np.float32], p: Mapping[str, float]) -> Float:
    """Loudness of (samples,) at 16 kHz in mel bands (triangles, as HTK lays them).

    Returns:
        (samples // 400 + 1, bands): natural logarithms, relative to the loud parts of the sound; row k is the sound
        around k / 40 s.
    """
    count = int(p["bands"])
    padded = np.pad(np.asarray(wave, np.float64), (_WINDOW // 2, _WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[: wave.size + 1 : _HOP]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(_WINDOW), axis=1))) @ _triangles(count, p).T
    loud = float(np.percentile(power.sum(axis=1), 95))
    return np.asarray(np.log(power / (loud + 1e-12) + _FLOOR), np.float64)


def _triangles(count: int, p: Mapping[str, float]) -> Float:
    """(bands, 257) weights of the spectrum's lines."""
    low, high = (2595.0 * np.log10(1.0 + p[key] / 700.0) for key in ("band_low_hz", "band_high_hz"))
    edges = 700.0 * (10.0 ** (np.linspace(low, high, count + 2) / 2595.0) - 1.0)
    lines = np.fft.rfftfreq(_WINDOW, 1.0 / RATE)
    rise = (lines - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - lines) / np.diff(edges)[1:, None]
    return np.asarray(np.clip(np.minimum(rise, fall), 0.0, None), np.float64)


def sound_start(subject: Subject) -> float:
    """Seconds from the picture's first time stamp to the sound's first sample, as a player keeps them; 0 if unknown.

    Raises:
        MediaError: the film cannot be opened.
    """
    with open_container(subject.path, subject.sniffed.format) as container:
        picture, sound = real_video_stream(container), sound_stream(container)
        if picture is None or sound is None:
            return 0.0
        first: float | None = None
        with suppress(av.error.FFmpegError, ValueError):
            frame = next(iter(container.decode(sound)), None)
            first = None if frame is None else frame.time
        begun = seconds(picture.start_time, picture.time_base) or 0.0
        return 0.0 if first is None else float(first) - begun
