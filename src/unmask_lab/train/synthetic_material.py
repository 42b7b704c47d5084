"""What `image.synthetic` learns from: pictures of the kit, as they are and laundered, seen by two frozen networks.

The views are cut by the detector's own functions. What the networks say is kept in the run's folder, so that a run that
was killed goes on where it stopped, and heads can be tried in seconds. Screenshots, memes and scans, made of bona fide
pictures, are measured alike; they are scored and never trained on; photographs enlarged by Real-ESRGAN teach the naming
of families alone. Where pictures of today's generators join
(`unmask_lab.gallery`: square thumbnails), so do thumbnails of the kit's pictures of both classes; and
artwork that people made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from unmask.detectors.image_synthetic import views
from unmask.errors import ModelError
from unmask.models.runtime import open_model
from unmask.models.tower import TOWER, class_tokens
from unmask_lab import manifest
from unmask_lab.errors import LabError
from unmask_lab.forge.family import PictureJob
from unmask_lab.forge.pictures import super_resolution
from unmask_lab.forge.scenes import SCENES
from unmask_lab.gallery import ART
from unmask_lab.gallery import read as read_gallery
from unmask_lab.launder.image import encode, launder
from unmask_lab.manifest import Row
from unmask_lab.nets.lite import Lite
from unmask_lab.nets.synthetic import pooled

QUESTION = "image.synthetic"
BLOCKS = (6, 7, 8, 9, 10, 11)
STAGES = (1, 2, 3, 4, 5)
WIDTH, CHANNELS = 768, 896
TOKEN_VARIANTS = 4
VIEW_VARIANTS, PATCHES, MOST_OF_A_SOURCE = 3, 3, 60
THUMBNAIL, THUMBNAILS = "thumbnail", {False: 400, True: 150}
ENLARGED, ENLARGED_COUNT, ENLARGED_SIDE = "super_resolution", 150, 768
SCENE_KINDS, SCENES_OF_A_KIND = ("screenshot", "meme", "scan"), 50

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Material:
    """Rows with what the networks saw; variant 0 is the picture as it is, the others are laundered.

    ``tokens``: (n, variants, blocks, 768) float16; None where the tower is not installed. ``views``: (n, variants,
    1 + patches, 896) float16, the whole picture first.
    """

    rows: list[Row]
    tokens: NDArray[np.float16] | None
    views: NDArray[np.float16]

    @property
    def truth(self) -> NDArray[np.bool_]:
        """(n,) True for generated pictures."""
        return np.asarray([row.positive for row in self.rows])


def kit_rows(kit: Path) -> list[Row]:
    """Bona fide pictures, and those that a generator made as a whole (no face swaps, no inserted regions)."""
    rows = manifest.from_kit(kit, "image")
    return [row for row in rows if not row.positive or row.question == QUESTION]


def all_rows(kit: Path, gallery: Path | None = None, art: Path | None = None) -> list[Row]:
    """What is trained on: the kit's pictures, at most `MOST_OF_A_SOURCE` of a source and class; with a gallery its
    pictures and thumbnails of the kit's; and artwork.
    """
    rows = kit_rows(kit)
    rows = [rows[i] for i in sorted(few_of_a_source(rows))]
    made = [] if gallery is None else [*read_gallery(gallery), *thumbnail_rows(rows)]
    return [*rows, *made, *([] if art is None else read_gallery(art))]


def thumbnail_rows(rows: Sequence[Row]) -> list[Row]:
    """Some of the pictures of each class as thumbnails: their path ends in ``#thumbnail``."""
    rng, chosen = np.random.default_rng(3), []
    for positive, count in THUMBNAILS.items():
        side = [row for row in rows if row.positive == positive]
        chosen += [side[i] for i in rng.permutation(len(side))[:count]]
    return [replace(row, path=f"{row.path}#{THUMBNAIL}") for row in chosen]


def few_of_a_source(rows: Sequence[Row], most: int = MOST_OF_A_SOURCE) -> list[int]:
    """Indices of at most ``most`` pictures of each source and class, the same at every call."""
    taken: dict[tuple[str, bool], int] = {}
    kept = []
    for i in np.random.default_rng(5).permutation(len(rows)):
        key = (rows[i].source, rows[i].positive)
        taken[key] = taken.get(key, 0) + 1
        if taken[key] <= most:
            kept.append(int(i))
    return kept


def scene_rows(rows: Sequence[Row]) -> list[Row]:
    """Bona fide pictures, one source after the other, as screenshots, memes and scans: their path ends in ``#kind``."""
    chosen = _of_many_sources(rows, SCENES_OF_A_KIND * len(SCENE_KINDS))
    return [replace(row, path=f"{row.path}#{SCENE_KINDS[i % len(SCENE_KINDS)]}") for i, row in enumerate(chosen)]


def enlarged_rows(rows: Sequence[Row]) -> list[Row]:
    """Bona fide pictures, one source after the other, that are made small and enlarged by Real-ESRGAN."""
    chosen = _of_many_sources(rows, ENLARGED_COUNT)
    return [replace(row, path=f"{row.path}#{ENLARGED}", family=ENLARGED) for row in chosen]


def _of_many_sources(rows: Sequence[Row], count: int) -> list[Row]:
    """Untouched pictures, the first of each source before the second of any."""
    rows = [row for row in rows if not (row.positive or scene_of(row) or row.source.startswith(ART))]
    taken: dict[str, int] = {}
    ranked = []
    for i in few_of_a_source(rows):
        taken[rows[i].source] = taken.get(rows[i].source, 0) + 1
        ranked.append((taken[rows[i].source], rows[i]))
    ranked.sort(key=lambda pair: pair[0])
    return [row for _, row in ranked[:count]]


def scene_of(row: Row) -> str:
    """The kind of a row of `scene_rows` or `thumbnail_rows`, ``art`` for artwork, empty for others."""
    return "art" if row.source.startswith(ART) else row.path.partition("#")[2]


def measure(rows: list[Row], kit: Path, folder: Path, backbone: Lite, device: str = "cpu") -> Material:
    """Run both networks on what was not measured yet; the tower only where it is installed.

    Raises:
        LabError: ``manifest.file``, a picture cannot be read; ``train.other_run``, the folder belongs to other rows.
        ModelError: the tower is installed and cannot be used on this machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _same_rows(rows, folder / "rows.txt")
    looks = _kept(folder / "views.npy", (len(rows), VIEW_VARIANTS, 1 + PATCHES, CHANNELS))
    backbone = backbone.to(device)
    for i, row in enumerate(rows):
        if not looks[i, 0].any():
            pictures = variants(row, kit, VIEW_VARIANTS)
            looks[i] = np.stack([_look(backbone, one, seed_of(row), v, device) for v, one in enumerate(pictures)])
    return Material(rows, _tokens(rows, kit, folder / "tokens.npy"), looks)


def _tokens(rows: Sequence[Row], kit: Path, path: Path) -> NDArray[np.float16] | None:
    """The class tokens of every picture, kept in ``path``; None where there is no tower to make them."""
    try:
        tower = open_model(TOWER)
    except ModelError as error:
        if error.code != "model.unknown":
            raise
        return None
    tokens = _kept(path, (len(rows), TOKEN_VARIANTS, len(BLOCKS), WIDTH))
    for i, row in enumerate(rows):
        if not tokens[i, 0].any():
            pictures = variants(row, kit, TOKEN_VARIANTS)
            tokens[i] = np.stack([class_tokens(tower, views.whole(one), BLOCKS)[0] for one in pictures])
    return tokens


def variants(row: Row, kit: Path, count: int) -> list[Pixels]:
    """The picture, bounded, and ``count - 1`` laundered copies of it; the label plays no part."""
    path, _, kind = row.path.partition("#")
    try:
        with Image.open(kit / path) as image:
            pixels = views.bounded(np.asarray(image.convert("RGB"), np.uint8))
    except OSError as error:
        raise LabError("manifest.file", f"{row.path} cannot be decoded: {error}.") from error
    seed = seed_of(row)
    if kind:
        make = {THUMBNAIL: _thumbnail, ENLARGED: _enlarged}.get(kind, _scene)
        pixels = views.bounded(make(pixels, kind, np.random.default_rng([seed, 77])))
    return [pixels, *(launder(pixels, np.random.default_rng([seed, v])) for v in range(1, count))]


def _scene(pixels: Pixels, kind: str, rng: np.random.Generator) -> Pixels:
    """The picture in a screenshot, as a meme or as a scan, saved as JPEG; half of the screenshots stay lossless."""
    made = np.ascontiguousarray(SCENES[kind](rng, pixels))
    if kind == "screenshot" and rng.random() < 0.5:
        return made
    return encode(made, "JPEG", int(rng.integers(80, 96)))


def _thumbnail(pixels: Pixels, kind: str, rng: np.random.Generator) -> Pixels:  # noqa: ARG001 - as `_scene`
    """A square cut out, 300 to 400 pixels large, saved as WebP: the form in which the gallery's pictures come."""
    height, width = pixels.shape[:2]
    cut = int(min(height, width) * rng.uniform(0.8, 1.0))
    y, x = (int(rng.integers(side - cut + 1)) for side in (height, width))
    side = int(rng.choice([300, 350, 350, 400, 400]))
    method = Image.Resampling.LANCZOS if cut > side else Image.Resampling.BICUBIC
    small = Image.fromarray(pixels[y : y + cut, x : x + cut]).resize((side, side), method)
    return encode(np.asarray(small, np.uint8), "WEBP", int(rng.integers(60, 90)))


def _enlarged(pixels: Pixels, kind: str, rng: np.random.Generator) -> Pixels:  # noqa: ARG001 - as `_scene`
    """The picture, its larger side at most `ENLARGED_SIDE`, made small and enlarged by Real-ESRGAN."""
    scale = min(1.0, ENLARGED_SIDE / max(pixels.shape[:2]))
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    small = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX), np.uint8)
    return next(iter(super_resolution.forge(PictureJob(small, rng, Path())))).rgb


def seed_of(row: Row) -> int:
    """From the path (the name alone where it is absolute), so that a picture is laundered alike in every run."""
    path = Path(row.path).name if Path(row.path).is_absolute() else row.path
    return int(hashlib.sha256(path.encode()).hexdigest()[:8], 16)


def _look(backbone: Lite, pixels: Pixels, seed: int, variant: int, device: str) -> NDArray[np.float16]:
    rng = np.random.default_rng([seed, variant, 9])
    cut = [views.whole(pixels)]
    for _ in range(PATCHES):
        y, x = (int(rng.integers(max(side - views.SIDE, 0) + 1)) for side in pixels.shape[:2])
        cut.append(views.patch(pixels, y, x))
    with torch.no_grad():
        maps = backbone(torch.from_numpy(views.for_net(cut)).to(device))
        return np.asarray(pooled([maps[i] for i in STAGES]).cpu().numpy(), np.float16)


def _kept(path: Path, shape: tuple[int, ...]) -> NDArray[np.float16]:
    """An array that lives in a file; what is zero was not measured yet."""
    mode = "r+" if path.exists() else "w+"
    return np.lib.format.open_memmap(path, mode, np.float16, shape)


def _same_rows(rows: Sequence[Row], path: Path) -> None:
    text = "\n".join(row.path for row in rows)
    if path.exists() and path.read_text("utf-8") != text:
        raise LabError("train.other_run", f"{path.parent} holds what was measured of other pictures.")
    path.write_text(text, "utf-8")
