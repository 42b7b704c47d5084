"""Retouching: a region is blurred, sharpened, made noisy, or re-lit; nothing is added or taken away."""

from __future__ import annotations

import cv2
import numpy as np

from unmask_lab.forge.forgery import Forgery, Rgb, blend
from unmask_lab.forge.regions import feather, region


def retouch(rng: np.random.Generator, rgb: Rgb) -> Forgery:
    """Treat a random region in one of four ways."""
    mask = region(rng, rgb)
    base = rgb.astype(np.float32)
    way = int(rng.integers(4))
    if way == 0:
        layer, text = cv2.GaussianBlur(base, (0, 0), float(rng.uniform(1.0, 3.5))), "blurred"
    elif way == 1:
        soft = cv2.GaussianBlur(base, (0, 0), float(rng.uniform(1.0, 2.0)))
        layer, text = base + float(rng.uniform(0.8, 2.0)) * (base - soft), "sharpened"
    elif way == 2:
        layer, text = base + rng.normal(0, float(rng.uniform(4, 12)), rgb.shape), "noise added"
    else:
        layer, text = cv2.bilateralFilter(base, 9, 30, 5), "skin smoothing"
    treated = np.clip(np.round(layer), 0, 255).astype(np.uint8)
    return Forgery(blend(rgb, treated, feather(rng, mask)), mask, f"region {text}")
