"""Removals: a region is painted over by inpainting, by neighbouring texture, or by blur."""

from __future__ import annotations

import cv2
import numpy as np

from unmask_lab.forge.forgery import Alpha, Forgery, Mask, Rgb, blend
from unmask_lab.forge.regions import feather, region

INPAINT_RADIUS = 4


def removal(rng: np.random.Generator, rgb: Rgb) -> Forgery:
    """Remove what stands in a random region; one of four ways."""
    mask = region(rng, rgb)
    way = int(rng.choice(4, p=(0.2, 0.2, 0.4, 0.2)))
    layer, text = (_telea, _navier_stokes, _neighbour, _smear)[way](rng, rgb, mask)
    alpha: Alpha = mask.astype(np.float32) if way < 2 else feather(rng, mask)
    return Forgery(blend(rgb, layer, alpha), mask, text)


def _telea(_: np.random.Generator, rgb: Rgb, mask: Mask) -> tuple[Rgb, str]:
    return _inpaint(rgb, mask, cv2.INPAINT_TELEA), "removed by inpainting (fast marching, Telea 2004)"


def _navier_stokes(_: np.random.Generator, rgb: Rgb, mask: Mask) -> tuple[Rgb, str]:
    return _inpaint(rgb, mask, cv2.INPAINT_NS), "removed by inpainting (Navier-Stokes, Bertalmio 2001)"


def _inpaint(rgb: Rgb, mask: Mask, method: int) -> Rgb:
    return np.asarray(cv2.inpaint(np.asarray(rgb), mask.astype(np.uint8), INPAINT_RADIUS, method), np.uint8)


def _neighbour(_: np.random.Generator, rgb: Rgb, mask: Mask) -> tuple[Rgb, str]:
    """The shift whose ring of pixels around the region fits best, as content-aware fill and healing brushes do."""
    h, w = mask.shape
    ys, xs = np.nonzero(mask)
    ring = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool) & ~mask
    ry, rx = np.nonzero(ring)
    keep = slice(None, None, max(1, len(ry) // 800))
    ry, rx = ry[keep], rx[keep]
    best, shift = np.inf, (0, 0)
    for dy, dx in _shifts(ys, xs, h, w):
        error = float(np.abs(rgb[ry, rx].astype(np.int16) - rgb[(ry + dy) % h, (rx + dx) % w]).mean())
        if mask[(ys + dy) % h, (xs + dx) % w].mean() < 0.05 and error < best:
            best, shift = error, (dy, dx)
    layer = np.roll(rgb, (-shift[0], -shift[1]), axis=(0, 1))
    return layer, f"filled with texture from {shift[1]:+d}, {shift[0]:+d} pixels away"


def _shifts(ys: np.ndarray, xs: np.ndarray, h: int, w: int) -> list[tuple[int, int]]:
    """Shifts on a 9-pixel lattice that keep the shifted region inside the picture."""
    dys = range(-int(ys.min()) + 5, h - 5 - int(ys.max()), 9)
    dxs = range(-int(xs.min()) + 5, w - 5 - int(xs.max()), 9)
    return [(dy, dx) for dy in dys for dx in dxs if abs(dy) + abs(dx) > 20]


def _smear(rng: np.random.Generator, rgb: Rgb, mask: Mask) -> tuple[Rgb, str]:
    """Inpainting, then a strong blur and grain: the way of a quick touch on a phone."""
    filled = _inpaint(rgb, mask, cv2.INPAINT_TELEA)
    blurred = cv2.GaussianBlur(filled, (0, 0), float(rng.uniform(3, 8))).astype(np.float32)
    grain = rng.normal(0, float(rng.uniform(0, 4)), rgb.shape).astype(np.float32)
    return np.clip(np.round(blurred + grain), 0, 255).astype(np.uint8), "removed by inpainting, blur and grain"
