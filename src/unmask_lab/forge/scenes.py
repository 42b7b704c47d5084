"""Harmless treatments that look suspicious to naive detectors: screenshots, memes with text, scans.

They count as bona fide of their own kinds: a person who sends a screenshot of a photograph has changed nothing in it.
"""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from unmask_lab.forge.forgery import Rgb

WORDS = "Today the council said that water near old bridge will rise again before Sunday night"
PHONE = (720, 1280)


def screenshot(rng: np.random.Generator, rgb: Rgb) -> Rgb:
    """The picture on a phone's page: status bar, name of a poster, text, buttons."""
    dark = bool(rng.random() < 0.5)
    ground, ink = ((18, 18, 20), (230, 230, 232)) if dark else ((255, 255, 255), (20, 20, 22))
    page = Image.new("RGB", PHONE, ground)
    draw = ImageDraw.Draw(page)
    draw.text((24, 14), f"{rng.integers(0, 24):02d}:{rng.integers(0, 60):02d}", fill=ink, font=_font(26))
    draw.rounded_rectangle((640, 18, 692, 40), 6, outline=ink, width=2)
    hue = (int(rng.integers(40, 220)), int(rng.integers(40, 220)), int(rng.integers(40, 220)))
    draw.ellipse((24, 70, 96, 142), fill=hue)
    draw.text((112, 84), _sentence(rng, 2), fill=ink, font=_font(28))
    y = _paragraph(draw, rng, 160, ink)
    photo = _fit(rgb, PHONE[0] - 2 * int(rng.choice((0, 16, 24))), PHONE[1] - y - 150)
    page.paste(Image.fromarray(photo), ((PHONE[0] - photo.shape[1]) // 2, y))
    y += photo.shape[0] + 24
    for i in range(3):
        draw.rounded_rectangle((24 + 230 * i, y, 220 + 230 * i, y + 52), 26, outline=ink, width=2)
        draw.text((60 + 230 * i, y + 10), _sentence(rng, 1), fill=ink, font=_font(24))
    return np.asarray(page, np.uint8)


def meme(rng: np.random.Generator, rgb: Rgb) -> Rgb:
    """White capitals with a black edge above and below, or a caption bar."""
    h, w = rgb.shape[:2]
    size = max(14, w // 14)
    if rng.random() < 0.35:
        page = Image.new("RGB", (w, h + 3 * size), (255, 255, 255))
        page.paste(Image.fromarray(rgb), (0, 3 * size))
        ImageDraw.Draw(page).text((size // 2, size // 2), _sentence(rng, 6), fill=(0, 0, 0), font=_font(size * 2 // 3))
        return np.asarray(page, np.uint8)
    page = Image.fromarray(rgb.copy())
    draw = ImageDraw.Draw(page)
    for y in (size // 2, h - 2 * size):
        line = _sentence(rng, 3).upper()
        draw.text((w // 2, y), line, fill="white", font=_font(size), anchor="ma", stroke_width=2, stroke_fill="black")
    return np.asarray(page, np.uint8)


def scan(rng: np.random.Generator, rgb: Rgb) -> Rgb:
    """A print laid on a scanner: slightly turned on white paper, halftone, uneven light, dust."""
    h, w = rgb.shape[:2]
    margin = int(rng.uniform(0.05, 0.12) * max(h, w))
    paper = np.full((h + 2 * margin, w + 2 * margin, 3), 246, np.float32)
    y, x = np.mgrid[:h, :w].astype(np.float32)
    period = float(rng.uniform(2.5, 4.0))
    raster = 6 * np.sin(2 * np.pi * (x + y) / period) * np.sin(2 * np.pi * (x - y) / period)
    faded = 20 + rgb.astype(np.float32) * 0.86 + raster[..., None]
    paper[margin : margin + h, margin : margin + w] = faded
    turn = cv2.getRotationMatrix2D((paper.shape[1] / 2, paper.shape[0] / 2), float(rng.uniform(-1.5, 1.5)), 1.0)
    size = (paper.shape[1], paper.shape[0])
    paper = cv2.warpAffine(paper, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    paper = cv2.GaussianBlur(paper, (0, 0), 0.7) + rng.normal(0, 1.2, paper.shape)
    light = np.linspace(-6, 6, paper.shape[1])[None, :, None]
    dust = (rng.random(paper.shape[:2]) < 2e-5).astype(np.float32)
    specks = cv2.GaussianBlur(dust, (0, 0), 1.0)[..., None] * 400
    return np.asarray(np.clip(np.round(paper + light - specks), 0, 255), np.uint8)


SCENES = {"screenshot": screenshot, "meme": meme, "scan": scan}


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _sentence(rng: np.random.Generator, words: int) -> str:
    known = WORDS.split()
    return " ".join(known[int(i)] for i in rng.integers(len(known), size=words)).capitalize()


def _paragraph(draw: ImageDraw.ImageDraw, rng: np.random.Generator, y: int, ink: tuple[int, int, int]) -> int:
    for _ in range(int(rng.integers(1, 5))):
        draw.text((24, y), _sentence(rng, 7), fill=ink, font=_font(26))
        y += 38
    return y + 16


def _fit(rgb: Rgb, width: int, height: int) -> Rgb:
    scale = min(width / rgb.shape[1], height / rgb.shape[0])
    size = (max(1, int(rgb.shape[1] * scale)), max(1, int(rgb.shape[0] * scale)))
    kernel = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb, size, interpolation=kernel), np.uint8)
