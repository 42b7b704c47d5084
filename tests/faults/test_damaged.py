"""Damaged files of every format: each gets findings or a reason, none takes the examination down."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unmask import Options, Report, Scanner

BAD_CODES = ("worker.crashed", "worker.lost", "detector.error", "detector.nonsense", "limit.wall", "limit.memory")
QUICK = Options(only=("image.metadata", "image.jpeg", "image.ela", "audio", "video", "provenance"), workers=2)


def picture() -> Image.Image:
    rng = np.random.default_rng(4)
    ramp = np.linspace(30, 220, 200)[None, :, None] + rng.normal(0, 9, (150, 200, 3))
    return Image.fromarray(ramp.clip(0, 255).astype(np.uint8))


def still(form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture().save(buffer, form, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def heic() -> bytes:
    import pillow_heif

    buffer = io.BytesIO()
    pillow_heif.from_pillow(picture()).save(buffer, quality=70)
    return buffer.getvalue()


def wav() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        tone = 9000 * np.sin(np.arange(48000) / 20) * (np.arange(48000) % 16000 < 12000)
        file.writeframes(tone.astype("<i2").tobytes())
    return buffer.getvalue()


def coded(suffix: str, video: str | None, audio: str | None) -> bytes:
    """A film or a recording; encoders that every FFmpeg build has."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format=suffix) as container:
        streams = []
        if video:
            film = container.add_stream(video, rate=12)
            film.width, film.height, film.pix_fmt = 160, 120, "yuv420p"
            streams.append(film)
        if audio:
            sound = container.add_stream(audio, rate=48000, layout="mono")
            streams.append(sound)
        for stream in streams:
            if stream.type == "video":
                for i in range(24):
                    shifted = np.roll(np.asarray(picture())[:120, :160], 3 * i, axis=1)
                    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(shifted), format="rgb24")
                    container.mux(stream.encode(frame))
            else:
                tone = (0.3 * np.sin(np.arange(96000) / 30)).astype(np.float32)[None]
                frame = av.AudioFrame.from_ndarray(tone, "fltp", "mono")
                frame.sample_rate = 48000
                size = stream.codec_context.frame_size or 1024
                resampler = av.AudioResampler(stream.format.name, "mono", 48000, frame_size=size)
                for part in (*resampler.resample(frame), *resampler.resample(None)):
                    container.mux(stream.encode(part))
            container.mux(stream.encode(None))
    return buffer.getvalue()


MAKERS = {
    "jpeg": lambda: still("JPEG", quality=88),
    "png": lambda: still("PNG"),
    "webp": lambda: still("WEBP", quality=80),
    "avif": lambda: still("AVIF", quality=70),
    "tiff": lambda: still("TIFF"),
    "gif": lambda: still("GIF"),
    "bmp": lambda: still("BMP"),
    "heic": heic,
    "wav": wav,
    "flac": lambda: coded("flac", None, "flac"),
    "ogg": lambda: coded("ogg", None, "libopus"),
    "m4a": lambda: coded("mp4", None, "aac"),
    "mp4": lambda: coded("mp4", "mpeg4", "aac"),
    "mov": lambda: coded("mov", "mpeg4", None),
    "mkv": lambda: coded("matroska", "mpeg4", "aac"),
    "avi": lambda: coded("avi", "mpeg4", None),
    "webm": lambda: coded("webm", "libvpx-vp9", "libopus"),
    "mp3": lambda: coded("mp3", None, "libmp3lame"),
}


@pytest.fixture(scope="module")
def scanner() -> Iterator[Scanner]:
    with Scanner(QUICK) as found:
        yield found


def made(form: str) -> bytes:
    import av

    needed = {"webm": ("libvpx-vp9", "libopus"), "mp3": ("libmp3lame",), "ogg": ("libopus",)}.get(form, ())
    for name in needed:
        if name not in av.codecs_available:
            pytest.skip(f"this FFmpeg has no {name}")
    return MAKERS[form]()


def check(report: Report) -> None:
    codes = {f.reason.code: f.reason.text for f in report.findings}
    assert not set(codes) & set(BAD_CODES), codes
    assert report.findings
    for finding in report.findings:
        if finding.status == "failed":
            assert finding.reason.text.endswith("."), finding.reason


@pytest.mark.parametrize("form", sorted(MAKERS))
def test_whole_files_are_read(form: str, scanner: Scanner, tmp_path: Path) -> None:
    path = tmp_path / f"whole.{form}"
    path.write_bytes(made(form))
    report = scanner.scan(path)
    check(report)
    assert report.examined, [f.reason.text for f in report.findings if f.status == "failed"]
    assert report.subject.format == form
    assert "name_disagrees" not in report.subject.facts


@pytest.mark.parametrize("form", sorted(MAKERS))
def test_cut_off_at_every_tenth(form: str, scanner: Scanner, tmp_path: Path) -> None:
    data = made(form)
    paths = []
    for tenth in range(1, 10):
        paths.append(tmp_path / f"{tenth}.{form}")
        paths[-1].write_bytes(data[: len(data) * tenth // 10])
    for report in scanner.scan_many(paths):
        check(report)


@pytest.mark.parametrize("form", sorted(MAKERS))
def test_flipped_bits(form: str, scanner: Scanner, tmp_path: Path) -> None:
    data = made(form)
    rng = np.random.default_rng(11)
    paths = []
    for i in range(8):
        broken = bytearray(data)
        # Half of the flips hit the headers, where they hurt most.
        span = len(data) if i % 2 else min(len(data), 400)
        for at in rng.integers(4, span, 1 + 3 * i):
            broken[at] ^= 1 << int(rng.integers(8))
        paths.append(tmp_path / f"{i}.{form}")
        paths[-1].write_bytes(bytes(broken))
    for report in scanner.scan_many(paths):
        check(report)


def test_an_endless_gif_is_read_once(scanner: Scanner, tmp_path: Path) -> None:
    frames = [Image.new("P", (64, 64), c) for c in range(60)]
    path = tmp_path / "endless.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], loop=0)
    report = scanner.scan(path)
    check(report)
    assert report.examined and report.seconds < 10
