"""Families of training material: each forges a tiny set end to end, or is left out where its weights are not here."""

from __future__ import annotations

import csv
import os
import sys
import types
from pathlib import Path

import cv2
import numpy as np
import pytest
from lab_made import texture
from PIL import Image
from typer.testing import CliRunner

from unmask_lab import manifest
from unmask_lab.errors import LabError
from unmask_lab.forge import pictures, training, voices
from unmask_lab.forge.av_io import Codec, read_sound, write_sound
from unmask_lab.forge.family import Family, PictureJob, VoiceJob, walk
from unmask_lab.forge.forgery import seeded
from unmask_lab.forge.texts import LANGUAGES, sentence
from unmask_lab.forge.training import TrainingPlan, TrainingRow
from unmask_lab.forge.training_pictures import forge_pictures
from unmask_lab.forge.training_voices import forge_voices

ROOT = Path(__file__).parents[2]
WEIGHTS = Path(os.environ.get("UNMASK_LAB_WEIGHTS", ROOT.parent / "shared" / "models"))
PICTURES: dict[str, Family] = walk(pictures)
VOICES: dict[str, Family] = walk(voices)


def voice(seed: int, seconds: float = 1.6) -> np.ndarray:
    """A gliding buzz in syllables, with breath."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(16000 * seconds)) / 16000
    turns = np.cumsum(120 + 15 * seed + 25 * np.sin(2 * np.pi * 1.3 * t)) / 16000
    buzz = sum(np.sin(2 * np.pi * k * turns) / k**1.2 for k in range(1, 24))
    syllables = np.clip(np.sin(2 * np.pi * 2.7 * t) + 0.4, 0.02, 1)
    return (0.2 * buzz * syllables + 0.004 * rng.standard_normal(t.size)).astype(np.float32)


@pytest.fixture(scope="module")
def made_kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kit of three sources a kind, two files each."""
    kit = tmp_path_factory.mktemp("kit")
    rows: dict[str, list[dict[str, str]]] = {"images": [], "audio": []}
    for number in range(6):
        for kind, suffix in (("images", "jpg"), ("audio", "flac")):
            path = Path(kind) / "real" / f"source{number % 3}" / f"file{number}.{suffix}"
            (kit / path).parent.mkdir(parents=True, exist_ok=True)
            if kind == "images":
                Image.fromarray(texture(number, 200, 264)).save(kit / path, quality=90)
            else:
                write_sound(kit / path, voice(number), 16000, Codec("flac", "flac"))
            rows[kind].append({"path": str(path), "label": "real", "language": "en", "licence_stated": "CC0"})
    for kind, table in rows.items():
        with (kit / f"manifest-{kind}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(table[0]))
            writer.writeheader()
            writer.writerows(table)
    return kit


def scene() -> np.ndarray:
    """Large plain shapes with a little grain: what every enlarger must keep."""
    rgb = np.full((200, 264, 3), (60, 90, 140), np.uint8)
    cv2.circle(rgb, (90, 110), 60, (210, 170, 60), -1, cv2.LINE_AA)
    cv2.rectangle(rgb, (160, 30), (240, 150), (40, 160, 90), -1)
    return np.clip(rgb + np.random.default_rng(0).normal(0, 3, rgb.shape), 0, 255).astype(np.uint8)


def icon(rgb: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(rgb).resize((33, 25), Image.Resampling.BOX), float).ravel()


def ready(family: Family) -> Family:
    if missing := family.card.missing(WEIGHTS):
        pytest.skip(missing)
    return family


def plan(kit: Path, out: Path, *only: str, limit: int = 2) -> TrainingPlan:
    return TrainingPlan(kit, out, WEIGHTS, seed=3, only=only, limit=limit)


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_a_picture_family_end_to_end(name: str, made_kit: Path, tmp_path: Path) -> None:
    family = ready(PICTURES[name])
    rows = [row for row in forge_pictures(plan(made_kit, tmp_path, name)) if row.family == name]
    assert len({row.parent for row in rows}) == 2 and len({row.source for row in rows}) == 2
    for row in rows:
        made = np.asarray(Image.open(tmp_path / row.path), np.int16)
        assert bool(row.mask) == family.card.regional
        if row.mask:
            twin = np.asarray(Image.open(tmp_path / row.path.replace(name, "none")), np.int16)
            mask = np.asarray(Image.open(tmp_path / row.mask)) > 0
            assert mask.shape == made.shape[:2] and 0 < mask.mean() < 0.6
            change = np.abs(made - twin).mean(2)
            assert change[mask].mean() > 4 * change[~mask].mean()
    manifest.check([manifest.hashed(row, tmp_path) for row in training.from_training(tmp_path)], tmp_path)


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_a_picture_keeps_its_content_and_its_seed(name: str) -> None:
    family = ready(PICTURES[name])
    rgb = scene()
    first, again = ([made.rgb for made in family.forge(PictureJob(rgb, seeded(1, name), WEIGHTS))] for _ in range(2))
    assert len(first) == len(again) >= 1
    for one, two in zip(first, again, strict=True):
        assert one.dtype == np.uint8 and np.array_equal(one, two)
        assert np.corrcoef(icon(one), icon(rgb))[0, 1] > 0.8
        assert one.shape != rgb.shape or np.abs(one.astype(int) - rgb).mean() > 0.2


@pytest.mark.parametrize("name", sorted(VOICES))
def test_a_voice_family_end_to_end(name: str, made_kit: Path, tmp_path: Path) -> None:
    family = ready(VOICES[name])
    rows = list(forge_voices(plan(made_kit, tmp_path, name, limit=1)))
    assert rows and [row.path for row in training.read(tmp_path)] == [row.path for row in rows]
    for row in rows:
        wave, rate = read_sound(tmp_path / row.path)
        assert rate == 16000 and 0.5 < wave.size / rate <= 3.01 and 0.005 < np.abs(wave).max() <= 1
        assert row.label == ("manipulated" if family.card.regional else "synthetic")
        if family.card.reads == "text":
            assert row.source.startswith("tts-") and row.text and row.language in LANGUAGES and not row.parent
            continue
        parent, _ = read_sound(made_kit / row.parent)
        assert wave.size == parent.size and row.language == "en"
        outside = np.ones(wave.size, bool)
        for start, stop in (map(float, pair.split("-")) for pair in row.segments.split(";") if pair):
            outside[int(start * rate) - 1 : int(stop * rate) + 1] = False
        assert outside.mean() > 0.3
        if family.card.regional:
            assert np.abs((wave - parent)[outside]).max() < 1e-3 < np.abs((wave - parent)[~outside]).max()
        else:
            assert np.abs(wave - parent).mean() > 0.05 * np.abs(parent).mean()


@pytest.mark.parametrize("name", [n for n in sorted(VOICES) if VOICES[n].card.reads == "parent"])
def test_a_copy_sounds_at_the_same_time_and_is_seeded(name: str) -> None:
    family = ready(VOICES[name])
    wave = voice(2)
    one, two = (next(iter(family.forge(VoiceJob(wave, seeded(1, name), WEIGHTS)))).wave for _ in range(2))
    assert np.array_equal(one, two)
    loudness = [np.sqrt(np.convolve(np.square(x, dtype=float), np.ones(800) / 800, "same")) for x in (one, wave)]
    assert np.corrcoef(*loudness)[0, 1] > 0.7


def test_pitch_finds_what_was_sung_and_conversion_moves_it() -> None:
    from unmask_lab.forge.speech import pitch
    from unmask_lab.forge.voices.source_filter import respoken
    from unmask_lab.forge.voices.voice_change import _psola, _stretched_back

    wave = voice(2)
    hertz, voiced = pitch(wave)
    assert np.median(hertz[voiced > 0.5]) == pytest.approx(150, abs=12)
    for changed in (
        _psola(wave, 1.3),
        _stretched_back(wave, 1.3),
        respoken(wave, np.random.default_rng(0), pitched=1.3),
    ):
        moved, sure = pitch(changed)
        assert np.median(moved[sure > 0.5]) == pytest.approx(195, abs=20)


def test_an_older_set_is_completed_and_only_the_named_family_made_again(made_kit: Path, tmp_path: Path) -> None:
    first = list(forge_voices(plan(made_kit, tmp_path, "griffin_lim")))
    list(forge_voices(plan(made_kit, tmp_path, "source_filter")))
    again = list(forge_voices(plan(made_kit, tmp_path, "griffin_lim")))
    rows = training.read(tmp_path)
    assert first == again and {row.family for row in rows} == {"griffin_lim", "source_filter"}
    assert len(rows) == len({row.path for row in rows}) == 4


def test_a_broken_off_run_leaves_a_manifest_of_what_is_there(made_kit: Path, tmp_path: Path) -> None:
    run = forge_pictures(plan(made_kit, tmp_path, "upsampling"))
    kept = [next(run) for _ in range(3)]
    run.close()  # type: ignore[attr-defined]
    assert training.read(tmp_path) == kept and all((tmp_path / row.path).is_file() for row in kept)


def test_parents_come_in_turns_of_sources(made_kit: Path) -> None:
    order = training.parents(made_kit, "image", 1)
    assert len(order) == 6 and len({parent.source for parent in order[:3]}) == 3
    assert order == training.parents(made_kit, "image", 1)
    assert order != training.parents(made_kit, "image", 2) or order != training.parents(made_kit, "image", 5)


def test_a_new_family_is_a_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "src/unmask_lab/forge/pictures/upsampling.py").read_text().replace('"upsampling"', '"mine"')
    (tmp_path / "more_pictures").mkdir()
    (tmp_path / "more_pictures" / "mine.py").write_text(text)
    package = types.ModuleType("more_pictures")
    package.__path__ = [str(tmp_path / "more_pictures")]
    monkeypatch.setitem(sys.modules, "more_pictures", package)
    assert list(walk(package)) == ["mine"]


def test_every_card_says_what_it_makes_and_whose_it_is() -> None:
    for family in (*PICTURES.values(), *VOICES.values()):
        assert len(family.card.makes) > 20 and family.card.licence and family.card.count > 0
    assert "not here: nothing.bin" in Family(
        training_card("x", weights=("nothing.bin",)), PICTURES["upsampling"].forge
    ).card.missing(WEIGHTS)


def training_card(name: str, weights: tuple[str, ...]):  # type: ignore[no-untyped-def]
    from unmask_lab.forge.family import FamilyCard

    return FamilyCard(name, "something to be made by a test", "none", 1, weights)


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_vary_and_have_no_gaps(language: str) -> None:
    said = {sentence(np.random.default_rng(i), language) for i in range(40)}
    assert len(said) > 25 and not any("{" in text for text in said)


def test_wrong_requests_are_refused_plainly(made_kit: Path, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="No family is called nonsense"):
        forge_voices(plan(made_kit, tmp_path, "nonsense"))
    with pytest.raises(LabError, match="is no kit"):
        list(forge_voices(plan(tmp_path, tmp_path / "out", "griffin_lim")))
    (tmp_path / "manifest-images.csv").write_text("path,label\n")
    with pytest.raises(LabError, match="names no bona fide file"):
        list(forge_pictures(plan(tmp_path, tmp_path / "out", "upsampling")))


def test_the_command_lists_and_makes(made_kit: Path, tmp_path: Path) -> None:
    from unmask_lab.cli import app

    listed = CliRunner().invoke(app, ["forge-training", "--kind", "voices", "--weights", str(tmp_path)])
    assert listed.exit_code == 0 and "griffin_lim: " in listed.output
    assert "left out, not here: hifigan_ljspeech_float16.tflite" in listed.output
    options = ["--kit", str(made_kit), "--out", str(tmp_path / "set"), "--only", "upsampling", "--limit", "1"]
    made = CliRunner().invoke(app, ["forge-training", "--kind", "pictures", *options])
    assert made.exit_code == 0 and "upsampling: 1 files" in made.output
    rows: list[TrainingRow] = training.read(tmp_path / "set")
    assert [row.family for row in rows] == ["none", "upsampling"]
