"""What pictures go through: crops, resizing, messengers, screenshots, noise. Seeded, and blind to the label."""

from __future__ import annotations

import io

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
MAX_SIDE = 1600
_FILTERS = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)


def launder(pixels: Pixels, rng: Generator) -> Pixels:
    """One random way through the world for an (h, w, 3) uint8 picture; never smaller than 160 px a side."""
    pixels = crop(pixels, rng)
    pixels = resize(pixels, rng)
    for chance, step in ((0.15, blur), (0.15, noise), (0.1, tone)):
        if rng.random() < chance:
            pixels = step(pixels, rng)
    pixels = recompress(pixels, rng)
    if rng.random() < 0.35:
        pixels = recompress(resize(pixels, rng) if rng.random() < 0.5 else pixels, rng)
    return pixels


def crop(pixels: Pixels, rng: Generator) -> Pixels:
    """70-100 % of each side, anywhere; a mirror image half of the time."""
    h, w = pixels.shape[:2]
    ch, cw = (max(min(160, side), int(side * rng.uniform(0.7, 1))) for side in (h, w))
    y, x = int(rng.integers(h - ch + 1)), int(rng.integers(w - cw + 1))
    part = pixels[y : y + ch, x : x + cw]
    return np.ascontiguousarray(part[:, ::-1] if rng.random() < 0.5 else part)


def resize(pixels: Pixels, rng: Generator) -> Pixels:
    """By a factor of 0.4-1.6 (log-uniform), the smaller side at least 160 and the larger at most `MAX_SIDE`."""
    h, w = pixels.shape[:2]
    factor = float(np.exp(rng.uniform(np.log(0.4), np.log(1.6))))
    factor = min(max(factor, 160 / min(h, w)), MAX_SIDE / max(h, w))
    size = (max(1, round(w * factor)), max(1, round(h * factor)))
    return np.asarray(cv2.resize(pixels, size, interpolation=int(rng.choice(_FILTERS))), np.uint8)


def recompress(pixels: Pixels, rng: Generator) -> Pixels:
    """JPEG at 40-95 (mostly), WebP at 40-90 or AVIF at 40-80."""
    pick = rng.random()
    if pick < 0.75:
        return encode(pixels, "JPEG", int(rng.integers(40, 96)), subsampling=int(rng.choice([0, 2, 2])))
    if pick < 0.93:
        return encode(pixels, "WEBP", int(rng.integers(40, 91)))
    return encode(pixels, "AVIF", int(rng.integers(40, 81)), speed=9)


def encode(pixels: Pixels, form: str, quality: int, **options: int) -> Pixels:
    """Save and open again."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, quality=quality, **options)
    return np.asarray(Image.open(buffer).convert("RGB"), np.uint8)


def blur(pixels: Pixels, rng: Generator) -> Pixels:
    """Gaussian, sigma 0.3-1.5 px."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.3, 1.5)), np.uint8)


def noise(pixels: Pixels, rng: Generator) -> Pixels:
    """Gaussian, sigma 1-8 grey levels."""
    added = pixels + rng.normal(0, rng.uniform(1, 8), pixels.shape)
    return np.clip(np.round(added), 0, 255).astype(np.uint8)


def tone(pixels: Pixels, rng: Generator) -> Pixels:
    """Brightness, contrast and gamma as a filter app changes them."""
    x = (pixels / 255.0) ** rng.uniform(0.8, 1.25)
    x = (x - 0.5) * rng.uniform(0.85, 1.2) + 0.5 + rng.uniform(-0.06, 0.06)
    return np.clip(np.round(x * 255), 0, 255).astype(np.uint8)
