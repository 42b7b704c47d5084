"""Faces: decoding, detection, mesh, alignment, pose and tracks."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from faces_made import scene
from numpy.typing import NDArray
from PIL import Image

from unmask import faces
from unmask.card import find_cards
from unmask.execution.work import run_one
from unmask.faces import align, blaze
from unmask.faces.face import HEAD, Face, pose_of
from unmask.faces.mesh import LEFT_EYE, LIPS, NOSE_TIP, RIGHT_EYE
from unmask.options import Options
from unmask.report import Finding
from unmask.subject import Subject

Picture = NDArray[np.uint8]
CARD = next(card for card in find_cards() if card.id == "image.faces")


def listed(kit: Path, source: str, count: int) -> list[Picture]:
    folder = kit / "images" / "real" / source
    return [np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.iterdir())[:count]]


@pytest.fixture(scope="module")
def portraits(kit: Path) -> list[tuple[Picture, list[Face]]]:
    """Portraits of one person each, with what was found; background faces occur."""
    return [(rgb, faces.detect(rgb)) for rgb in listed(kit, "face-recognition", 40)]


def examine(path: Path) -> Finding:
    return run_one(CARD, Subject(path), Options())


def test_anchors_are_as_many_as_the_networks_rows() -> None:
    for network, rows in ((blaze.SHORT, 896), (blaze.FULL, 2304)):
        assert network.size == rows == len(blaze.anchors(network))
        assert np.unique(blaze.anchors(network), axis=0).shape[0] == sum(c * c for c, _ in network.layers)
    assert blaze.anchors(blaze.SHORT)[:2].tolist() == [[0.03125, 0.03125]] * 2
    assert blaze.anchors(blaze.SHORT)[512].tolist() == [0.0625, 0.0625]


def test_decoding_adds_the_anchor() -> None:
    raw = np.zeros((896, 16), np.float32)
    raw[512] = [4, -2, 20, 10, *range(12)]
    logits = np.full(896, -100, np.float32)
    logits[512] = 100
    rows, scores = blaze.decode(blaze.SHORT, raw, logits, 0.5)
    assert scores.tolist() == [1.0]
    assert rows[0].tolist() == [2, 1, 22, 11, *(8 + np.arange(12))]


def test_blending_weighs_by_score_and_keeps_apart_what_lies_apart() -> None:
    rows = np.zeros((3, 16), np.float32)
    rows[:, :4] = [(0, 0, 10, 10), (1, 0, 11, 10), (30, 30, 40, 40)]
    merged, scores = blaze.blend(rows, np.array([0.6, 0.9, 0.7], np.float32), 0.3)
    assert np.allclose(merged[0, :4], (0.6, 0, 10.6, 10)) and np.allclose(merged[1, :4], rows[2, :4])
    assert np.allclose(scores, (0.9, 0.7))
    assert len(blaze.blend(rows[:0], np.zeros(0, np.float32), 0.3)[0]) == 0


@pytest.mark.kit
def test_recall_on_portraits(portraits: list[tuple[Picture, list[Face]]]) -> None:
    hits = [
        any(f.box[0] < 125 < f.box[0] + f.box[2] and f.box[1] < 140 < f.box[1] + f.box[3] for f in found)
        for _, found in portraits
    ]
    assert np.mean(hits) >= 0.95
    assert np.mean([len(found) > 2 for _, found in portraits]) <= 0.05


@pytest.mark.kit
@pytest.mark.parametrize("source", ["div-openmvg-imagedataset_sceauxcastle", "div-udacity-carnd-advanced-lane-lines"])
def test_few_faces_where_nobody_is(kit: Path, source: str) -> None:
    pictures = listed(kit, source, 8)
    assert sum(len(faces.detect(rgb)) for rgb in pictures) <= len(pictures) * 0.1


@pytest.mark.kit
def test_mesh_agrees_with_the_key_points(portraits: list[tuple[Picture, list[Face]]]) -> None:
    off = []
    for rgb, found in portraits[:20]:
        points = faces.mesh(rgb, found[0])
        assert points.shape == (468, 3) and points.dtype == np.float32
        own = np.array([points[list(i), :2].mean(axis=0) for i in (RIGHT_EYE, LEFT_EYE, NOSE_TIP, LIPS)])
        off.append(np.linalg.norm(own - found[0].keypoints[:4], axis=1) / found[0].size)
    assert np.mean(off) < 0.04 and np.percentile(off, 95) < 0.08


@pytest.mark.kit
def test_pose_agrees_with_the_meshs_depth(portraits: list[tuple[Picture, list[Face]]]) -> None:
    turned = []
    for rgb, found in portraits:
        across = np.diff(faces.mesh(rgb, found[0])[[234, 454]], axis=0)[0]
        turned.append((found[0].pose.yaw, np.degrees(np.arctan2(across[2], across[0]))))
    assert np.corrcoef(np.array(turned).T)[0, 1] > 0.9


@pytest.mark.kit
def test_mirrored_portrait_looks_the_other_way(portraits: list[tuple[Picture, list[Face]]]) -> None:
    rgb, found = max(portraits, key=lambda p: abs(p[1][0].pose.yaw))
    mirrored = faces.detect(np.ascontiguousarray(rgb[:, ::-1]))
    assert abs(mirrored[0].pose.yaw + found[0].pose.yaw) < 10


@pytest.mark.kit
@pytest.mark.parametrize("scale", [0.5, 2.0, 5.0])
def test_a_face_keeps_its_place_when_the_picture_is_resized(
    portraits: list[tuple[Picture, list[Face]]], scale: float
) -> None:
    for rgb, found in portraits[:6]:
        resized = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else 1)
        box = faces.detect(resized)[0].box
        assert np.allclose(np.array(box) / scale, found[0].box, atol=0.12 * found[0].size)


@pytest.mark.kit
def test_blur_lowers_the_sharpness(portraits: list[tuple[Picture, list[Face]]]) -> None:
    for rgb, found in portraits[:6]:
        sharp = [align.sharpness(cv2.GaussianBlur(rgb, (0, 0), s) if s else rgb, found[0].box) for s in (0, 1, 3)]
        assert sharp[0] > sharp[1] > sharp[2]
        assert 0 <= sharp[2] < 0.35


@pytest.mark.kit
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(kit: Path, tmp_path: Path, orientation: int) -> None:
    """Boxes of the report lie in the upright picture, key points of the subject's faces in the stored one."""
    rgb = listed(kit, "face-recognition", 1)[0][:, :200]
    plain = faces.detect(rgb)[0]
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    image = Image.fromarray(rgb)
    stored = image if undo is None else image.transpose(Image.Transpose(undo))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.png"
    stored.save(path, exif=exif)
    subject = Subject(path)
    assert np.array_equal(subject.image.upright(subject.image.rgb), rgb)
    finding = run_one(CARD, subject, Options())
    data = finding.evidence[0].data
    assert data is not None
    box = data["boxes"][0]  # type: ignore[index, call-overload]
    assert np.allclose([box["x"], box["y"], box["w"], box["h"]], plain.box, atol=0.1)  # type: ignore[index, call-overload]
    points = [subject.image.upright_point(*p) for p in subject.faces[0].keypoints]
    assert np.allclose(points, plain.keypoints, atol=0.1)


@pytest.mark.kit
def test_tracks_on_a_film(kit: Path) -> None:
    path = sorted((kit / "video" / "real" / "liveportrait").glob("*.mp4"))[0]
    tracker, seen = faces.Tracker(), 0
    for frame in Subject(path).video.frames(max_side=640, rgb=True, upright=True, end=2.0):
        found = faces.detect(frame.pixels, smallest=0.18)
        tracker.update(found, frame.time)
        seen += bool(found)
    longest = max(tracker.tracks, key=lambda track: len(track.faces))
    assert seen >= 20 and len(longest.faces) >= 0.9 * seen
    assert longest.times == sorted(longest.times)


def test_drawn_faces_large_and_small() -> None:
    found = faces.detect(scene((40, 60, 300), (420, 200, 150)))
    assert len(found) == 2
    assert found[0].size > found[1].size
    for face, (x, y, side) in zip(found, [(40, 60, 300), (420, 200, 150)], strict=True):
        middle = face.box[0] + face.box[2] / 2, face.box[1] + face.box[3] / 2
        assert np.allclose(middle, (x + side / 2, y + side / 2), atol=side * 0.12)


def test_small_faces_are_sought_on_demand() -> None:
    rgb = scene((900, 500, 70), size=(1100, 1600))
    assert len(faces.detect(rgb, smallest=0.015)) == 1


@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (9, 9), (40, 3000), (3000, 40), (128, 128), (129, 64)])
def test_any_shape_is_searched(shape: tuple[int, int]) -> None:
    assert faces.detect(np.full((*shape, 3), 128, np.uint8)) == []


def test_nothing_in_noise_and_flat_pictures() -> None:
    rng = np.random.default_rng(3)
    for rgb in (rng.integers(0, 255, (400, 500, 3), np.uint8), np.zeros((400, 500, 3), np.uint8), scene()):
        assert faces.detect(rgb) == []


def test_similarity_is_recovered() -> None:
    rng = np.random.default_rng(1)
    points = rng.normal(0, 50, (6, 2))
    linear = 1.7 * np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    found = align.similarity(points, points @ linear.T + (30, -8), np.array([1, 1, 0.5, 1, 0.1, 0.1]))
    assert np.allclose(found, np.column_stack([linear, (30, -8)]))


def test_crop_brings_a_tilted_face_upright() -> None:
    rgb = scene((120, 40, 400))
    turn = cv2.getRotationMatrix2D((320, 240), 20, 1)
    tilted = cv2.warpAffine(rgb, turn, (640, 480), borderMode=cv2.BORDER_REFLECT)
    found = faces.detect(tilted)
    assert len(found) == 1 and abs(found[0].pose.roll + 20) < 6
    upright = faces.crop(tilted, found[0], 256, margin=0.5)
    assert upright.shape == (256, 256, 3)
    again = faces.detect(upright)
    assert abs(again[0].pose.roll) < 6
    assert np.allclose(again[0].keypoints[0], (0.5 + align.TEMPLATE[0]) / 2 * 256, atol=10)


def test_strong_reduction_does_not_alias() -> None:
    """A checkerboard of single pixels is grey from afar."""
    board = (np.indices((2000, 2000)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = align.warp(np.dstack([board] * 3), np.array([[0.0512, 0, 0], [0, 0.0512, 0]]), 100)
    assert np.abs(small[5:-5, 5:-5].astype(int) - 127).max() <= 12


@pytest.mark.parametrize("scale", [0.4, 0.13])
def test_reduction_stays_in_place(scale: float) -> None:
    ramp = np.tile(np.linspace(0, 250, 1000, dtype=np.float32), (1000, 1)).astype(np.uint8)
    small = align.warp(ramp, np.array([[scale, 0, -10], [0, scale, -10]]), 100)
    expected = (np.arange(100) + 10) / scale * 250 / 999
    assert np.abs(small[50, 5:-5] - expected[5:-5]).max() < 2.5


@pytest.mark.parametrize(("yaw", "pitch", "roll"), [(0, 0, 0), (30, 0, 0), (-20, 10, 0), (0, -15, 25), (15, 5, -40)])
def test_pose_of_a_known_head(yaw: float, pitch: float, roll: float) -> None:
    a, b, c = np.radians((yaw, pitch, roll))
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    seen = (HEAD @ (about_z @ about_x @ about_y).T)[:, :2] * 2.3 + (400, 300)
    assert np.allclose(pose_of(seen), (yaw, pitch, roll), atol=0.2)


def test_pose_of_points_in_one_place_is_no_error() -> None:
    assert pose_of(np.ones((6, 2))) == (0.0, 0.0, 0.0)


def face_at(x: float, y: float, side: float = 50) -> Face:
    return Face((x, y, side, side), np.zeros((6, 2), np.float32), 0.9, 1.0, 0.5)


def test_tracks_keep_their_numbers() -> None:
    tracker = faces.Tracker(patience=2)
    for i in range(6):
        numbers = tracker.update([face_at(200 - 5 * i, 0), face_at(5 * i, 0)], i / 25)
        assert [number for number, _ in numbers] == [1, 2]
    # One is missing for two frames and comes back; a third appears elsewhere.
    for i in range(6, 8):
        tracker.update([face_at(5 * i, 0)], i / 25)
    numbers = tracker.update([face_at(170, 0), face_at(45, 0), face_at(500, 300)], 0.4)
    assert [number for number, _ in numbers] == [1, 2, 3]
    # After its patience a track has ended, and its number is not used again.
    for i in range(4):
        tracker.update([], 0.5 + i / 25)
    assert [n for n, _ in tracker.update([face_at(170, 0)], 1.0)] == [4]


def test_detector_on_a_drawn_face_and_on_none(tmp_path: Path) -> None:
    for name, rgb, code in (("one", scene((40, 60, 300)), "faces.found"), ("none", scene(), "faces.none")):
        buffer = io.BytesIO()
        Image.fromarray(rgb).save(buffer, "JPEG", quality=90)
        (tmp_path / f"{name}.jpg").write_bytes(buffer.getvalue())
        finding = examine(tmp_path / f"{name}.jpg")
        assert (finding.status, finding.reason.code) == ("ok", code)
        assert finding.raw_score is None
        assert bool(finding.evidence) == (code == "faces.found")


def test_detector_declines_a_tiny_picture(tmp_path: Path) -> None:
    Image.new("RGB", (20, 300)).save(tmp_path / "tiny.png")
    assert examine(tmp_path / "tiny.png").status == "declined"
