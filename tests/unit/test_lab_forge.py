"""Forging functions: they change what the mask says and nothing else, and the same seed gives the same forgery."""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from lab_made import texture
from PIL import Image

from unmask_lab.forge.copy_move import copy_move
from unmask_lab.forge.forgery import CHANGED, SOURCE, Forgery, seeded
from unmask_lab.forge.launder import decode, first_generation, jpeg, variants
from unmask_lab.forge.regions import LARGEST, SMALLEST, region
from unmask_lab.forge.removal import removal
from unmask_lab.forge.retouch import retouch
from unmask_lab.forge.scenes import SCENES
from unmask_lab.forge.splice import splice

HALO = 9  # pixels that a feathered edge may reach beyond its mask


PHOTO, DONOR = texture(1), texture(2)
FAMILIES: dict[str, Callable[[np.random.Generator], Forgery]] = {
    "splice": lambda rng: splice(rng, PHOTO, DONOR),
    "removal": lambda rng: removal(rng, PHOTO),
    "copy_move": lambda rng: copy_move(rng, PHOTO),
    "retouch": lambda rng: retouch(rng, PHOTO),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(4))
def test_changes_the_mask_and_nothing_else(family: str, seed: int) -> None:
    forgery = FAMILIES[family](seeded(seed, family))
    differs = np.abs(forgery.rgb.astype(int) - PHOTO).max(2) > 0
    near = cv2.dilate(forgery.mask.astype(np.uint8), np.ones((2 * HALO + 1, 2 * HALO + 1))) > 0
    assert not (differs & ~near).any(), "pixels far from the mask changed"
    assert differs[forgery.mask].mean() > 0.6, "the mask covers pixels that did not change"
    assert 0.002 < forgery.mask.mean() < 0.4


@pytest.mark.parametrize("family", FAMILIES)
def test_same_seed_same_forgery(family: str) -> None:
    one, again, other = (FAMILIES[family](seeded(s, family)) for s in (5, 5, 6))
    assert np.array_equal(one.rgb, again.rgb) and np.array_equal(one.mask, again.mask) and one.text == again.text
    assert not np.array_equal(one.mask, other.mask)


def test_copy_is_what_the_source_shows() -> None:
    for seed in range(40):
        forgery = copy_move(seeded(seed, "copy"), PHOTO)
        if forgery.text == "copied unchanged":
            break
    assert forgery.source is not None and forgery.text == "copied unchanged"
    inner = cv2.erode(forgery.mask.astype(np.uint8), np.ones((17, 17))) > 0
    result = cv2.matchTemplate(
        PHOTO, _crop(forgery.rgb, inner), cv2.TM_SQDIFF, mask=_crop(inner.astype(np.uint8), inner)
    )
    assert result.min() < 1.0, "no place of the picture shows the copied pixels"
    picture = forgery.picture_of_mask()
    assert set(np.unique(picture)) == {0, SOURCE, CHANGED}
    assert ((picture == CHANGED) == forgery.mask).all()


def _crop(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    ys, xs = np.nonzero(mask)
    return values[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]


def test_regions_stay_within_bounds() -> None:
    shares = [region(seeded(seed, "region"), PHOTO).mean() for seed in range(40)]
    assert min(shares) > SMALLEST / 4 and max(shares) < 2.5 * LARGEST
    assert np.std(shares) > 0.01, "all regions have one size"


def test_twins_are_laundered_alike() -> None:
    one, other = variants(seeded(1, "v")), variants(seeded(1, "v"))
    assert list(one) == ["jpeg95", "jpeg85", "jpeg75", "resized", "messenger"]
    for name in one:
        assert one[name](PHOTO).data == other[name](PHOTO).data
    assert len(one["jpeg75"](PHOTO).data) < len(one["jpeg85"](PHOTO).data) < len(one["jpeg95"](PHOTO).data)
    resized = decode(one["resized"](PHOTO).data)
    assert resized.shape != PHOTO.shape
    assert abs(resized.shape[1] / resized.shape[0] - 4 / 3) < 0.02, "a mask must fit every variant by scaling"


def test_messenger_never_exceeds_its_sides() -> None:
    large = cv2.resize(PHOTO, (2400, 1800))
    for seed in range(6):
        assert max(decode(variants(seeded(seed, "m"))["messenger"](large).data).shape) <= 1600


def test_first_generations_are_of_three_sorts() -> None:
    data = jpeg(PHOTO, 90).data
    made = [first_generation(seeded(seed, "g"), data)[0].data for seed in range(40)]
    kept = sum(m == data for m in made)
    smaller = sum(max(decode(m).shape) < 460 for m in made)
    assert 5 < kept < 30 and smaller > 5 and kept + smaller < 40


def test_turned_parents_become_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(PHOTO).save(buffer, "JPEG", exif=exif)
    for seed in range(10):
        parent, _ = first_generation(seeded(seed, "t"), buffer.getvalue())
        with Image.open(io.BytesIO(parent.data)) as image:
            assert image.getexif().get(0x0112, 1) == 1
            assert image.height > image.width


@pytest.mark.parametrize("kind", SCENES)
def test_scenes_show_the_picture(kind: str) -> None:
    made = SCENES[kind](seeded(3, kind), PHOTO)
    again = SCENES[kind](seeded(3, kind), PHOTO)
    assert np.array_equal(made, again)
    assert made.dtype == np.uint8 and made.ndim == 3
    assert made.size > PHOTO.size or kind == "meme"
