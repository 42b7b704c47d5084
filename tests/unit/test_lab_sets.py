"""A whole forged set from a small made kit: halves, twins, masks, sameness, resuming."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from lab_made import texture
from PIL import Image

from unmask_lab.evaluate import results
from unmask_lab.evaluate.run import evaluate
from unmask_lab.forge import manifest
from unmask_lab.forge.av_io import Codec, read_sound, write_sound
from unmask_lab.forge.build import build
from unmask_lab.forge.forgery import CHANGED
from unmask_lab.forge.images import Plan
from unmask_lab.forge.sounds import CODECS, join
from unmask_lab.kit import half_of, kind_of_source, read_kit

SOURCES = [f"source-{i}" for i in range(10)]


@pytest.fixture(scope="module")
def small_kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("kit")
    pictures, recordings = [], []
    for i, source in enumerate(SOURCES):
        for j in range(2):
            path = root / "images" / "real" / source / f"{j}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(texture(10 * i + j, 330, 400)).save(path, quality=90)
            pictures.append(path)
        path = root / "audio" / "real" / source / "a.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(i)
        sound = np.sin(np.arange(24_000) * 0.05) * 0.2 + rng.normal(0, 0.01, 24_000)
        write_sound(path, sound.astype(np.float32), 16_000, Codec("flac", "flac"))
        recordings.append(path)
    for name, paths in (("images", pictures), ("audio", recordings), ("video", [])):
        with (root / f"manifest-{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "label"])
            writer.writerows([str(p.relative_to(root)), "real"] for p in paths)
    return root


@pytest.fixture(scope="module")
def forged(small_kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    plan = Plan(small_kit, tmp_path_factory.mktemp("forged"), 7, "calibration", 1, 2)
    build(plan)
    return plan.folder


def test_no_source_is_in_both_halves(small_kit: Path) -> None:
    halves = {half_of(s) for s in SOURCES}
    assert halves == {"calibration", "test"}
    one, other = (set(read_kit(small_kit, "image", half)) for half in ("calibration", "test"))
    assert one and other and not one & other and one | other == set(SOURCES)


def test_files_agree_with_the_manifest(forged: Path) -> None:
    rows = manifest.read(forged)
    assert {row.half for row in rows} == {"calibration"}
    for row in rows:
        data = (forged / row.path).read_bytes()
        assert manifest.digest(data) == row.sha256
        assert half_of(row.parent_source) == "calibration"
        if row.modality == "image":
            assert bool(row.mask) == row.manipulated
    assert len({row.path for row in rows}) == len(rows)


def test_twins_go_through_the_same_variants(forged: Path) -> None:
    rows = [row for row in manifest.read(forged) if row.modality == "image"]
    for parent in {row.parent for row in rows if row.manipulated}:
        own = [row for row in rows if row.parent == parent]
        wanted = {row.variant for row in own if row.family == "splice"}
        assert wanted == {"clean", "jpeg95", "jpeg85", "jpeg75", "resized", "messenger"}
        assert wanted <= {row.variant for row in own if not row.manipulated}
        sizes: dict[str, set[tuple[int, int]]] = {}
        for row in own:
            if row.variant in wanted:
                with Image.open(forged / row.path) as image:
                    sizes.setdefault(row.variant, set()).add(image.size)
        assert all(len(found) == 1 for found in sizes.values()), "twins differ in size, which a detector could learn"


def test_masks_show_where_the_clean_twins_differ(forged: Path) -> None:
    rows = {(r.parent, r.family): r for r in manifest.read(forged) if r.modality == "image" and r.variant == "clean"}
    checked = 0
    for (parent, family), row in rows.items():
        if family != "splice":
            continue
        one = np.asarray(Image.open(forged / row.path).convert("RGB"), int)
        twin = np.asarray(Image.open(forged / rows[parent, "none"].path).convert("RGB"), int)
        mask = np.asarray(Image.open(forged / row.mask)) == CHANGED
        difference = np.abs(one - twin).mean(2)
        assert difference[mask].mean() > 5 * difference[~mask].mean() + 1
        checked += 1
    assert checked


def test_same_seed_same_set(small_kit: Path, forged: Path, tmp_path: Path) -> None:
    build(Plan(small_kit, tmp_path, 7, "calibration", 1, 2), ("image", "audio"))
    one = {row.path: row.sha256 for row in manifest.read(forged) if not row.path.endswith(".ogg")}
    again = {row.path: row.sha256 for row in manifest.read(tmp_path / "calibration") if not row.path.endswith(".ogg")}
    assert one == again


def test_other_modalities_stay_in_the_manifest(small_kit: Path, tmp_path: Path) -> None:
    plan = Plan(small_kit, tmp_path, 7, "calibration", 1)
    build(plan, ("audio",))
    build(plan, ("image",))
    assert {row.modality for row in manifest.read(plan.folder)} == {"audio", "image"}


def test_recordings_keep_their_length_and_tell_their_joins(forged: Path) -> None:
    rows = [row for row in manifest.read(forged) if row.modality == "audio"]
    assert {row.variant for row in rows} == set(CODECS)
    for row in rows:
        if row.variant != "clean":
            continue
        sound, rate = read_sound(forged / row.path)
        seconds = len(sound) / rate
        assert bool(row.segments) == row.manipulated
        for part in filter(None, row.segments.split(";")):
            start, end = map(float, part.split("-"))
            assert 0 <= start <= end <= seconds + 0.01
        expected = {"deletion": (0.9, 1.4), "insertion": (1.6, 2.1)}.get(row.family, (1.49, 1.51))
        assert expected[0] < seconds < expected[1]


def test_a_faded_join_starts_and_ends_in_silence() -> None:
    parts = [np.full(1000, 0.5, np.float32), np.full(1000, -0.5, np.float32)]
    hard, soft = join(parts, 16_000, 0.0), join(parts, 16_000, 0.01)
    assert len(hard) == len(soft) == 2000
    assert abs(hard[999]) == 0.5 and abs(soft[999]) < 1e-6 and abs(soft[1000]) < 1e-6 and soft[0] == 0.5


def test_evaluation_resumes_and_runs_changed_files_again(forged: Path, tmp_path: Path) -> None:
    table = tmp_path / "results.csv"
    first = list(evaluate(forged, table, only=["provenance.c2pa"], every=2))
    assert first, "nothing was examined"
    again = list(evaluate(forged, table, only=["provenance.c2pa"], every=2))
    assert again == []
    found = results.read(table)
    assert {r.detector for r in found.values()} >= {"provenance.c2pa", "baseline.bytes"}
    victim = next(iter(found.values()))
    results.append(table, [results.Result(victim.path, victim.detector, "old", "ok", "x")])
    assert list(evaluate(forged, table, only=["provenance.c2pa"], every=2)) == [1]


def test_unknown_sources_are_web_photographs() -> None:
    assert kind_of_source("never-seen") == "web photograph"
    assert kind_of_source("metadata-extractor-images") == "camera original"
    assert kind_of_source("anything", "audio") == "read speech"
    assert kind_of_source("zhouyong64-winter", "audio", "NUS48E-singing") == "singing"
    assert kind_of_source("zhouyong64-winter", "audio", "winter-vc-sources") == "read speech"
    assert kind_of_source("klchang-speakerrecognition", "audio") == "telephone"
    assert kind_of_source("anything", "video") == "film"
