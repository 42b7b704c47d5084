"""Splices: a region of another photograph is put into this one."""

from __future__ import annotations

import cv2
import numpy as np

from unmask_lab.forge.forgery import Forgery, Mask, Rgb, blend
from unmask_lab.forge.regions import feather, region


def splice(rng: np.random.Generator, rgb: Rgb, donor: Rgb) -> Forgery:
    """Put a region of ``donor`` into ``rgb``.

    Half of the insertions keep the donor's pixels as they are (only moved); the others are scaled and turned. Half
    of them are matched to the mean and spread of the colours they cover.
    """
    mask = region(rng, rgb)
    natural = bool(rng.random() < 0.5)
    layer = _lay(rng, donor, mask, natural)
    matched = bool(rng.random() < 0.5)
    if matched:
        layer = match_colours(layer, rgb, mask)
    text = f"region of another photograph, {'unscaled' if natural else 'scaled and turned'}"
    return Forgery(blend(rgb, layer, feather(rng, mask)), mask, text + (", colours matched" if matched else ""))


def match_colours(layer: Rgb, rgb: Rgb, mask: Mask) -> Rgb:
    """Bring each channel of ``layer`` under ``mask`` half-way to the mean and spread of ``rgb`` there."""
    out = layer.astype(np.float32)
    for c in range(3):
        mean_l, std_l = float(out[mask, c].mean()), float(out[mask, c].std()) + 1
        mean_b, std_b = float(rgb[mask, c].mean()), float(rgb[mask, c].std()) + 1
        gain = np.clip((std_b / std_l) ** 0.5, 0.7, 1.4)
        out[..., c] = (out[..., c] - mean_l) * gain + (mean_l + mean_b) / 2
    return np.clip(np.round(out), 0, 255).astype(np.uint8)


def _lay(rng: np.random.Generator, donor: Rgb, mask: Mask, natural: bool) -> Rgb:
    """A picture of ``mask``'s size whose masked part shows a random part of ``donor``."""
    h, w = mask.shape
    dh, dw = donor.shape[:2]
    ys, xs = np.nonzero(mask)
    bh, bw = int(np.ptp(ys)) + 1, int(np.ptp(xs)) + 1
    need = max(bh / dh, bw / dw)
    scale = 1.0 if natural and need <= 1 else max(need * 1.05, float(rng.uniform(0.5, 1.4)))
    angle = 0.0 if natural else float(rng.uniform(-25, 25))
    room_x, room_y = max(0.0, dw * scale - bw), max(0.0, dh * scale - bh)
    left, top = rng.uniform(0, room_x + 1e-6), rng.uniform(0, room_y + 1e-6)
    if natural:
        left, top = np.floor(left), np.floor(top)
    move = cv2.getRotationMatrix2D(((left + bw / 2) / scale, (top + bh / 2) / scale), angle, scale)
    move[0, 2] += xs.min() + bw / 2 - (left + bw / 2) / scale
    move[1, 2] += ys.min() + bh / 2 - (top + bh / 2) / scale
    if scale == 1.0 and angle == 0.0:
        move[:, 2] = np.round(move[:, 2])
    kernel = cv2.INTER_AREA if scale < 0.7 else (cv2.INTER_LINEAR, cv2.INTER_CUBIC)[int(rng.integers(2))]
    return np.asarray(cv2.warpAffine(donor, move, (w, h), flags=kernel, borderMode=cv2.BORDER_REFLECT), np.uint8)
