"""Reading a clip and writing it at one of the set's compressions: both classes the same way, sound at 16 kHz mono."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from unmask_lab.errors import disk_error
from unmask_lab.forge.av_io import Frames, Sound, even_size, read_film, read_sound
from unmask_lab.forge.speech import RATE, resampled


@dataclass(frozen=True)
class Compression:
    """H.264 at ``crf`` with the long side at most ``long_side`` and ``share`` of the size; AAC at ``bits`` a second."""

    crf: int
    long_side: int
    share: float
    bits: int


COMPRESSIONS = {
    "light": Compression(20, 1280, 1.0, 64_000),
    "medium": Compression(30, 960, 1.0, 48_000),
    "heavy": Compression(38, 1280, 0.5, 24_000),
}
"""The sound has one channel of 16 kHz, so its bit rates stand for about three times as much in stereo at 48 kHz."""

READ_SIDE = 1280


def read_clip(path: Path, start: float, seconds: float) -> tuple[Frames, Fraction, Sound]:
    """Frames with a long side of at most `READ_SIDE`, frames a second, and the sound (empty where there is none)."""
    frames, fps = read_film(path, start, seconds, READ_SIDE)
    with av.open(str(path)) as container:
        has_sound = bool(container.streams.audio)
    if not has_sound:
        return frames, fps, np.zeros(0, np.float32)
    sound = resampled(*read_sound(path))
    first, last = int(start * RATE), int(start * RATE) + round(len(frames) / fps * RATE)
    return frames, fps, np.pad(sound[first:last], (0, max(0, last - first - sound[first:last].size)))


def write_clip(path: Path, frames: Frames, fps: Fraction, sound: Sound, how: Compression) -> None:
    """Write an MP4, whole or not at all; one thread, so that the same clip gives nearly the same bytes.

    Raises:
        LabError: ``disk.full`` or ``disk.write``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}")
    try:
        with av.open(str(part), "w", format="mp4") as container:
            _write(container, frames, fps, sound, how)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise disk_error(path, error) from error


def size_at(frames: Frames, how: Compression) -> tuple[int, int]:
    """Width and height of the coded picture."""
    h, w = frames.shape[1:3]
    return even_size(w, h, round(min(how.long_side, how.share * max(w, h))))


def _write(
    container: av.container.OutputContainer, frames: Frames, fps: Fraction, sound: Sound, how: Compression
) -> None:
    stream = container.add_stream("libx264", rate=fps)
    stream.width, stream.height = size_at(frames, how)
    stream.pix_fmt = "yuv420p"
    stream.options = {"crf": str(how.crf), "preset": "veryfast", "threads": "1"}
    audio = container.add_stream("aac", rate=RATE, layout="mono") if sound.size else None
    if audio is not None:
        audio.bit_rate = how.bits
    for array in frames:
        small = array
        if (stream.width, stream.height) != array.shape[1::-1]:
            small = cv2.resize(array, (stream.width, stream.height), interpolation=cv2.INTER_AREA)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(small), format="rgb24")))
    container.mux(stream.encode(None))
    if audio is None:
        return
    frame = av.AudioFrame.from_ndarray(np.clip(sound, -1, 1)[None].astype(np.float32), "fltp", "mono")
    frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
    resampler = av.AudioResampler(format=audio.format.name, layout="mono", rate=RATE, frame_size=1024)
    for out in (*resampler.resample(frame), *resampler.resample(None)):
        container.mux(audio.encode(out))
    container.mux(audio.encode(None))
