"""Reading and writing sound and film with PyAV, for the lab only (no limits, trusted files)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
import soxr
from numpy.typing import NDArray

Sound: TypeAlias = NDArray[np.float32]
Frames: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True)
class Codec:
    """How to write sound: container suffix, codec, sample rate (None keeps it) and bits a second."""

    suffix: str
    codec: str
    rate: int | None = None
    bits: int | None = None


WAV = Codec("wav", "pcm_s16le")


def read_sound(path: Path) -> tuple[Sound, int]:
    """Mono samples in -1..1 and the rate in Hz."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="flt", layout="mono", rate=stream.rate)
        frames = [out for frame in container.decode(stream) for out in resampler.resample(frame)]
        frames += resampler.resample(None)
        parts = [frame.to_ndarray()[0] for frame in frames]
        return np.concatenate(parts).astype(np.float32), int(stream.rate)


def write_sound(path: Path, sound: Sound, rate: int, codec: Codec = WAV) -> None:
    """Write mono ``sound``; the codec's own rate is reached with soxr."""
    target = codec.rate or rate
    if target != rate:
        sound = np.asarray(soxr.resample(sound, rate, target), np.float32)
    samples = np.clip(np.round(sound * 32767), -32768, 32767).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec.codec, rate=target, layout="mono")
        if codec.bits:
            stream.bit_rate = codec.bits
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.rate, frame.pts, frame.time_base = target, 0, Fraction(1, target)
        resampler = av.AudioResampler(
            format=stream.format.name, layout="mono", rate=target, frame_size=stream.frame_size or 1024
        )
        for out in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(out))
        container.mux(stream.encode(None))


def read_film(path: Path, start: float, seconds: float, long_side: int) -> tuple[Frames, Fraction]:
    """Frames (n, h, w, 3) uint8 RGB from ``start`` on for ``seconds``, scaled down to ``long_side``, and their rate."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        fps = Fraction(stream.average_rate or 25)
        w, h = even_size(stream.width, stream.height, long_side)
        kept: list[NDArray[np.uint8]] = []
        for i, frame in enumerate(container.decode(stream)):
            if i / fps >= start + seconds:
                break
            if i / fps >= start:
                kept.append(frame.reformat(w, h, format="rgb24").to_ndarray())
        return np.stack(kept) if kept else np.zeros((0, h, w, 3), np.uint8), fps


def write_film(path: Path, frames: Frames, fps: Fraction, crf: int, preset: str = "veryfast") -> None:
    """Write an MP4 with libx264 at ``crf``; one thread, so that the same film gives the same pictures.

    Not always the same bytes: x264's AVX-512 code for `mbtree` differs from run to run.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(crf), "preset": preset, "threads": "1"}
        for array in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        container.mux(stream.encode(None))


def even_size(width: int, height: int, long_side: int) -> tuple[int, int]:
    """Even width and height with the long side at most ``long_side``."""
    scale = min(1.0, long_side / max(width, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)
