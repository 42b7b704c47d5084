"""The lab's faces: the bank, the forgeries of faces, aligned pairs for training, the recipe's parts."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from unmask.faces.align import TEMPLATE
from unmask_lab import face_bank
from unmask_lab.errors import LabError
from unmask_lab.face_bank import BankFace, Origin
from unmask_lab.forge import faces as families
from unmask_lab.forge.faces.own_warp import bent_to, drawn_by_tool, moved_mesh, own_warp
from unmask_lab.forge.faces.parent import LIPS, FaceJob, FaceParent, colours_of, hull, laid, soft, warped
from unmask_lab.forge.faces.reenact import expression
from unmask_lab.forge.faces.self_blend import self_blend
from unmask_lab.forge.family import Family, PictureMade, walk
from unmask_lab.kit import half_of
from unmask_lab.train import face_material as material


def parent(seed: int, side: int = 200, size: float = 100.0) -> FaceParent:
    """A textured square with a mesh: points on rings around the middle, in the order of the mesh's outline."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    base = 110 + 50 * np.sin(x / 17 + seed) + 30 * np.cos(y / 11)
    rgb = np.clip(base[..., None] + rng.normal(0, 12, (side, side, 3)), 0, 255).astype(np.uint8)
    mesh = np.zeros((468, 3), np.float32)
    radius = size / 2 * np.sqrt(rng.random(468))
    angle = rng.uniform(0, 2 * np.pi, 468)
    mesh[:, 0], mesh[:, 1] = side / 2 + radius * np.cos(angle), side / 2 + radius * np.sin(angle)
    outline = list(families_oval())
    turn = np.linspace(-np.pi / 2, 1.5 * np.pi, len(outline), endpoint=False)
    mesh[outline, 0], mesh[outline, 1] = side / 2 + size / 2 * np.cos(turn), side / 2 + size / 2 * np.sin(turn)
    keypoints = (side / 2 + size * (TEMPLATE - 0.5)).astype(np.float32)
    return FaceParent(rgb, mesh, keypoints, size)


def families_oval() -> tuple[int, ...]:
    from unmask_lab.forge.faces.parent import OVAL

    return OVAL


def banked(seed: int, source: str, label: str = "real") -> BankFace:
    origin = Origin(f"images/{label}/{source}/{seed}.jpg", 0, source, label, "method", "portrait", "test", 100.0, 0.5,
                    0.0, 1, (200, 200))  # fmt: skip
    return BankFace(parent(seed), origin)


FOUND: dict[str, Family[FaceJob, PictureMade]] = walk(families)
LIGHT = sorted(name for name, family in FOUND.items() if not family.card.weights)


@pytest.mark.parametrize("name", LIGHT)
def test_a_forgery_repeats_and_changes_its_mask_only(name: str) -> None:
    def make(seed: int) -> PictureMade:
        return next(iter(FOUND[name].forge(FaceJob(parent(1), parent(2), np.random.default_rng(seed)))))

    made, again = make(7), make(7)
    assert np.array_equal(made.rgb, again.rgb)
    assert made.mask is not None
    assert made.rgb.shape == parent(1).rgb.shape
    changed = np.abs(made.rgb.astype(int) - parent(1).rgb).max(axis=2)
    assert 0.01 < made.mask.mean() < 0.7
    assert changed[made.mask].mean() > 1
    if name not in material.TRAINED_ON:  # self-blending may alter the picture around the face instead
        x, y, w, h = cv2.boundingRect(hull(parent(1).flat, made.rgb.shape).astype(np.uint8))
        changed[y : y + h, x : x + w] = 0
        assert changed.max() <= 1


def test_the_families_are_cards_with_masks() -> None:
    assert {"face_self_blend", "face_swap_alpha", "face_swap_poisson", "face_reenact", "face_lips"} <= set(FOUND)
    assert all(family.card.regional for family in FOUND.values())


def test_a_warp_to_itself_changes_nothing() -> None:
    face = parent(3)
    same = warped(face, face.flat, face.rgb.shape).astype(int)
    assert np.abs(same - face.rgb)[2:-2, 2:-2].max() <= 1


def test_a_warp_brings_the_mesh_to_its_target() -> None:
    face = parent(3)
    moved = warped(face, face.flat + np.float32(9), face.rgb.shape).astype(int)
    assert np.abs(moved[60:150, 60:150] - face.rgb[51:141, 51:141]).mean() < 1


def test_an_expression_moves_the_features_and_not_the_outline() -> None:
    face, donor = parent(3), parent(4)
    target = expression(face, donor, 1.0)
    outline = list(families_oval())
    assert np.abs(target - face.flat)[outline].max() < 1e-4
    assert np.abs(target - face.flat).max() > 1


def test_colours_and_masks() -> None:
    a, b = parent(1).rgb, np.clip(parent(2).rgb.astype(int) // 2, 0, 255).astype(np.uint8)
    mask = hull(parent(1).flat, a.shape)
    before, after = (abs(float(p[mask].mean()) - float(b[mask].mean())) for p in (a, colours_of(a, b, mask)))
    assert after < 0.2 * before
    alpha = soft(mask, 8)
    assert alpha[100, 100] > 0.95
    assert alpha[~mask].max() == 0
    assert np.array_equal(laid(a, b, np.zeros_like(alpha)), a)


def test_self_blending_keeps_what_lies_outside_unless_the_base_was_altered() -> None:
    kept = 0
    for seed in range(12):
        rgb, alpha, _ = self_blend(np.random.default_rng(seed), parent(5))
        kept += int(np.array_equal(rgb[alpha < 1e-4], parent(5).rgb[alpha < 1e-4]))
        assert alpha.max() <= 1.0
    assert 3 <= kept <= 11


def test_the_quick_warp_is_near_the_exact_one() -> None:
    face = parent(3)
    same = bent_to(face, face.flat, face.rgb.shape).astype(int)
    assert np.abs(same - face.rgb)[2:-2, 2:-2].max() <= 1
    moved = bent_to(face, face.flat + np.float32(9), face.rgb.shape).astype(int)
    assert np.abs(moved[60:150, 60:150] - face.rgb[51:141, 51:141]).mean() < 1


def test_a_random_movement_stays_small_and_moves_mouths_at_the_mouth() -> None:
    face, lips = parent(3), list(LIPS)
    shares = []
    for seed in range(20):
        shift = np.linalg.norm(moved_mesh(np.random.default_rng(seed), face, "mouth") - face.flat, axis=1)
        assert shift.max() < 0.35 * face.size
        shares.append(shift[lips].mean() / (shift.mean() + 1e-6))
    assert np.median(shares) > 1


def test_a_tool_of_few_pixels_leaves_less_detail() -> None:
    face = parent(3)
    sharp = cv2.Laplacian(face.rgb, cv2.CV_32F).std()
    drawn = [cv2.Laplacian(drawn_by_tool(np.random.default_rng(s), face.rgb, 180.0), cv2.CV_32F) for s in range(8)]
    assert max(layer.std() for layer in drawn) < sharp
    assert drawn[0].shape == face.rgb.shape


def test_own_warps_leave_the_surroundings_to_the_last_digit() -> None:
    for seed in range(6):
        rgb, alpha, _ = own_warp(np.random.default_rng(seed), parent(5))
        assert np.array_equal(rgb[alpha == 0], parent(5).rgb[alpha == 0])
        assert np.abs(rgb.astype(int) - parent(5).rgb)[alpha > 0.2].mean() > 0.3


def test_worn_things_are_on_both_of_a_pair() -> None:
    face = parent(5)
    kinds = [material.worn(face, np.random.default_rng(seed)) for seed in range(8)]
    changed = [(np.abs(rgb.astype(int) - face.rgb).max(axis=2) > 8).mean() for rgb in kinds]
    assert min(changed) > 0.001
    assert max(changed) < 0.3


def test_both_of_a_pair_have_one_history() -> None:
    real, forged = material.pair(parent(6), np.random.default_rng(3))
    assert (real.forged, forged.forged) == (False, True)
    assert real.rgb.shape == forged.rgb.shape == (material.SIDE, material.SIDE, 3)
    assert real.cells.max() == 0
    assert forged.cells.max() > 0.1
    again = material.pair(parent(6), np.random.default_rng(3))[1]
    assert np.array_equal(forged.rgb, again.rgb)
    other = material.pair(parent(6), np.random.default_rng(3), "clean", parent(7))
    # With another face laid over it, what lies far from the blend is the same to the last digit.
    far = cv2.resize(other[1].cells, (material.SIDE, material.SIDE), interpolation=cv2.INTER_NEAREST) == 0
    far = cv2.erode(far.astype(np.uint8), np.ones((35, 35))) > 0
    assert far.any()
    assert np.array_equal(other[0].rgb[far], other[1].rgb[far])
    assert not np.array_equal(other[0].rgb, other[1].rgb)


def test_alignment_is_that_of_the_product_and_carries_the_mask() -> None:
    from unmask.faces import Face, crop

    face = parent(6)
    found = Face((50, 50, 100, 100), face.keypoints, 1.0, 1.0, 0.5)
    alpha = np.zeros(face.rgb.shape[:2], np.float32)
    alpha[:, 100:] = 1
    rgb, cells = material.align(face.rgb, face.keypoints, None, alpha)
    assert np.array_equal(rgb, crop(face.rgb, found, material.SIDE, material.MARGIN))
    assert cells[:, :6].max() < 0.01
    assert cells[:, 8:].min() > 0.99


@pytest.mark.parametrize("variant", material.VARIANTS)
def test_laundering_is_blind_and_repeats(variant: str) -> None:
    picture = parent(8).rgb
    first, again = (material.wash(picture, np.random.default_rng(4), variant) for _ in range(2))
    assert np.array_equal(first, again)
    assert min(first.shape[:2]) >= material.LEAST_SIDE
    assert np.array_equal(first, picture) == (variant == "clean")


def test_keypoints_follow_a_resize() -> None:
    moved = material.scaled(np.array([[49.5, 99.5]]), (200, 100), (100, 50))
    assert moved.tolist() == [[24.5, 49.5]]


def test_the_sampler_is_a_function_of_seed_and_step() -> None:
    bank = [banked(1, "a"), banked(2, "a"), banked(3, "b")]
    draw, other = material.sampler(bank, 1, 2, 0.5), material.sampler(bank, 2, 2, 0.5)
    assert np.array_equal(draw(5)[1].rgb, draw(5)[1].rgb)
    assert not np.array_equal(draw(5)[1].rgb, draw(6)[1].rgb)
    assert not np.array_equal(draw(5)[1].rgb, other(5)[1].rgb)
    assert [face.forged for face in draw(0)] == [False, True, False, True]


def test_left_out_forgeries_never_hold_the_family_that_trains(tmp_path: Path) -> None:
    bank = [banked(1, "a"), banked(2, "a"), banked(3, "b")]
    made = list(material.left_out(bank, tmp_path, 1, 1, 1))
    assert {name for _, name, _ in made} == set(LIGHT) - set(material.TRAINED_ON)
    assert len({face.origin.path for face, _, _ in made}) == 2
    near = material.Likeness([*bank, banked(1, "a")])
    assert all(near(bank[0], np.random.default_rng(i)).origin.path != bank[0].origin.path for i in range(5))


def test_a_bank_is_read_as_it_was_written(tmp_path: Path) -> None:
    bank = [banked(1, "a"), banked(2, "b", "fake")]
    face_bank.write(tmp_path / "bank.npz", bank)
    again = face_bank.read(tmp_path / "bank.npz")
    assert [face.origin for face in again] == [face.origin for face in bank]
    assert np.array_equal(again[1].parent.rgb, bank[1].parent.rgb)
    assert np.array_equal(again[1].parent.mesh, bank[1].parent.mesh)
    assert again[1].parent.size == bank[1].parent.size


@pytest.mark.parametrize("damage", [b"", b"not a bank", None])
def test_a_damaged_or_missing_bank_is_told(tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "bank.npz"
    if damage is not None:
        path.write_bytes(damage)
    with pytest.raises(LabError, match="make it again"):
        face_bank.read(path)


def test_faces_of_the_kit_are_cut_with_their_mesh(kit: Path) -> None:
    from PIL import Image

    from unmask.faces import detect

    path = sorted((kit / "images" / "real" / "face-recognition").iterdir())[0]
    rgb: NDArray[np.uint8] = np.asarray(Image.open(path).convert("RGB"))
    face = detect(rgb)[0]
    found = face_bank.cut(rgb, face)
    h, w = found.rgb.shape[:2]
    assert max(h, w) <= face_bank.MOST_SIDE
    middle = found.flat.mean(axis=0)
    assert 0.25 * w < middle[0] < 0.75 * w
    assert 0.25 * h < middle[1] < 0.75 * h
    assert np.abs(found.keypoints.mean(axis=0) - middle).max() < 0.2 * found.size


class TestRecipe:
    """What needs torch."""

    @pytest.fixture(autouse=True)
    def _torch(self) -> None:
        pytest.importorskip("torch")

    def test_folds_of_two_are_the_halves_of_the_kit(self, tmp_path: Path) -> None:
        from unmask_lab.train.options import TrainOptions
        from unmask_lab.train.recipes.face_swap import outside

        options = TrainOptions("face.swap", tmp_path, fold=1, folds=2)
        for name in ("genconvit", "face-recognition", "div-yadiraf-deca"):
            assert outside(banked(1, name), options) == (half_of(name) == "test")
            assert outside(banked(1, f"video-{name}"), options) == (half_of(name) == "test")
        assert not outside(banked(1, "genconvit"), TrainOptions("face.swap", tmp_path))

    def test_the_loss_falls_when_the_answer_is_right(self) -> None:
        import torch

        from unmask_lab.train.recipes.face_swap import collate, loss, tensors

        batch = tensors(collate(material.pair(parent(6), np.random.default_rng(3))))
        right = batch["cells"] / batch["cells"].amax((1, 2), keepdim=True).clamp_min(0.05) * 8 - 4
        good = {"score": torch.tensor([-3.0, 3.0]), "map": right}
        bad = {"score": torch.tensor([3.0, -3.0]), "map": -right}
        assert float(loss(lambda _: good, batch)) < 0.3
        assert float(loss(lambda _: bad, batch)) > 3

    def test_the_network_gives_score_map_and_distance(self) -> None:
        import torch

        from unmask_lab.nets.faceswap import CELLS, SIDE, Exported, FaceSwapNet

        assert (SIDE, CELLS) == (material.SIDE, material.CELLS)
        net = Exported(FaceSwapNet(), torch.zeros(256), torch.eye(256) / 16).eval()
        with torch.no_grad():
            score, cells, distance = net(torch.full((1, SIDE, SIDE, 3), 100.0))
        assert (score.shape, cells.shape, distance.shape) == ((1,), (1, CELLS, CELLS), (1,))
        assert float(distance) >= 0

    def test_a_small_suspicious_region_raises_the_score_of_a_trained_head(self) -> None:
        import torch

        from unmask_lab.nets.faceswap import SIDE, TOP, FaceSwapNet

        net = FaceSwapNet().eval()
        with torch.no_grad():
            net.head.weight.zero_()
            net.head.weight[0, 256] = 1.0
            net.head.bias.zero_()
            out = net(torch.rand(2, 3, SIDE, SIDE) * 255)
        best = out["map"].flatten(1).topk(TOP, 1).values.mean(1)
        assert torch.allclose(out["score"], best, atol=1e-5)

    def test_the_backbone_is_asked_for(self, tmp_path: Path) -> None:
        from unmask_lab.train.options import TrainOptions
        from unmask_lab.train.recipes.face_swap import train

        (tmp_path / "manifest-images.csv").write_text("path,modality,label,method\n")
        face_bank.write(tmp_path / "bank.npz", [banked(1, "a")])
        options = TrainOptions("face.swap", tmp_path / "run", tmp_path, files={"bank": tmp_path / "bank.npz"})
        with pytest.raises(LabError, match="EfficientNet-lite0"):
            train(options)
