"""image.splice: tiles that miss nothing, a map in the right place, and reasons where no answer is given."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from unmask.detectors.image_splice import detector, reading
from unmask.options import Options
from unmask.report import Finding
from unmask.subject import Subject

Rgb = NDArray[np.uint8]
SIDE = 6  # blocks of the pretended tiles


class BlockMeans:
    """In place of the first graph: a vector with the mean of red, the table's first step, and 1."""

    card = SimpleNamespace(
        inputs=[SimpleNamespace(shape=(1, 3, 8 * SIDE, 8 * SIDE)), SimpleNamespace(shape=(1, 64))],
        outputs=[SimpleNamespace(shape=(1, 3, SIDE, SIDE))],
    )

    def __init__(self) -> None:
        self.runs = 0

    def run(self, inputs: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        self.runs += 1
        red = inputs["rgb"][0, 0].reshape(SIDE, 8, SIDE, 8).mean((1, 3))
        return {"features": np.stack([red, np.full_like(red, inputs["table"][0, 0]), np.ones_like(red)])[None]}


class Echo:
    """In place of the second graph: the first channel as the map, its mean as the score."""

    card = SimpleNamespace(inputs=[SimpleNamespace(shape=(1, 3, 16, 16)), SimpleNamespace(shape=(1, 1, 16, 16))])

    def run(self, inputs: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        valid = inputs["valid"][0, 0]
        score = (inputs["features"][0, 0] * valid).sum() / valid.sum()
        return {
            "logits": inputs["features"][:, :1],
            "score": np.full((1, 1), score, np.float32),
            "distance": np.ones((1, 1), np.float32),
        }


def steps_of(h: int, w: int) -> Rgb:
    """Each block of 8 x 8 has its own red."""
    y, x = np.mgrid[:h, :w] // 8
    return np.stack([(7 * y + 13 * x) % 251] * 3, -1).astype(np.uint8)


@pytest.mark.parametrize("rows", [1, 5, 6, 7, 10, 13, 40])
@pytest.mark.parametrize("columns", [1, 6, 11, 23])
def test_every_block_is_taken_from_one_tile_that_holds_it(rows: int, columns: int) -> None:
    taken = np.zeros((rows, columns), int)
    for top, left, (ys, xs) in reading.tiles(rows, columns, SIDE, 1000):
        taken[ys, xs] += 1
        assert top <= ys.start and ys.stop <= top + SIDE and left <= xs.start and xs.stop <= left + SIDE
        assert 0 <= top <= max(0, rows - SIDE) and 0 <= left <= max(0, columns - SIDE)
    assert (taken == 1).all()


@pytest.mark.parametrize("most", [1, 2, 3, 5, 9])
def test_of_too_many_tiles_some_are_read_from_every_part(most: int) -> None:
    every = list(reading.tiles(50, 50, SIDE, 10_000))
    some = list(reading.tiles(50, 50, SIDE, most * len(every) // 10))
    assert 0 < len(some) <= most * len(every) // 10 + len(every) ** 0.5
    halves = {(top < 22, left < 22) for top, left, _ in some}
    assert len(halves) == 4


@pytest.mark.parametrize("size", [(48, 48), (50, 61), (120, 90), (24, 130)])
def test_vectors_lie_where_their_blocks_are(size: tuple[int, int]) -> None:
    rgb = steps_of(*size)
    vectors, seen = reading.describe(rgb, np.full((8, 8), 5, np.int32), BlockMeans(), 1000)  # type: ignore[arg-type]
    assert seen.all() and seen.shape == (size[0] // 8, size[1] // 8)
    assert (vectors[0] == rgb[4 : seen.shape[0] * 8 : 8, 4 : seen.shape[1] * 8 : 8, 0]).all()
    assert (vectors[1] == 5).all()


def test_without_a_table_the_net_is_told_zeros() -> None:
    vectors, _ = reading.describe(steps_of(48, 48), None, BlockMeans(), 10)  # type: ignore[arg-type]
    assert (vectors[1] == 0).all()


def test_a_large_picture_is_joined_to_the_grid_and_keeps_its_places() -> None:
    found = reading.read(steps_of(400, 300), None, BlockMeans(), Echo(), 1000)  # type: ignore[arg-type]
    assert found.cell == 32 and found.logits.shape == (13, 10)
    blocks = steps_of(400, 300)[::8, ::8, 0].astype(float)
    assert found.logits[3, 2] == pytest.approx(blocks[12:16, 8:12].mean(), abs=1e-3)
    assert found.logits[12, 0] == pytest.approx(blocks[48:50, 0:4].mean(), abs=1e-3), "the last row holds two blocks"


def test_what_was_not_read_is_filled_from_what_lies_near() -> None:
    features = BlockMeans()
    found = reading.read(np.full((800, 800, 3), 90, np.uint8), None, features, Echo(), 200)  # type: ignore[arg-type]
    assert features.runs <= 230 and not found.seen.all() and found.score == pytest.approx(90)
    assert reading.filled(found.logits, found.seen) == pytest.approx(90, abs=1)


def test_joined_cells_are_means_of_what_was_seen() -> None:
    vectors = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    seen = np.ones((4, 4), bool)
    seen[:2, :2] = [[True, False], [False, False]]
    out, kept = reading.joined_cells(vectors * seen, seen, 2)
    assert kept.all() and out[0].tolist() == [[0.0, 4.5], [10.5, 12.5]]
    assert not reading.joined_cells(vectors * 0, np.zeros((4, 4), bool), 4)[1].any()


def reading_of(logits: NDArray[np.float32], seen: NDArray[np.bool_] | None = None) -> reading.Reading:
    return reading.Reading(logits, np.ones(logits.shape, bool) if seen is None else seen, 8, 9.0, 1.0)


def island(top: float, halo: float) -> NDArray[np.float32]:
    """A part at ``top`` in a ring at ``halo``, the rest at -1."""
    out = np.full((24, 30), -1, np.float32)
    out[5:15, 8:20] = halo
    out[7:13, 10:18] = top
    return out


@pytest.mark.parametrize(("top", "halo"), [(12.0, 4.5), (6.0, 2.0), (4.5, 1.0)])
def test_regions_begin_halfway_up_to_the_pictures_own_strongest_cells(top: float, halo: float) -> None:
    logits = island(top, halo)
    heat = detector.probability(reading_of(logits))
    assert detector.level(logits, logits > -9) == pytest.approx((top - 1) / 2)
    assert ((heat >= 0.5) == (logits == top)).all(), "what the field of view spreads around the part is not marked"
    assert detector.regions(heat, logits > -9) == [(10, 7, 8, 6)]


def test_nothing_lights_up_below_the_floor() -> None:
    logits = island(1.2, 0.5)
    assert detector.level(logits, logits > -9) == detector.P["map_floor"]
    assert detector.probability(reading_of(logits)).max() < 0.5


def test_two_parts_of_unlike_strength_are_both_marked() -> None:
    logits = island(12, 3)
    logits[18:22, 22:28] = 7
    heat = detector.probability(reading_of(logits))
    assert detector.regions(heat, logits > -9) == [(10, 7, 8, 6), (22, 18, 6, 4)]


def test_what_was_not_examined_moves_no_level() -> None:
    logits = island(9, 2)
    seen = np.ones(logits.shape, bool)
    seen[:, 24:] = False
    logits[:, 24:] = 30
    assert detector.level(logits, seen) == pytest.approx(4)


def test_of_very_few_cells_a_level_is_told() -> None:
    logits = np.asarray([[3.0]], np.float32)
    assert detector.level(logits, logits > 0) == pytest.approx(3)


# With the shipped nets ------------------------------------------------------------------------------------


def photo(seed: int = 0, h: int = 448, w: int = 576, noise: float = 4.0) -> NDArray[np.float32]:
    """Structure at many scales and the noise of a sensor, (h, w, 3)."""
    rng = np.random.default_rng(seed)
    out = np.zeros((h, w, 3), np.float32)
    for level in range(1, 8):
        small = rng.normal(0, 1, (h // 2**level + 2, w // 2**level + 2, 3)).astype(np.float32)
        small = 0.8 * small[..., :1] + 0.2 * small
        out += cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC) * 2.0 ** (level / 1.4)
    return 120 + out + rng.normal(0, noise, (h, w, 3)).astype(np.float32)


def pixels(values: NDArray[np.float32]) -> Rgb:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def with_smooth_part(box: tuple[slice, slice]) -> Rgb:
    out = photo()
    out[box] = cv2.GaussianBlur(photo(5, noise=0), (0, 0), 2.0)[box]
    return pixels(out)


def on_a_page() -> Rgb:
    """A photograph on white, as a screenshot of a page shows it."""
    out = np.full((600, 640, 3), 255, np.uint8)
    out[60:400, 40:600] = pixels(photo(3, 340, 560))
    return out


def look(folder: Path, rgb: Rgb, quality: int = 92, **options: Any) -> Finding:
    Image.fromarray(rgb).save(folder / "s.jpg", quality=quality, **options)
    return detector.examine(Subject(folder / "s.jpg"), Options())


def heat_of(finding: Finding) -> NDArray[np.float32]:
    data = next(e.data for e in finding.evidence if e.kind == "heatmap")
    assert data is not None
    image = Image.open(io.BytesIO(base64.b64decode(str(data["png"]))))
    return np.asarray(image.convert("L"), np.float32) / 255


PART = (slice(120, 280), slice(304, 480))


def test_a_part_without_the_pictures_noise_stands_out_in_its_place(tmp_path: Path) -> None:
    changed, untouched = look(tmp_path, with_smooth_part(PART)), look(tmp_path, pixels(photo()))
    assert changed.raw_score is not None and untouched.raw_score is not None
    assert changed.raw_score > untouched.raw_score + 1
    heat = heat_of(changed)
    scale = heat.shape[1] / 576
    inside = np.zeros(heat.shape, bool)
    inside[int(120 * scale) : int(280 * scale), int(304 * scale) : int(480 * scale)] = True
    assert heat[inside].mean() > 3 * heat[~inside].mean() + 0.05
    assert changed.reason.code == "splice.region" and untouched.reason.code == "splice.none"


def test_boxes_and_map_are_turned_with_the_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored pixels are turned by a quarter clockwise for viewing
    turned = look(tmp_path, with_smooth_part(PART), exif=exif)
    boxes = next(e.data for e in turned.evidence if e.kind == "boxes")
    assert boxes is not None
    box = boxes["boxes"][0]  # type: ignore[index]
    middle = (box["x"] + box["w"] / 2, box["y"] + box["h"] / 2)  # type: ignore[index,call-overload,operator]
    assert abs(middle[0] - (448 - 200)) < 60 and abs(middle[1] - 392) < 60
    assert heat_of(turned).shape[0] > heat_of(turned).shape[1]


@pytest.mark.parametrize(
    ("rgb", "code"),
    [
        (np.full((400, 500, 3), 255, np.uint8), "splice.blank"),
        (np.zeros((400, 500, 3), np.uint8), "splice.blank"),
        (pixels(photo(1, 100, 700)), "splice.too_small"),
        (on_a_page(), "splice.page"),
    ],
)
def test_it_declines_where_there_is_nothing_to_compare(tmp_path: Path, rgb: Rgb, code: str) -> None:
    finding = look(tmp_path, rgb)
    assert (finding.status, finding.reason.code, finding.score) == ("declined", code, None)


def test_an_odd_size_and_a_picture_without_a_table_are_answered(tmp_path: Path) -> None:
    Image.fromarray(pixels(photo(2, 333, 421))).save(tmp_path / "s.png")
    finding = detector.examine(Subject(tmp_path / "s.png"), Options())
    assert finding.status == "ok"
    h, w = heat_of(finding).shape
    assert abs(w / h - 421 / 333) < 0.02


def test_examples(examples: Path) -> None:
    """The bowl in the mountains is found; the photographs that were not changed are left alone."""
    found = detector.examine(Subject(examples / "mountain-splice.jpg"), Options())
    whole = detector.examine(Subject(examples / "mountain.webp"), Options())
    assert found.raw_score is not None and whole.raw_score is not None and found.raw_score > whole.raw_score
