"""Steps of wear: each does what its name says, twice the same, and sound keeps its length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lab_made import texture
from PIL import Image

from unmask_lab.errors import LabError
from unmask_lab.launder import ladder

PICTURE = texture(3, 120, 160)
RATE = ladder.RATE
VOICE = (0.1 * np.random.default_rng(1).standard_normal(RATE)).astype(np.float32)


@pytest.mark.parametrize("step", ladder.steps("image"))
def test_every_picture_step_changes_the_picture_the_same_way_twice(step: str) -> None:
    once, again = ladder.wear_image(PICTURE, step), ladder.wear_image(PICTURE, step)
    assert once.dtype == np.uint8 and np.array_equal(once, again)
    assert once.shape != PICTURE.shape or not np.array_equal(once, PICTURE)
    if step.startswith("resize"):
        assert once.shape[0] == round(120 * ladder.amount(step))
    else:
        assert once.shape == PICTURE.shape


@pytest.mark.parametrize("step", ladder.steps("audio"))
def test_every_sound_step_keeps_the_length(step: str) -> None:
    once, again = ladder.wear_audio(VOICE, step), ladder.wear_audio(VOICE, step)
    assert once.shape == VOICE.shape and np.array_equal(once, again)
    assert not np.array_equal(once, VOICE)


def test_stronger_steps_take_more_away() -> None:
    def loss(step: str) -> float:
        return float(np.abs(ladder.wear_image(PICTURE, step).astype(int) - PICTURE).mean())

    assert loss("jpeg95") < loss("jpeg75") < loss("jpeg40")
    assert loss("noise2") < loss("noise20") and loss("blur0.5") < loss("blur3")
    power = {s: np.abs(np.fft.rfft(ladder.wear_audio(VOICE, s)))[5000:].mean() for s in ("band7", "band4", "g711")}
    assert power["g711"] < power["band7"] * 0.05 and power["band4"] < power["band7"] * 0.5
    noise = ladder.wear_audio(VOICE, "snr20") - VOICE
    assert 10 * np.log10(np.mean(VOICE**2) / np.mean(noise**2)) == pytest.approx(20, abs=0.2)


def test_amounts_are_read_from_names() -> None:
    assert [ladder.amount(s) for s in ("jpeg70", "resize0.25", "mp3_64", "opus24", "g711")] == [70, 0.25, 64, 24, 0]


def test_copies_are_written_once_under_a_blind_name(tmp_path: Path) -> None:
    source = tmp_path / "fake-cat.png"
    Image.fromarray(PICTURE).save(source)
    made = ladder.make_variant(source, "image", "jpeg70", tmp_path / "worn")
    assert "fake" not in made.name
    with Image.open(made) as image:
        assert np.array_equal(np.asarray(image), ladder.wear_image(PICTURE, "jpeg70"))
    stamp = made.stat().st_mtime_ns
    assert ladder.make_variant(source, "image", "jpeg70", tmp_path / "worn").stat().st_mtime_ns == stamp
    assert ladder.make_variant(source, "image", "clean", tmp_path) == source


def test_recordings_are_written_and_read_back(tmp_path: Path) -> None:
    ladder._write_flac(tmp_path / "v.flac", VOICE)
    made = ladder.make_variant(tmp_path / "v.flac", "audio", "band4", tmp_path)
    back = ladder.read_wave(made)
    assert np.abs(back - ladder.wear_audio(ladder.read_wave(tmp_path / "v.flac"), "band4")).max() < 1e-4


def test_unknown_steps_and_unreadable_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="jpeg95"):
        ladder.wear_image(PICTURE, "melt3")
    with pytest.raises(LabError, match="recordings"):
        ladder.wear_audio(VOICE, "jpeg70")
    (tmp_path / "x.jpg").write_bytes(b"no picture")
    with pytest.raises(LabError, match="cannot be read"):
        ladder.make_variant(tmp_path / "x.jpg", "image", "jpeg70", tmp_path)
    with pytest.raises(LabError, match="cannot be read"):
        ladder.read_wave(tmp_path / "x.jpg")
