"""Films and recordings made here from seeds, for the tests of readers and detectors."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

RATE = 16000


def write_wav(path: Path, samples: NDArray[np.floating], rate: int = RATE) -> Path:
    """(n,) or (channels, n) floats as 16-bit PCM."""
    samples = np.atleast_2d(samples)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[0])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples.T, -1, 1) * 32767).round().astype("<i2").tobytes())
    return path


def encode_sound(path: Path, samples: NDArray[np.floating], codec: str, bit_rate: int, rate: int = RATE) -> Path:
    """(n,) mono floats through one of FFmpeg's encoders; the container follows from the name."""
    import soxr

    coded_rate = 48000 if codec == "libopus" else rate
    wave_ = soxr.resample(samples.astype(np.float32), rate, coded_rate) if coded_rate != rate else samples
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=coded_rate, layout="mono")
        if bit_rate:
            stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave_[None], np.float32), "fltp", "mono")
        frame.sample_rate = coded_rate
        for part in av.AudioResampler(format=stream.format, layout="mono", rate=coded_rate).resample(frame):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


def pan(
    count: int, width: int = 320, height: int = 240, seed: int = 7, step: float = 1.7, shake: float = 0.6
) -> list[NDArray[np.uint8]]:
    """A hand-held pan over a textured world, with sensor noise; RGB frames."""
    rng = np.random.default_rng(seed)
    world = np.zeros((height + 80, int(width + 80 + step * count), 3), np.float32)
    for scale, strength in ((8, 50), (30, 35), (120, 22)):
        small = rng.normal(0, 1, (scale, max(2, scale * world.shape[1] // world.shape[0]), 3)).astype(np.float32)
        world += strength * cv2.resize(small, world.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    world = np.clip(world + 120, 0, 255)
    path = np.cumsum(rng.normal(0, shake, (count, 2)), axis=0)
    frames = []
    for i in range(count):
        x = 40 + step * i + np.clip(path[i, 0], -30, 30)
        y = 40 + np.clip(path[i, 1], -30, 30)
        shift = np.array([[1, 0, -x], [0, 1, -y]], np.float32)
        view = cv2.warpAffine(world, shift, (width, height), flags=cv2.INTER_LINEAR)
        frames.append(np.clip(view + rng.normal(0, 2, view.shape), 0, 255).astype(np.uint8))
    return frames


def write_film(  # noqa: PLR0917
    path: Path,
    frames: Sequence[NDArray[np.uint8]],
    codec: str = "libx264",
    crf: int = 20,
    fps: int = 30,
    times: Sequence[int] | None = None,
    rotation: int = 0,
    sound: NDArray[np.floating] | None = None,
    gop: int = 0,
    options: dict[str, str] | None = None,
) -> Path:
    """RGB frames as a film. ``times``: presentation time of each frame in 1/``fps`` s, for variable rates."""
    chosen = {"crf": str(crf), "preset": "veryfast"} if codec.startswith("libx26") else {}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options=chosen | (options or {}))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        if gop:
            stream.codec_context.gop_size = gop
        if rotation:
            stream.set_display_rotation(rotation)
        audio = container.add_stream("aac", rate=RATE, layout="mono") if sound is not None else None
        for i, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts = times[i] if times is not None else i
            frame.time_base = Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio is not None and sound is not None:
            part = av.AudioFrame.from_ndarray(sound[None].astype(np.float32), "fltp", "mono")
            part.sample_rate = RATE
            container.mux(audio.encode(part))
            container.mux(audio.encode(None))
    return path
