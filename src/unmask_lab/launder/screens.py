"""More that pictures go through: messengers in turn, screenshots of a phone, a phone camera's noise reduction.

`widely` is `unmask_lab.launder.image.launder` with these added. It is another function, because features are cached by
seed: what `launder` gives for a seed never changes.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from unmask_lab.launder.image import MAX_SIDE, Pixels, blur, crop, encode, noise, recompress, resize, tone

SIZES = (800, 1080, 1280, 1600)
"""Long sides that messengers scale to."""


def widely(pixels: Pixels, rng: Generator) -> Pixels:
    """One random way through the world, the longer list; an (h, w, 3) uint8 picture."""
    steps = ((0.15, night), (0.8, crop), (0.8, resize), (0.12, blur), (0.12, noise), (0.1, tone), (0.6, recompress))
    for chance, step in (*steps, (0.35, messengers), (0.25, screenshot), (0.3, recompress)):
        if rng.random() < chance:
            pixels = step(pixels, rng)
    return pixels


def messengers(pixels: Pixels, rng: Generator) -> Pixels:
    """Sent on one to three times: made smaller where larger than the app's size, JPEG at 55-85 with 4:2:0."""
    for _ in range(int(rng.integers(1, 4))):
        pixels = _within(pixels, int(rng.choice(SIZES)))
        form = "WEBP" if rng.random() < 0.15 else "JPEG"
        options = {"subsampling": 2} if form == "JPEG" else {}
        pixels = encode(pixels, form, int(rng.integers(55, 86)), **options)
    return pixels


def screenshot(pixels: Pixels, rng: Generator) -> Pixels:
    """The picture in an app on a phone's screen, captured, and often cut to about the picture again.

    The app scales it to the width of the screen, draws bars, text and buttons around it, and the capture is scaled
    once more when it is shared.
    """
    width = int(rng.choice([540, 640, 720]))
    scale = (width - 2 * int(rng.choice([0, 0, 12, 24]))) / pixels.shape[1]
    shown = _scaled(pixels, scale, rng)
    dark = bool(rng.random() < 0.5)
    above, below = int(rng.integers(60, 160)), int(rng.integers(60, 220))
    height = min(above + shown.shape[0] + below, 2 * MAX_SIDE)
    page = np.full((height, width, 3), int(rng.integers(0, 40)) if dark else int(rng.integers(235, 256)), np.uint8)
    left = (width - shown.shape[1]) // 2
    part = shown[: height - above]
    page[above : above + part.shape[0], left : left + part.shape[1]] = part
    _furnish(page, above, above + part.shape[0], dark, rng)
    if rng.random() < 0.6:
        # Cut by hand: nearly to the picture's edges, a bar or a line of text may stay.
        top, bottom = int(rng.integers(above // 2, above + 1)), int(rng.integers(0, below // 2))
        page = page[top : page.shape[0] - bottom]
    page = _scaled(_within(page, MAX_SIDE), float(rng.uniform(0.6, 1.3)), rng)
    return _within(page, MAX_SIDE)


def night(pixels: Pixels, rng: Generator) -> Pixels:
    """A dark scene on a phone: little light, shot noise, then the camera's noise reduction, sharpening and lift."""
    light = float(rng.uniform(0.25, 0.7))
    photons = float(rng.uniform(60, 400))
    linear = (pixels / 255.0) ** 2.2 * light
    noisy = linear + rng.normal(0, 1, pixels.shape) * np.sqrt(linear / photons + 2e-6)
    dark = _eight_bit(np.clip(noisy, 0, 1) ** (1 / 2.2) * 255)
    if rng.random() < 0.5:
        smooth = cv2.bilateralFilter(dark, 5, float(rng.uniform(15, 45)), float(rng.uniform(2, 4)))
    else:
        smooth = cv2.medianBlur(dark, 3)
    sharp = smooth + float(rng.uniform(0.3, 1.2)) * (smooth - cv2.GaussianBlur(smooth.astype(np.float32), (0, 0), 1.3))
    return _eight_bit(255 * (np.clip(sharp, 0, 255) / 255) ** float(rng.uniform(0.75, 1.0)))


def _within(pixels: Pixels, side: int) -> Pixels:
    h, w = pixels.shape[:2]
    if max(h, w) <= side:
        return pixels
    size = (max(1, round(w * side / max(h, w))), max(1, round(h * side / max(h, w))))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _scaled(pixels: Pixels, scale: float, rng: Generator) -> Pixels:
    h, w = pixels.shape[:2]
    filters = (cv2.INTER_AREA,) if scale < 0.8 else (cv2.INTER_LINEAR, cv2.INTER_CUBIC)
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=int(rng.choice(filters))), np.uint8)


def _furnish(page: Pixels, top: int, bottom: int, dark: bool, rng: Generator) -> None:
    """Status line, the author's name, buttons and a line of comment; drawn into ``page``."""
    width = page.shape[1]
    ink = tuple(int(c) for c in (rng.integers(200, 256, 3) if dark else rng.integers(0, 70, 3)))
    words = "".join(chr(97 + int(c)) for c in rng.integers(0, 26, 18))
    hours = f"{int(rng.integers(24))}:{int(rng.integers(60)):02}"
    cv2.putText(page, hours, (16, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.5, ink, 1, cv2.LINE_AA)
    cv2.rectangle(page, (width - 44, 12), (width - 18, 24), ink, 1)
    cv2.circle(page, (34, top - 24), 14, tuple(int(c) for c in rng.integers(0, 256, 3)), -1, cv2.LINE_AA)
    cv2.putText(page, words[:9], (58, top - 18), cv2.FONT_HERSHEY_SIMPLEX, 0.55, ink, 1, cv2.LINE_AA)
    for i in range(int(rng.integers(2, 5))):
        cv2.circle(page, (30 + 50 * i, bottom + 26), 11, ink, 2, cv2.LINE_AA)
    cv2.putText(page, words, (16, bottom + 56), cv2.FONT_HERSHEY_SIMPLEX, 0.5, ink, 1, cv2.LINE_AA)


def _eight_bit(values: np.ndarray) -> Pixels:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
