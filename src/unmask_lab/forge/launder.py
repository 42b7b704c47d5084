"""What happens to pictures on their way: saved, recompressed, resized, sent through messengers.

Both classes go through these, with the same random numbers a parent, so that nothing but the forgery differs.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageOps

from unmask_lab.forge.forgery import Rgb

SMALLEST_SIDE = 300
MESSENGER_SIDES = (1280, 1600)


@dataclass(frozen=True)
class Encoded:
    """A file's bytes and its name's extension."""

    data: bytes
    extension: str


def decode(data: bytes) -> Rgb:
    """(h, w, 3) uint8, upright."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"), np.uint8)


def jpeg(rgb: Rgb, quality: int, subsampling: int = 2, exif: bytes = b"") -> Encoded:
    """JPEG by libjpeg-turbo; ``subsampling`` 0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0."""
    buffer = io.BytesIO()
    extra = {"exif": exif} if exif else {}
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality, subsampling=subsampling, optimize=True, **extra)
    return Encoded(buffer.getvalue(), "jpg")


def png(rgb: Rgb) -> Encoded:
    """PNG without metadata."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG", compress_level=3)
    return Encoded(buffer.getvalue(), "png")


def scaled(rgb: Rgb, factor: float) -> Rgb:
    """Resized by ``factor`` with a kernel that fits."""
    h, w = rgb.shape[:2]
    size = (max(1, round(w * factor)), max(1, round(h * factor)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC), np.uint8)


def first_generation(rng: np.random.Generator, data: bytes) -> tuple[Encoded, bytes]:
    """The parent as a camera or an application might have written it, and its EXIF block.

    As it is (40 %); developed anew, which is scaled down so that the old block grid is gone, then saved once (40 %);
    or saved again with another quality, at times cropped so that the grids disagree (20 %).
    """
    with Image.open(io.BytesIO(data)) as image:
        exif, turned, format_ = image.getexif(), image.getexif().get(0x0112, 1) != 1, image.format
        block = image.info.get("exif", b"") if isinstance(image.info.get("exif"), bytes) else b""
    way = float(rng.random())
    quality, subsampling, factor = int(rng.integers(72, 98)), int(rng.choice((0, 2, 2))), float(rng.uniform(0.6, 0.9))
    dy, dx = (int(v) for v in rng.integers(0, 8, 2))
    if way < 0.4 and not turned:
        return Encoded(data, {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}.get(format_ or "", "jpg")), block
    if turned and exif:
        exif[0x0112] = 1
        block = exif.tobytes()
    rgb = decode(data)
    if way < 0.8:
        factor = max(factor, min(1.0, SMALLEST_SIDE / min(rgb.shape[:2])))
        return jpeg(scaled(rgb, factor), quality, subsampling, block), block
    return jpeg(rgb[dy:, dx:] if rng.random() < 0.5 else rgb, quality, subsampling, block), block


def saved(rng: np.random.Generator) -> Callable[[Rgb, bytes], Encoded]:
    """How an editor saves: PNG (15 %) or JPEG at a random quality, with or without the EXIF block."""
    as_png, quality, subsampling = bool(rng.random() < 0.15), int(rng.integers(80, 99)), int(rng.choice((0, 2)))
    keep = bool(rng.random() < 0.5)

    def save(rgb: Rgb, exif: bytes) -> Encoded:
        return png(rgb) if as_png else jpeg(rgb, quality, subsampling, exif if keep else b"")

    return save


def variants(rng: np.random.Generator) -> dict[str, Callable[[Rgb], Encoded]]:
    """The laundered copies, by name; every random choice is made now, so that twins are treated alike."""
    factor = float(rng.choice((rng.uniform(0.5, 0.92), rng.uniform(1.1, 1.4)), p=(0.8, 0.2)))
    resized_quality = int(rng.integers(85, 96))
    return {
        "jpeg95": lambda rgb: jpeg(rgb, 95),
        "jpeg85": lambda rgb: jpeg(rgb, 85),
        "jpeg75": lambda rgb: jpeg(rgb, 75),
        "resized": lambda rgb: jpeg(scaled(rgb, _at_least(rgb, factor)), resized_quality),
        "messenger": messenger(rng),
    }


def messenger(rng: np.random.Generator) -> Callable[[Rgb], Encoded]:
    """Long side 1280 or 1600 at most (small pictures are at times scaled too), JPEG 70-80, a third sent twice."""
    side, shrink = int(rng.choice(MESSENGER_SIDES)), float(rng.uniform(0.6, 0.95)) if rng.random() < 0.4 else 1.0
    qualities = [int(q) for q in rng.integers(70, 81, 2 if rng.random() < 0.35 else 1)]

    def send(rgb: Rgb) -> Encoded:
        factor = min(_at_least(rgb, shrink), side / max(rgb.shape[:2]))
        if factor < 1:
            rgb = scaled(rgb, factor)
        out = jpeg(rgb, qualities[0])
        for quality in qualities[1:]:
            out = jpeg(decode(out.data), quality)
        return out

    return send


def _at_least(rgb: Rgb, factor: float) -> float:
    """``factor``, but never below `SMALLEST_SIDE` on the short side."""
    return float(max(factor, min(1.0, SMALLEST_SIDE / min(rgb.shape[:2]))))
