"""The lab's part of image.splice: sources that may train, twins that differ by the change only, and the net's parts."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from lab_made import texture
from PIL import Image

from unmask_lab.errors import LabError
from unmask_lab.forge.launder import jpeg
from unmask_lab.kit import half_of, quarter_of

torch = pytest.importorskip("torch")

from unmask_lab.nets import splice as nets  # noqa: E402 - after the check for torch
from unmask_lab.train import splice_material as material  # noqa: E402
from unmask_lab.train.recipes import image_splice as recipe  # noqa: E402

BY_QUARTER = {quarter_of(f"source-{i}"): f"source-{i}" for i in range(40)}


@pytest.fixture(scope="module")
def small_kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photographs of a source of each quarter, and generated pictures of four folders."""
    folder = tmp_path_factory.mktemp("kit")
    rows = []
    for quarter, source in BY_QUARTER.items():
        for label in ("real", "fake"):
            name = source if label == "real" or quarter != 2 else f"{source}-made"
            for k in range(2):
                path = Path("images") / label / name / f"{k}.jpg"
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(jpeg(texture(10 * quarter + k), 84).data)
                rows.append({"path": str(path), "label": label})
    with (folder / "manifest-images.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "label"])
        writer.writeheader()
        writer.writerows(rows)
    return folder


def test_quarters_and_halves_agree() -> None:
    assert sorted(BY_QUARTER) == [0, 1, 2, 3]
    for quarter, source in BY_QUARTER.items():
        assert half_of(source) == ("calibration" if quarter in (0, 2) else "test")


def test_only_sources_that_may_train_are_hosts(small_kit: Path) -> None:
    found = material.hosts(small_kit)
    assert {host.source for host in found if host.real} == {BY_QUARTER[0]}
    assert all(half_of(host.source) == "calibration" for host in found)
    with (small_kit / "manifest-images.csv").open() as file:
        text = file.read().replace(f"fake/{BY_QUARTER[2]}-made", f"fake/{BY_QUARTER[2]}")
    shared = small_kit.parent / "shared"
    shared.mkdir(exist_ok=True)
    (shared / "manifest-images.csv").write_text(text)
    for path in ("real", "fake"):
        if not (shared / "images" / path).exists():
            (shared / "images").mkdir(exist_ok=True)
            (shared / "images" / path).symlink_to(small_kit / "images" / path)
    assert BY_QUARTER[2] not in {host.source for host in material.hosts(shared)}, "its photographs calibrate"


def test_no_pictures_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "manifest-images.csv").write_text("path,label\n")
    with pytest.raises(LabError, match="no pictures"):
        material.hosts(tmp_path)
    with pytest.raises(LabError, match="make it first"):
        material.load(tmp_path / "nothing")


@pytest.fixture(scope="module")
def pool(small_kit: Path, tmp_path_factory: pytest.TempPathFactory) -> material.Pool:
    families, material.FAMILIES = material.FAMILIES, {"splice": 0.5, "retouch": 0.5}
    folder = tmp_path_factory.mktemp("pool")
    try:
        for name in ("one", "two"):
            assert list(material.build(folder / name, small_kit, None, Path(), 3, 4)) == [1, 2, 3]
    finally:
        material.FAMILIES = families
    assert all((folder / "one" / f.name).read_bytes() == f.read_bytes() for f in sorted((folder / "two").iterdir())), (
        "the same seed gives the same pool"
    )
    return material.load(folder / "one")


def test_host_and_forged_copy_differ_where_the_mask_says(pool: material.Pool) -> None:
    for i in range(len(pool)):
        host, forged, mask = pool.entry(i)
        changed = (host != forged).any(-1)
        near = cv2.dilate((mask == 255).astype(np.uint8), np.ones((25, 25), np.uint8)) > 0
        assert changed.any() and not changed[~near].any()


@pytest.mark.parametrize("way", ["clean", "jpeg85", "any", "resized", "messenger", "webp"])
def test_twins_are_washed_alike(way: str) -> None:
    host = texture(3)
    forged = host.copy()
    forged[100:180, 200:300] = cv2.GaussianBlur(host, (0, 0), 3)[100:180, 200:300]
    treat = material.wash(np.random.default_rng(7), way)
    (a, table_a), (b, table_b), (again, _) = treat(host), treat(forged), treat(host)
    assert a.shape == b.shape and (table_a == table_b).all() and (a == again).all()
    far = np.zeros(a.shape[:2], bool)
    far[-40:] = True
    least = 4 if way == "webp" else 0.5  # WebP predicts blocks from blocks, so a change travels
    assert np.abs(a[far].astype(int) - b[far]).mean() < least < np.abs(a.astype(int) - b).max()


def test_the_table_is_that_of_the_file(tmp_path: Path) -> None:
    jpeglib = pytest.importorskip("jpeglib")
    file = jpeg(texture(1), 77)
    (tmp_path / "a.jpg").write_bytes(file.data)
    expected = np.asarray(jpeglib.read_dct(str(tmp_path / "a.jpg")).qt[0])
    assert (material.opened(file)[1].reshape(8, 8) == expected).all()


def test_a_crop_keeps_the_grid_and_the_truth() -> None:
    rgb = texture(2, 100, 140)
    changed = np.zeros((100, 140), bool)
    changed[40:72, 64:96] = True
    made = recipe.sample(rgb, np.ones(64, np.float32), (changed, ~changed & False), (32, 56), 160, 0)
    assert made.rgb.shape == (3, 160, 160) and (made.rgb[:, :64, :80] == rgb[32:96, 56:136].transpose(2, 0, 1)).all()
    assert made.valid[0].sum() == 8 * 10 and made.forged == 1.0
    assert made.target[0, 1:5, 1:5].all() and made.target.sum() == 16
    turned = recipe.sample(rgb, np.ones(64, np.float32), (changed, ~changed & False), (32, 56), 160, 3)
    assert (turned.target == made.target[:, ::-1, ::-1]).all() and (turned.rgb == made.rgb[:, ::-1, ::-1]).all()


def test_pairs_hold_one_of_each_class_at_the_same_place(pool: material.Pool) -> None:
    host, forged = recipe.pair(pool, 1, np.random.default_rng(1), None)
    assert host.forged == 0 and forged.forged == 1 and host.target.sum() == 0
    assert (host.valid == forged.valid).all() and (host.table == forged.table).all()


def test_the_dct_is_that_of_jpeg() -> None:
    block = np.random.default_rng(1).normal(0, 40, (8, 8)).astype(np.float32)
    ours = torch.nn.functional.conv2d(torch.tensor(block)[None, None], nets.dct_basis())[0, :, 0, 0].numpy()
    assert np.abs(ours.reshape(8, 8) - cv2.dct(block)).max() < 1e-3
    assert nets.zigzag()[:6] == [0, 1, 8, 16, 9, 2] and sorted(nets.zigzag()) == list(range(64))


def test_what_lies_outside_of_the_picture_changes_nothing() -> None:
    torch.manual_seed(1)
    context = nets.Context().eval()
    inside = torch.randn(1, nets.WIDTH, 20, 24)
    out = []
    for filling in (0.0, 9.0):
        features = torch.full((1, nets.WIDTH, 32, 32), filling)
        features[:, :, :20, :24] = inside
        valid = torch.zeros(1, 1, 32, 32)
        valid[:, :, :20, :24] = 1
        with torch.no_grad():
            logits, score, distance = context(features, valid)
        out.append((logits[:, :, :20, :24], score, distance))
    for a, b in zip(*out, strict=True):
        assert torch.allclose(a, b, atol=1e-4)


def test_a_step_of_training_lowers_the_loss_and_every_weight_gets_a_gradient(pool: material.Pool) -> None:
    torch.manual_seed(3)
    net = nets.Splice()
    batch = recipe.collate([s for i in range(2) for s in recipe.pair(pool, i, np.random.default_rng(i), "clean", 160)])
    optimiser = torch.optim.Adam(net.parameters(), 1e-3)
    values = []
    for _ in range(4):
        optimiser.zero_grad()
        value = recipe.loss(net, batch)
        value.backward()
        optimiser.step()
        values.append(float(value.detach()))
    assert values[-1] < values[0]
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


def test_best_f1() -> None:
    target = np.zeros((1, 4, 4), np.float32)
    target[0, 0, :2] = 1
    counted = np.ones_like(target)
    assert recipe.best_f1(target * 5 - 1, target, counted) == 1.0
    assert recipe.best_f1(-target, target, counted) == pytest.approx(2 * 2 / (2 + 16))


def test_pictures_are_read_upright_and_small_ones_left_out(small_kit: Path) -> None:
    path = small_kit / "images" / "real" / BY_QUARTER[0] / "0.jpg"
    kept = path.read_bytes()
    try:
        Image.fromarray(texture(1, 200, 500)).save(path)
        assert path not in {host.path for host in material.hosts(small_kit)}
    finally:
        path.write_bytes(kept)


def test_the_run_is_told_in_the_models_card(tmp_path: Path) -> None:
    line = '{"step": %d, "loss": 1.25, "auc_clean": 0.8, "f1_clean": %.1f, "both": 0.5}\n'
    (tmp_path / "log.jsonl").write_text(line % (100, 0.2) + line % (200, 0.4))
    text = recipe.curve(tmp_path / "log.jsonl", 7)
    assert "seed 7" in text and text.endswith("| 200 | 1.25 | 0.80 | 0.40 |")


def test_what_is_usual_is_near_and_noise_is_far(pool: material.Pool) -> None:
    torch.manual_seed(2)
    net = nets.Splice().eval()
    recipe.fit_usual(net, pool, 1)
    host = pool.entry(0)[0]
    strange = np.random.default_rng(1).integers(0, 256, host.shape).astype(np.uint8)
    nothing = np.zeros(host.shape[:2], bool)
    batch = recipe.collate(
        [recipe.sample(p, np.zeros(64, np.float32), (nothing, nothing), (0, 0), 448, 0) for p in (host, strange)]
    )
    with torch.no_grad():
        near, far = net(batch["rgb"], batch["table"], batch["valid"])[2].ravel().tolist()
    assert near < far
