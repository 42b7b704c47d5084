"""The recipe of image.synthetic on features made here: heads, sources left out, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from unmask.detectors.image_synthetic.networks import FAMILIES  # noqa: E402
from unmask.errors import ModelError  # noqa: E402
from unmask.models.catalogue import FETCHABLE  # noqa: E402
from unmask.models.store import read_model_card  # noqa: E402
from unmask.models.tower import TOWER  # noqa: E402
from unmask_lab import scores  # noqa: E402
from unmask_lab.errors import LabError  # noqa: E402
from unmask_lab.manifest import Row, folds  # noqa: E402
from unmask_lab.nets.lite import Lite  # noqa: E402
from unmask_lab.nets.synthetic import Distance, pooled  # noqa: E402
from unmask_lab.train import options  # noqa: E402
from unmask_lab.train import synthetic_material as material  # noqa: E402
from unmask_lab.train.options import TrainOptions  # noqa: E402
from unmask_lab.train.recipes import image_synthetic as recipe  # noqa: E402
from unmask_lab.train.reference import drawn_picture  # noqa: E402


def rows(sources: int = 12, each: int = 6) -> list[Row]:
    out = []
    for s in range(sources):
        family = recipe.FAMILIES[s // 2 % 4] if s % 2 else ""
        label, question = ("synthetic", "image.synthetic") if s % 2 else ("bona_fide", "")
        for i in range(each):
            out.append(Row(f"s{s}/{i}.jpg", "image", label, question, f"s{s}", family, family))
    return out


def made(signal: float, listed: list[Row] | None = None) -> material.Material:
    """Noise with a shift of ``signal`` along one direction for generated pictures."""
    listed, rng = listed or rows(), np.random.default_rng(0)
    n = len(listed)
    tokens = rng.normal(0, 1, (n, 3, len(material.BLOCKS), 768))
    views = rng.normal(0, 1, (n, 3, 1 + material.PATCHES, material.CHANNELS))
    truth = np.asarray([row.positive for row in listed])
    tokens[truth, :, :, :8] += signal
    views[truth, ..., :8] += signal
    return material.Material(listed, tokens.astype(np.float16), views.astype(np.float16))


def scenes_of(seen: material.Material) -> material.Material:
    """The screenshots, memes and scans of its bona fide pictures."""
    return made(0.0, material.scene_rows(seen.rows))


@pytest.fixture(autouse=True)
def few_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "PARTS", 24)
    torch.manual_seed(1)


def test_sources_left_out_are_told_apart_where_there_is_a_signal() -> None:
    seen = made(3.0)
    fold = folds(seen.rows, 3, 1)
    table, log = recipe.out_of_fold(seen, scenes_of(seen), fold)
    for stratum in ("small", "tower"):
        raw = [[r.raw for r in table if r.stratum == stratum and r.label == label] for label in (0, 1)]
        assert np.mean(np.asarray(raw[1]) > np.median(raw[0])) > 0.95, stratum
    assert 0 <= log["share_of_whole"] <= 1
    assert {row.variant for row in table} == {"clean", "laundered:1", "laundered:2"}
    assert all(row.kind == "" for row in table if row.label)
    assert isinstance(table[0], scores.Score)
    of = {row.path: row.fold for row in table}
    made_of = {row.path: row for row in table if row.path.endswith("#scan")}
    assert made_of and all(row.kind == "scan" and row.label == 0 for row in made_of.values())
    assert all(row.fold == of[path.partition("#")[0]] for path, row in made_of.items()), "by heads that know no parent"


def test_super_resolution_is_named_and_changes_no_score() -> None:
    seen = made(3.0)
    rng = np.random.default_rng(2)
    more = rng.normal(0, 1, (40, 3, len(material.BLOCKS), 768)).astype(np.float32)
    more[..., 20:40] += 3.0
    more = more[:, :, : len(recipe.READ)].reshape(40, 3, -1)
    tokens = recipe.token_features(seen.tokens)
    torch.manual_seed(1)
    plain, _ = recipe.fit(tokens, seen.rows, recipe.TOKEN_DECAY)
    torch.manual_seed(1)
    head, far = recipe.fit(tokens, seen.rows, recipe.TOKEN_DECAY, enlarged=more)
    assert torch.equal(plain.linear.weight[0], head.linear.weight[0]), "the score knows nothing of them"
    families = recipe.tower_scores(head, far, more.reshape(120, -1))[1]
    assert (families.argmax(1) == recipe.FAMILIES.index(material.ENLARGED)).mean() > 0.9
    assert len(recipe.FAMILIES) == len(FAMILIES), "the detector has a word for each"


def test_an_earlier_version_s_scores_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, everything = made(3.0), np.arange(72)
    before, after = (recipe.heads(seen, everything) for _ in range(2))
    monkeypatch.setattr(recipe, "BEFORE", (recipe.SMALL, recipe.PROBE))
    recipe.write_models(tmp_path, seen, before, Lite(6).eval(), drawn_picture(300, 300), False)
    assert before.tokens is not None and after.tokens is not None and before.token_distance is not None
    names = after.tokens.linear.weight[1:].clone()
    assert not torch.equal(before.tokens.linear.weight[0], after.tokens.linear.weight[0]), "main directions are drawn"
    recipe._keep(after, tmp_path)
    assert torch.equal(before.tokens.linear.weight[0], after.tokens.linear.weight[0])
    assert torch.equal(before.token_distance.axes, after.token_distance.axes)
    assert torch.allclose(before.patch.linear.weight[0], after.patch.linear.weight[0], atol=1e-3), "stored as float16"
    assert torch.equal(names, after.tokens.linear.weight[1:]), "the naming stays new"
    with pytest.raises(LabError, match="other pictures"):
        recipe._keep(recipe.heads(made(9.0), everything), tmp_path)
    (tmp_path / recipe.SMALL / "model.onnx").write_bytes(b"no model")
    with pytest.raises(LabError, match="no model whose scores"):
        recipe._keep(after, tmp_path)


def test_a_missing_model_is_told_before_the_work(tmp_path: Path) -> None:
    told = TrainOptions("image.synthetic", tmp_path / "run", tiny_kit(tmp_path / "kit"))
    files = {"backbone": drawn_weights(tmp_path / "w.pth"), "scores": tmp_path / "nowhere"}
    with pytest.raises(LabError, match="nowhere"):
        options.run(dataclasses.replace(told, files=files))
    assert not (tmp_path / "run" / "views.npy").exists()


def test_enlarged_pictures_are_of_sources_left_out_with_them() -> None:
    seen = made(3.0)
    enlarged = made(0.0, material.enlarged_rows(seen.rows))
    assert all(not row.positive and row.family == material.ENLARGED for row in enlarged.rows)
    fold = folds(seen.rows, 3, 1)
    where = recipe.folds_of(enlarged, seen, fold)
    of = {row.source: int(k) for row, k in zip(seen.rows, fold, strict=True)}
    assert [of[row.source] for row in enlarged.rows] == where.tolist()
    table, log = recipe.out_of_fold(seen, scenes_of(seen), fold, enlarged=enlarged)
    assert not any(row.path.endswith(material.ENLARGED) for row in table)
    assert log["enlarged"] == len(enlarged.rows) and set(log["named"]) == set(recipe.FAMILIES)
    for told in log["named"].values():
        assert told["above"] == sum(count for key, count in told.items() if key not in {"copies", "above"})


def test_noise_gives_no_score_that_tells_classes_apart() -> None:
    seen = made(0.0)
    table, _ = recipe.out_of_fold(seen, scenes_of(seen), folds(seen.rows, 3, 1))
    tower = [(row.raw, row.label) for row in table if row.stratum == "tower"]
    real, fake = ([raw for raw, label in tower if label == k] for k in (0, 1))
    assert 0.3 < np.mean(np.asarray(fake)[:, None] > np.asarray(real)[None]) < 0.7


def test_classes_and_sources_are_balanced() -> None:
    listed = rows(4, 2) + [Row(f"big/{i}.jpg", "image", "bona_fide", source="big") for i in range(50)]
    weight = recipe.source_weights(listed)
    positive = np.asarray([row.positive for row in listed])
    assert weight[positive].sum() == pytest.approx(1) and weight[~positive].sum() == pytest.approx(1)
    big = np.asarray([row.source == "big" for row in listed])
    assert weight[big].sum() < 50 / 54


def test_artwork_weighs_a_small_fixed_share_and_makes_no_scene() -> None:
    listed = rows(4, 6) + [Row(f"art/{i}.jpg", "image", "bona_fide", source="art-game") for i in range(30)]
    weight = recipe.source_weights(listed)
    drawn = np.asarray([row.source == "art-game" for row in listed])
    positive = np.asarray([row.positive for row in listed])
    assert weight[drawn].sum() == pytest.approx(recipe.ART_SHARE) and weight[~positive].sum() == pytest.approx(1)
    assert material.scene_of(listed[-1]) == "art"
    assert not any(row.source == "art-game" for row in material.scene_rows(listed))


def test_one_in_a_hundred_of_the_training_material_is_far() -> None:
    x = torch.randn(2000, 100)
    distance = Distance(100, 16)
    distance.fit(x)
    assert float((distance(x) > 1).float().mean()) == pytest.approx(0.01, abs=0.003)
    assert float(distance(x * 5).median()) > 2


def test_pooled_is_mean_and_deviation_of_each_map() -> None:
    maps = torch.randn(2, 3, 5, 5)
    assert torch.allclose(pooled([maps]), torch.cat([maps.mean((2, 3)), maps.std((2, 3))], 1), atol=1e-4)


def test_the_backbone_halves_sides_as_its_stages_say() -> None:
    maps = Lite(6)(torch.zeros(1, 3, 224, 224))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (16, 112, 112), (24, 56, 56), (40, 28, 28), (80, 14, 14), (112, 14, 14), (192, 7, 7)
    ]  # fmt: skip


def test_another_run_and_broken_pictures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text("other.jpg")
    with pytest.raises(LabError) as caught:
        material.measure(rows(2, 1), tmp_path, tmp_path, Lite(1))
    assert caught.value.code == "train.other_run"
    (tmp_path / "s0").mkdir()
    (tmp_path / "s0" / "0.jpg").write_bytes(b"no picture")
    with pytest.raises(LabError) as broken:
        material.variants(rows(1, 1)[0], tmp_path, 2)
    assert broken.value.code == "manifest.file"


def test_laundering_does_not_hang_on_the_label(tmp_path: Path) -> None:
    (tmp_path / "a.png").parent.mkdir(exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)).save(tmp_path / "a.png")
    pair = [Row("a.png", "image", label) for label in ("bona_fide", "synthetic")]
    first, second = (material.variants(row, tmp_path, 3) for row in pair)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_scenes_are_made_of_as_many_sources_as_there_are(tmp_path: Path) -> None:
    listed = rows(8, 20)
    scenes = material.scene_rows(listed)
    assert not any(row.positive for row in scenes) and len(scenes) == 80
    assert {row.source for row in scenes[:4]} == {row.source for row in listed if not row.positive}
    Image.fromarray(drawn_picture(300, 400)).save(tmp_path / "a.png")
    kinds = {}
    for kind in material.SCENE_KINDS:
        made_of = material.variants(Row(f"a.png#{kind}", "image", "bona_fide"), tmp_path, 2)
        assert len(made_of) == 2 and not np.array_equal(made_of[0], drawn_picture(300, 400))
        kinds[material.scene_of(Row(f"a.png#{kind}", "image", "bona_fide"))] = made_of[0].shape
    assert list(kinds) == list(material.SCENE_KINDS)


def test_the_tower_gives_every_block_that_is_read_and_measured() -> None:
    card = read_model_card(FETCHABLE / TOWER)
    given = {output.name for output in card.outputs}
    assert {f"cls{block}" for block in (*material.BLOCKS, *recipe.READ)} <= given


def test_large_sources_are_cut_and_small_ones_kept() -> None:
    listed = rows(4, 3) + [Row(f"big/{i}.jpg", "image", "bona_fide", source="big") for i in range(90)]
    kept = material.few_of_a_source(listed)
    assert kept == material.few_of_a_source(listed)
    assert sum(listed[i].source == "big" for i in kept) == material.MOST_OF_A_SOURCE and len(kept) == 12 + 60


def tiny_kit(folder: Path) -> Path:
    """Ten sources of two drawn pictures with the kit's manifest."""
    lines = ["path,label,method,licence_stated,source_repository,sha256"]
    for s in range(10):
        kind = ("real", "fake")[s % 2]
        for i in range(2):
            name = f"images/{kind}/s{s}/{i}.png"
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(drawn_picture(170, 180, seed=10 * s + i)).save(folder / name)
            method = ("StyleGAN", "Stable Diffusion")[s // 2 % 2] if s % 2 else ""
            lines.append(f"{name},{kind},{method},none stated,r{s},{10 * s + i}")
    (folder / "manifest-images.csv").write_text("\n".join(lines) + "\n")
    return folder


def drawn_weights(path: Path) -> Path:
    """A file of the backbone's layout with random weights."""
    state: dict[str, Any] = {}

    def conv(layer: Any, name: str, norm: str) -> None:
        state[name + ".weight"] = layer.conv.weight.detach() * 2
        out = len(layer.conv.weight)
        state.update({f"{norm}.{k}": torch.ones(out) for k in ("weight", "running_var")})
        state.update({f"{norm}.{k}": torch.zeros(out) for k in ("bias", "running_mean")})

    net = Lite(6)
    conv(net.stem, "_conv_stem", "_bn0")
    for number, block in enumerate(block for stage in net.stages for block in stage):
        before = f"_blocks.{number}."
        if not isinstance(block.widen, torch.nn.Identity):
            conv(block.widen, before + "_expand_conv", before + "_bn0")
        conv(block.depthwise, before + "_depthwise_conv", before + "_bn1")
        conv(block.narrow, before + "_project_conv", before + "_bn2")
    torch.save(state, path)
    return path


class Tower:
    """Class tokens drawn from the picture's mean, where CLIP's tower would be."""

    card = SimpleNamespace(inputs=[SimpleNamespace(name="pixels")])

    def run(self, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        seed = int(abs(given["pixels"].sum()) * 10)
        drawn = np.random.default_rng(seed).normal(0, 1, (len(material.BLOCKS), 1, 768)).astype(np.float32)
        return {f"cls{block}": drawn[i] for i, block in enumerate(material.BLOCKS)}


@pytest.mark.parametrize("tower", [False, True])
def test_one_command_goes_from_pictures_to_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tower: bool) -> None:
    def opened(name: str) -> Tower:
        if not tower:
            raise ModelError("model.unknown", f"No model is called {name!r}.")
        return Tower()

    monkeypatch.setattr(material, "open_model", opened)
    weights, kit = drawn_weights(tmp_path / "w.pth"), tiny_kit(tmp_path / "kit")
    told = TrainOptions("image.synthetic", tmp_path / "run", kit, steps=3, fold=1, folds=3)
    told = dataclasses.replace(told, files={"backbone": weights}, export=tmp_path / "models")
    options.run(told)
    table = scores.read(tmp_path / "run" / "scores.csv")
    assert {row.fold for row in table} == {1}, "--fold scores that fold alone"
    assert {row.stratum for row in table} == ({"small", "tower"} if tower else {"small"})
    made = sorted(p.name for p in (tmp_path / "models").iterdir())
    assert made == sorted([recipe.SMALL, recipe.PROBE] if tower else [recipe.SMALL])
    assert read_model_card(tmp_path / "models" / recipe.SMALL).id == "image-synthetic-small"
    with pytest.raises(LabError, match="there already"):
        options.run(told)
