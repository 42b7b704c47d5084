"""Regions to forge: smooth blobs, polygons, figures made of joined parts, and objects cut out by GrabCut."""

from __future__ import annotations

import cv2
import numpy as np

from unmask_lab.forge.forgery import Alpha, Mask, Rgb

SMALLEST, LARGEST = 0.015, 0.15
"""Share of the picture that a region covers: from a hand to a person."""


def region(rng: np.random.Generator, rgb: Rgb) -> Mask:
    """A random region of ``rgb``, (h, w) bool, between `SMALLEST` and `LARGEST` of it, clear of the border."""
    h, w = rgb.shape[:2]
    share = float(np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST))))
    radius = np.sqrt(share * h * w / np.pi)
    centre = _centre(rng, h, w, radius)
    make = (_blob, _polygon, _figure, _cut_out)[rng.choice(4, p=(0.3, 0.2, 0.3, 0.2))]
    mask = make(rng, rgb, centre, radius)
    mask[:4] = mask[-4:] = False
    mask[:, :4] = mask[:, -4:] = False
    if not SMALLEST / 2 <= mask.mean() <= 2 * LARGEST:
        mask = _blob(rng, rgb, centre, radius)
    return mask


def feather(rng: np.random.Generator, mask: Mask) -> Alpha:
    """(h, w) float32 in 0..1: a hard edge for a third of the regions, else an edge of up to a few pixels."""
    alpha = mask.astype(np.float32)
    if rng.random() < 0.33:
        return alpha
    sigma = float(rng.uniform(0.6, 2.5))
    return np.asarray(cv2.GaussianBlur(alpha, (0, 0), sigma), np.float32)


def _centre(rng: np.random.Generator, h: int, w: int, radius: float) -> tuple[float, float]:
    def place(side: int) -> float:
        margin = min(radius + 6, side / 2 - 1)
        return float(rng.uniform(margin, side - margin))

    return place(w), place(h)


def _fill(shape: tuple[int, ...], points: np.ndarray) -> Mask:
    canvas = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(canvas, [np.round(points).astype(np.int32)], 1)
    return canvas.astype(bool)


def _blob(rng: np.random.Generator, rgb: Rgb, centre: tuple[float, float], radius: float) -> Mask:
    """A closed curve with a few random Fourier terms."""
    t = np.linspace(0, 2 * np.pi, 240, endpoint=False)
    r = np.ones_like(t)
    for k in range(2, 7):
        r += rng.normal(0, 0.22 / k) * np.cos(k * t + rng.uniform(0, 2 * np.pi))
    stretch = float(rng.uniform(0.7, 1.4))
    x = centre[0] + radius * r * np.cos(t) * stretch
    y = centre[1] + radius * r * np.sin(t) / stretch
    return _fill(rgb.shape, np.stack([x, y], 1))


def _polygon(rng: np.random.Generator, rgb: Rgb, centre: tuple[float, float], radius: float) -> Mask:
    """A star-shaped polygon, as a lasso tool gives."""
    n = int(rng.integers(5, 14))
    t = np.sort(rng.uniform(0, 2 * np.pi, n))
    r = radius * rng.uniform(0.7, 1.35, n)
    return _fill(rgb.shape, np.stack([centre[0] + r * np.cos(t), centre[1] + r * np.sin(t)], 1))


def _figure(rng: np.random.Generator, rgb: Rgb, centre: tuple[float, float], radius: float) -> Mask:
    """A head on shoulders, or another chain of joined ellipses."""
    canvas = np.zeros(rgb.shape[:2], np.uint8)
    x, y = centre
    for scale in rng.uniform(0.35, 0.8, int(rng.integers(2, 5))):
        axes = (max(3, int(radius * scale * rng.uniform(0.7, 1.3))), max(3, int(radius * scale)))
        cv2.ellipse(canvas, (int(x), int(y)), axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
        step = rng.uniform(0.4, 0.9) * radius
        turn = rng.uniform(0.25, 0.75) * np.pi
        x, y = x + step * np.cos(turn), y + step * np.sin(turn)
    return canvas.astype(bool)


def _cut_out(rng: np.random.Generator, rgb: Rgb, centre: tuple[float, float], radius: float) -> Mask:
    """The object that GrabCut finds in a box, computed on a small copy and brought back to size."""
    h, w = rgb.shape[:2]
    scale = min(1.0, 200 / max(h, w))
    small = cv2.resize(
        np.asarray(rgb), (max(8, round(w * scale)), max(8, round(h * scale))), interpolation=cv2.INTER_AREA
    )
    x0, y0 = (max(1, int((c - 1.3 * radius) * scale)) for c in centre)
    side = max(6, int(2.6 * radius * scale))
    box = (x0, y0, min(side, small.shape[1] - x0 - 1), min(side, small.shape[0] - y0 - 1))
    labels = np.zeros(small.shape[:2], np.uint8)
    cv2.setRNGSeed(int(rng.integers(1, 1 << 30)))
    try:
        cv2.grabCut(small, labels, box, np.zeros((1, 65)), np.zeros((1, 65)), 2, cv2.GC_INIT_WITH_RECT)
    except cv2.error:
        return _blob(rng, rgb, centre, radius)
    found = _largest(((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.uint8))
    smooth = cv2.resize(found.astype(np.float32), (w, h), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.GaussianBlur(smooth, (0, 0), 1.5) > 0.5)


def _largest(mask: np.ndarray) -> np.ndarray:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    if count < 2:
        return mask
    return np.asarray(labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])), np.uint8)
