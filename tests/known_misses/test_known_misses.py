"""What we know we miss, kept as data. A miss that is found is good news: move it."""

from __future__ import annotations

import io
import tomllib
import wave
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from scipy import signal

import unmask
from unmask.subject import Subject

MISSES = tomllib.loads(Path(__file__).with_name("misses.toml").read_text("utf-8"))
FOUND = ("suspicious", "likely_manipulated", "declared_synthetic")


def spliced(examples: Path) -> Image.Image:
    """A dandelion in a picture that was saved at 92 before."""
    buffer = io.BytesIO()
    Image.open(examples / "mountain.webp").convert("RGB").save(buffer, "JPEG", quality=92)
    base = Image.open(buffer).convert("RGB")
    part = Image.open(examples / "dandelion.jpg").convert("RGB").crop((300, 100, 520, 300))
    base.paste(part, (403, 207))
    return base


def splice_saved_below_the_first_quality(examples: Path, folder: Path) -> Path:
    spliced(examples).save(folder / "a.jpg", quality=70)
    return folder / "a.jpg"


def splice_then_halved(examples: Path, folder: Path) -> Path:
    image = spliced(examples)
    image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS).save(folder / "a.jpg", quality=85)
    return folder / "a.jpg"


def generated_without_declaration(examples: Path, folder: Path) -> Path:
    Image.open(examples / "generated-a1111.png").convert("RGB").resize((512, 512)).save(folder / "a.jpg", quality=90)
    return folder / "a.jpg"


def speech_cut_at_a_pause(examples: Path, folder: Path) -> Path:
    samples = np.tile(Subject(examples / "voice.flac").audio.mono(16000), 2)
    loud = np.convolve(samples**2, np.ones(800) / 800, "same")
    start = 4000 + int(np.argmin(loud[4000:16000]))
    end = start + 6000 + int(np.argmin(loud[start + 6000 : start + 10000]))
    cut = np.concatenate([samples[:start], samples[end : 2 * 16000]])
    with wave.open(str(folder / "a.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes((cut * 32767).astype("<i2").tobytes())
    return folder / "a.wav"


def voice_rebuilt_from_its_spectrum(examples: Path, folder: Path) -> Path:
    samples = np.tile(Subject(examples / "voice.flac").audio.mono(16000), 3)
    _, _, spectrum = signal.stft(samples, 16000, nperseg=512, noverlap=384)
    size = np.abs(spectrum)
    phase = np.exp(2j * np.pi * np.random.default_rng(1).random(size.shape))
    for _ in range(8):
        _, copy = signal.istft(size * phase, 16000, nperseg=512, noverlap=384)
        _, _, again = signal.stft(copy, 16000, nperseg=512, noverlap=384)
        phase = np.exp(1j * np.angle(again[:, : size.shape[1]]))
    _, copy = signal.istft(size * phase, 16000, nperseg=512, noverlap=384)
    with wave.open(str(folder / "a.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes((np.clip(copy, -1, 1) * 32767).astype("<i2").tobytes())
    return folder / "a.wav"


def ten_frames_taken_out(examples: Path, folder: Path) -> Path:
    frames = [f for _, _, f, _ in _frames(examples / "pan.mp4")]
    with av.open(str(folder / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 2_000_000
        for i, frame in enumerate(frames):
            if not 40 <= i < 50:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return folder / "a.mp4"


def _frames(path: Path):  # type: ignore[no-untyped-def]
    with av.open(str(path)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            yield i, frame.time, frame.to_ndarray(format="rgb24"), frame.pict_type


MAKERS: dict[str, Callable[[Path, Path], Path]] = {
    f.__name__: f
    for f in (
        splice_saved_below_the_first_quality,
        splice_then_halved,
        generated_without_declaration,
        speech_cut_at_a_pause,
        voice_rebuilt_from_its_spectrum,
        ten_frames_taken_out,
    )
}


def test_every_miss_has_its_maker() -> None:
    assert sorted(MISSES) == sorted(MAKERS)
    for name, miss in MISSES.items():
        assert miss["text"].endswith("."), name


@pytest.mark.parametrize("name", sorted(MISSES))
def test_it_is_still_missed(name: str, examples: Path, tmp_path: Path) -> None:
    report = unmask.scan(MAKERS[name](examples, tmp_path))
    assert report.examined, "the miss must come from silence, not from a failure"
    assert report.verdict.label not in FOUND, (
        f"{name} is found now: move it from misses.toml to a test of what is found"
    )
