"""Laundering: seeded, blind to the label, and it takes the shortcuts out."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from unmask_lab.launder import audio, image


def voice(seed: int = 0, seconds: float = 2.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(int(16000 * seconds)) / 16000
    tone = sum(np.sin(2 * np.pi * 130 * k * t) / k for k in range(1, 12))
    return (0.3 * tone * (1 + np.sin(2 * np.pi * 3 * t)) + 0.01 * rng.standard_normal(t.size)).astype(np.float32)


def test_neutral_takes_level_offset_rumble_and_air_out() -> None:
    rng = np.random.default_rng(1)
    t = np.arange(32000) / 16000
    dirty = 7 * voice() + 0.5 + 3 * np.sin(2 * np.pi * 40 * t).astype(np.float32) + 0.5 * rng.standard_normal(32000)
    clean = audio.neutral(dirty.astype(np.float32))
    assert np.sqrt(np.mean(clean**2)) == pytest.approx(0.05, rel=1e-3)
    f, power = signal.welch(clean, 16000, nperseg=4096)
    inside = power[(f > 300) & (f < 3000)].mean()
    assert power[(f > 10) & (f < 50)].mean() < 0.01 * inside and power[f > 7800].mean() < 0.01 * inside


@pytest.mark.parametrize("name", ["libmp3lame", "libopus", "aac"])
def test_codecs_come_back_alike_and_as_long(name: str) -> None:
    import av

    if name not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {name}")
    wave = audio.neutral(voice())
    back = audio.through_codec(wave, name, 64000)
    assert back.shape == wave.shape
    lag = np.correlate(back, wave, "full")
    assert np.abs(lag).max() / (np.linalg.norm(back) * np.linalg.norm(wave)) > 0.9


def test_sound_is_seeded() -> None:
    one, two, other = (audio.launder(voice(), np.random.default_rng(s)) for s in (5, 5, 6))
    assert np.array_equal(one, two) and not np.array_equal(one, other)


def test_pictures_are_seeded_and_keep_their_bounds() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (300, 420, 3)).astype(np.uint8)
    for seed in range(12):
        one, two = (image.launder(pixels, np.random.default_rng(seed)) for _ in range(2))
        assert np.array_equal(one, two)
        assert one.dtype == np.uint8 and one.shape[2] == 3
        assert min(one.shape[:2]) >= 150 and max(one.shape[:2]) <= image.MAX_SIDE


def test_ctranslate2_files_are_read_and_others_refused(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from unmask_lab.nets.whisper import read_ctranslate2

    def text(word: str) -> bytes:
        return struct.pack("<H", len(word) + 1) + word.encode() + b"\0"

    values = np.arange(6, dtype=np.float16).reshape(2, 3)
    body = text("encoder/x") + struct.pack("<B2IBI", 2, 2, 3, 4, values.nbytes) + values.tobytes()
    good = struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, 1) + body
    (tmp_path / "model.bin").write_bytes(good)
    assert np.array_equal(read_ctranslate2(tmp_path / "model.bin", "encoder/")["encoder/x"], values)
    (tmp_path / "old.bin").write_bytes(struct.pack("<I", 5) + good[4:])
    with pytest.raises(ValueError, match="version 5"):
        read_ctranslate2(tmp_path / "old.bin", "encoder/")
