"""Copy-move: a region of the picture appears in it again."""

from __future__ import annotations

import cv2
import numpy as np

from unmask_lab.forge.forgery import Forgery, Mask, Rgb, blend
from unmask_lab.forge.regions import feather, region

TRIES = 40
SMALLEST_TEXTURE = 6.0
"""Standard deviation of the grey values below which a copied region would be flat sky."""


def copy_move(rng: np.random.Generator, rgb: Rgb) -> Forgery:
    """Copy a textured region elsewhere: moved only (40 %), turned, scaled or mirrored."""
    mask = _textured_region(rng, rgb)
    move, text = _move(rng, mask)
    h, w = mask.shape
    layer = cv2.warpAffine(rgb, move, (w, h), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    moved = cv2.warpAffine(mask.astype(np.uint8), move, (w, h), flags=cv2.INTER_NEAREST).astype(bool)
    return Forgery(blend(rgb, layer, feather(rng, moved)), moved, text, source=mask & ~moved)


def _textured_region(rng: np.random.Generator, rgb: Rgb) -> Mask:
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    mask = region(rng, rgb)
    for _ in range(8):
        if grey[mask].std() >= SMALLEST_TEXTURE:
            break
        mask = region(rng, rgb)
    return mask


def _move(rng: np.random.Generator, mask: Mask) -> tuple[np.ndarray, str]:
    """An affine map that keeps most of the copy inside the picture and off its original."""
    ys, xs = np.nonzero(mask)
    h, w = mask.shape
    centre = (float(xs.mean()), float(ys.mean()))
    linear, text = _linear(rng)
    best, best_cost = np.zeros((2, 3)), np.inf
    for _ in range(TRIES):
        to = (float(rng.uniform(0.1, 0.9)) * w, float(rng.uniform(0.1, 0.9)) * h)
        move = np.zeros((2, 3))
        move[:, :2] = linear
        move[:, 2] = np.asarray(to) - linear @ np.asarray(centre)
        if text == "copied unchanged":
            move[:, 2] = np.round(move[:, 2])
        cost = _cost(move, mask, xs, ys)
        if cost < best_cost:
            best, best_cost = move, cost
    return best, text


def _cost(move: np.ndarray, mask: Mask, xs: np.ndarray, ys: np.ndarray) -> float:
    """Share of the copy that leaves the picture or covers its original."""
    h, w = mask.shape
    step = max(1, len(xs) // 400)
    x = np.round(move[0, 0] * xs[::step] + move[0, 1] * ys[::step] + move[0, 2]).astype(int)
    y = np.round(move[1, 0] * xs[::step] + move[1, 1] * ys[::step] + move[1, 2]).astype(int)
    inside = (x >= 4) & (x < w - 4) & (y >= 4) & (y < h - 4)
    return float((~inside).mean() + mask[y[inside], x[inside]].sum() / len(x))


def _linear(rng: np.random.Generator) -> tuple[np.ndarray, str]:
    way = int(rng.choice(4, p=(0.4, 0.25, 0.2, 0.15)))
    if way == 0:
        return np.eye(2), "copied unchanged"
    if way == 3:
        return np.diag([-1.0, 1.0]), "copied and mirrored"
    angle = np.deg2rad(rng.uniform(5, 40) * rng.choice((-1, 1))) if way == 1 else 0.0
    scale = float(rng.uniform(0.75, 1.3)) if way == 2 else 1.0
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s], [s, c]]), "copied and turned" if way == 1 else f"copied and scaled by {scale:.2f}"
