"""What is measured: a photograph, a film and a recording made from seeds, kept in ``.cache/bench``.

They are no photographs, but cost what photographs cost: texture at all scales, edges, sensor noise that grows with
the light, and the codecs of cameras and phones.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.signal import lfilter

CACHE = Path(__file__).parents[1] / ".cache" / "bench"
VERSION = "3"
FILM_SECONDS, FILM_RATE = 60, 30
SOUND_SECONDS, SOUND_RATE = 600, 44100
VOICE_SECONDS = 60
PICTURES = 100
EXAMPLES = Path(__file__).parents[1] / "examples"


def photo() -> Path:
    """A 12-megapixel JPEG, quality 92, 4:2:0, with a camera's EXIF."""
    return kept("photo-12mp.jpg", lambda path: path.write_bytes(_jpeg(_sensor(world(4000, 3000, 1), 2), 92)))


def megapixel() -> Path:
    """A 1-megapixel JPEG."""
    return kept("photo-1mp.jpg", lambda path: path.write_bytes(_jpeg(_sensor(world(1152, 868, 11), 12), 90)))


def pictures() -> Path:
    """A folder of a hundred 2-megapixel JPEGs of different content and quality."""
    folder = CACHE / f"pictures-v{VERSION}"
    if len(list(folder.glob("*.jpg"))) < PICTURES:
        folder.mkdir(parents=True, exist_ok=True)
        large = world(4000, 3000, 3)
        rng = np.random.default_rng(4)
        for i in range(PICTURES):
            x, y = rng.integers(0, 2400), rng.integers(0, 1800)
            part = _sensor(large[y : y + 1200, x : x + 1600], 100 + i)
            (folder / f"{i:03}.jpg").write_bytes(_jpeg(part, int(rng.integers(80, 96))))
    return folder


def film() -> Path:
    """A minute of 720p at 30 frames a second with sound: a hand-held pan, H.264 (MPEG-4 where x264 is absent)."""
    return kept("film-720p.mp4", _write_film)


def recording() -> Path:
    """Ten minutes of speech-like sound, AAC, 44.1 kHz stereo."""
    return kept("recording-10min.m4a", _write_recording)


def world(width: int, height: int, seed: int) -> NDArray[np.float32]:
    """(height, width, 3) float32, 0..255: texture in octaves, and shapes with hard edges and their own texture."""
    rng = np.random.default_rng(seed)
    out = np.full((height, width, 3), 115, np.float32)
    for cells, strength in ((4, 40), (12, 25), (50, 16), (200, 11), (700, 8), (2000, 7)):
        grid = rng.normal(0, 1, (cells * height // width + 2, cells, 3)).astype(np.float32)
        grid = 0.7 * grid.mean(axis=2, keepdims=True) + 0.3 * grid
        out += strength * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(60):
        points = rng.uniform(0.02, 0.2, (7, 1)) * np.array([width, height]) * rng.uniform(-1, 1, (7, 2))
        hull = cv2.convexHull((points + rng.uniform(0, 1, 2) * (width, height)).astype(np.int32))
        mask = cv2.GaussianBlur(cv2.fillConvexPoly(np.zeros((height, width), np.float32), hull, 1.0), (0, 0), 0.8)
        out += mask[..., None] * rng.normal(0, 35, 3).astype(np.float32)
    return np.clip(out, 0, 255)


def _sensor(light: NDArray[np.float32], seed: int) -> NDArray[np.uint8]:
    """The scene through a lens and a sensor with shot noise."""
    rng = np.random.default_rng(seed)
    soft = cv2.GaussianBlur(light, (0, 0), 0.6)
    noise = rng.standard_normal(light.shape, np.float32)
    return np.asarray(np.clip(soft + noise * np.sqrt(2 + soft / 12), 0, 255), np.uint8)


def _jpeg(pixels: NDArray[np.uint8], quality: int) -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0132] = "Unmask", "bench", "2026:01:01 12:00:00"
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling="4:2:0", exif=exif)
    return buffer.getvalue()


def _write_film(path: Path) -> None:
    encoder = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    options = {"crf": "22", "preset": "veryfast"} if encoder == "libx264" else {"qscale": "4"}
    with av.open(str(path), "w") as container:
        video = container.add_stream(encoder, rate=FILM_RATE, options=options)
        video.width, video.height, video.pix_fmt = 1280, 720, "yuv420p"
        sound = container.add_stream("aac", rate=SOUND_RATE, layout="stereo")
        for i, pixels in enumerate(_pan(FILM_SECONDS * FILM_RATE)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, FILM_RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        mux_sound(container, sound, speech(FILM_SECONDS, 5))


def _pan(count: int) -> Iterator[NDArray[np.uint8]]:
    large = world(2600, 1500, 6)
    rng = np.random.default_rng(7)
    bank = rng.normal(0, 2.5, (900, 1500, 3)).astype(np.float32)
    shake = cv2.GaussianBlur(np.cumsum(rng.normal(0, 1.5, (count, 2)), axis=0), (1, 0), 0, None, 3)
    shake -= np.linspace(shake[0], shake[-1], count)
    for i in range(count):
        turn = i / count * 4 * np.pi
        x, y = 660 + 560 * np.sin(turn) + np.clip(shake[i, 0], -60, 60), 390 + 320 * np.sin(1.5 * turn)
        shift = np.array([[1, 0, -x], [0, 1, -y]], np.float32)
        view = cv2.warpAffine(large, shift, (1280, 720), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        top, left = rng.integers(0, 180), rng.integers(0, 220)
        yield np.clip(view + bank[top : top + 720, left : left + 1280], 0, 255).astype(np.uint8)


def voice() -> Path:
    """A minute of a real voice, 16 kHz, FLAC: an example of the repository again and again."""
    return kept("voice-60s.flac", _write_voice)


def _write_voice(path: Path) -> None:
    with av.open(str(EXAMPLES / "voice.flac")) as source:
        rate = source.streams.audio[0].rate
        resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
        parts = [out.to_ndarray() for frame in source.decode(audio=0) for out in resampler.resample(frame)]
    wave = np.resize(np.concatenate(parts, axis=1), (1, VOICE_SECONDS * rate))
    with av.open(str(path), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=rate, layout="mono")
        for start in range(0, wave.shape[1], rate):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave[:, start : start + rate]), "s16", "mono")
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _write_recording(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=SOUND_RATE, layout="stereo")
        stream.bit_rate = 128_000
        mux_sound(container, stream, speech(SOUND_SECONDS, 8))


def speech(seconds: int, seed: int) -> NDArray[np.float32]:
    """(2, n) float32: syllables of a voice with formants, pauses between them, over the noise of a room."""
    rng = np.random.default_rng(seed)
    voices = [_syllable(rng) for _ in range(80)]
    total = seconds * SOUND_RATE
    wave = np.zeros(total, np.float32)
    at = 0
    while at < total:
        part = voices[rng.integers(len(voices))] * rng.uniform(0.4, 1.0)
        part = part[: total - at]
        wave[at : at + len(part)] += part
        at += len(part) + int(SOUND_RATE * (rng.uniform(0.3, 0.9) if rng.random() < 0.15 else rng.uniform(0, 0.05)))
    floor = 0.002 * lfilter([0.2], [1, -0.8], rng.standard_normal((2, total)).astype(np.float32))
    return np.clip(0.3 * wave[None] + floor, -1, 1).astype(np.float32)


def _syllable(rng: np.random.Generator) -> NDArray[np.float32]:
    n = int(SOUND_RATE * rng.uniform(0.12, 0.3))
    pitch = rng.uniform(95, 220) * (1 + 0.1 * np.sin(np.linspace(0, rng.uniform(1, 4), n)))
    source = np.diff(np.floor(np.cumsum(pitch / SOUND_RATE)), prepend=0) + 0.01 * rng.standard_normal(n)
    for centre, width in ((rng.uniform(300, 800), 90), (rng.uniform(900, 2300), 120), (rng.uniform(2300, 3200), 180)):
        radius = np.exp(-np.pi * width / SOUND_RATE)
        source = lfilter([1 - radius], [1, -2 * radius * np.cos(2 * np.pi * centre / SOUND_RATE), radius**2], source)
    source = source * np.hanning(n)
    return np.asarray(source / np.abs(source).max(), np.float32)


def mux_sound(container: av.container.OutputContainer, stream: av.AudioStream, wave: NDArray[np.float32]) -> None:
    """Encode (2, n) samples and end the stream."""
    for start in range(0, wave.shape[1], SOUND_RATE):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave[:, start : start + SOUND_RATE]), "fltp", "stereo")
        frame.sample_rate, frame.pts = SOUND_RATE, start
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def kept(name: str, make: Callable[[Path], object]) -> Path:
    """An input that is made once and stays in the cache."""
    path = CACHE / f"v{VERSION}-{name}"
    if not path.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"unfinished-{path.name}")
        make(unfinished)
        unfinished.replace(path)
    return path
