"""Faces for `face.identity`: those of the kit as dlib aligns them, who they are if a name says so, and their wear."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from unmask.faces import detect
from unmask.faces.embed import SIDE, chip
from unmask_lab.errors import LabError
from unmask_lab.launder.image import encode

ROOM = 22
"""Pixels kept on each side of a chip that is `INNER` wide, so that it can be shaken without inventing pixels."""
INNER = 180
LEAST, MOST_FACES, LONGEST = 28.0, 14, 1600

LEFT_OUT = (
    "face-recognition",
    "deepfake-image-detector",
    "div-ageitgey-face_recognition",
    "div-tencentarc-photomaker",
    "div-justadudewhohacks-face-api.js",
    "div-timesler-facenet-pytorch",
)
"""Sources of named people, and of many people seen once: no face of theirs is trained on."""

ONE_EACH = "deepfake-image-detector"
"""A source of so many different people as pictures (FFHQ), but for near duplicates."""

# Folders of one person each in the sources that name people; of those with several faces only the names are sure.
_NAMES = re.compile(
    r"images/(?P<lfw>[A-Z]\w+)/\w+_\d{4}\.jpg$|examples/(?P<maker>\w+)_(?:woman|man)/"
    r"|knn_examples/train/(?P<knn>\w+)/\w+\.jpg$|data/test_images/(?P<net>\w+)/"
)
_ALSO = {
    "tests/test_images/obama3.jpg": "obama",
    "examples/obama-720p.jpg": "obama",
    "examples/alex-lacamoire.png": "alex_lacamoire",
    "examples/knn_examples/test/alex_lacamoire1.jpg": "alex_lacamoire",
}

Rgb = NDArray[np.uint8]


@dataclass(frozen=True)
class Bank:
    """``canvases``: (n, 224, 224, 3) uint8; ``sources``, ``people``: (n,) text, a person being "" where nobody says."""

    canvases: Rgb
    sources: NDArray[np.str_]
    people: NDArray[np.str_]

    @property
    def left_out(self) -> NDArray[np.bool_]:
        """(n,) which faces no training may see."""
        return np.isin(self.sources, LEFT_OUT)

    def part(self, rows: NDArray[np.int64]) -> Bank:
        """Some of the faces."""
        return Bank(self.canvases[rows], self.sources[rows], self.people[rows])

    def inner(self, mirrored: bool = False) -> Rgb:
        """(n, 150, 150, 3): the chips as they are."""
        cut = self.canvases[:, ROOM : ROOM + INNER, ROOM : ROOM + INNER]
        chips = np.stack([cv2.resize(c, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for c in cut])
        return np.ascontiguousarray(chips[:, :, ::-1] if mirrored else chips).astype(np.uint8)


def open_bank(kit: Path, path: Path) -> Bank:
    """The bank kept at ``path``, or gathered from the kit (twenty minutes) and kept there.

    Raises:
        LabError: ``train.file``, what is kept there is no bank.
    """
    if not path.exists():
        rows = list(gather(kit))
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            path,
            canvases=np.stack([row[0] for row in rows]),
            sources=np.array([row[1] for row in rows]),
            people=np.array([row[2] for row in rows]),
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            return Bank(file["canvases"], file["sources"], file["people"])
    except (OSError, ValueError, KeyError) as error:
        raise LabError("train.file", f"{path} is no bank of faces: remove it to gather them anew.") from error


def gather(kit: Path) -> Iterator[tuple[Rgb, str, str]]:
    """(canvas, source, person) of every face of the kit's pictures, generated ones too: they are distinct people."""
    with (kit / "manifest-images.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            with Image.open(kit / row["path"]) as picture:
                picture.thumbnail((LONGEST, LONGEST))
                rgb = np.asarray(picture.convert("RGB"), np.uint8)
            found = [face for face in detect(rgb)[:MOST_FACES] if face.size >= LEAST]
            who = person(row["source_path"]) if len(found) == 1 or "LFW" in row["method"] else ""
            for i, face in enumerate(found):
                yield chip(rgb, face, INNER, ROOM), Path(row["path"]).parent.name, who if i == 0 else ""


def person(source_path: str) -> str:
    """Who a picture shows, by the name that its source gave it; "" where that says nothing."""
    found = _NAMES.search(source_path)
    return _ALSO.get(source_path, "" if found is None else str(found[found.lastgroup or 0]).lower())


def worn(canvas: Rgb, rng: Generator, mirror: bool) -> Rgb:
    """(150, 150, 3): the chip shaken a little and worn as films wear faces."""
    middle = canvas.shape[0] / 2
    scale = SIDE / INNER * rng.uniform(0.95, 1.05)
    there = cv2.getRotationMatrix2D((middle, middle), rng.uniform(-4, 4), scale)
    there[:, 2] += SIDE / 2 - middle + rng.uniform(-3, 3, 2)
    out = np.asarray(cv2.warpAffine(canvas, there, (SIDE, SIDE), flags=cv2.INTER_LINEAR), np.uint8)
    if mirror:
        out = np.ascontiguousarray(out[:, ::-1])
    if rng.random() < 0.5:
        out = _toned(out, rng)
    if rng.random() < 0.45:
        out = _small(out, int(rng.integers(28, 120)))
    if rng.random() < 0.2:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), rng.uniform(0.5, 1.8)), np.uint8)
    if rng.random() < 0.2:
        out = np.clip(out + rng.normal(0, rng.uniform(2, 10), out.shape), 0, 255).astype(np.uint8)
    return encode(out, "JPEG", int(rng.integers(25, 92))) if rng.random() < 0.5 else out


def _toned(rgb: Rgb, rng: Generator) -> Rgb:
    """Another exposure, contrast, white balance; now and then without colour."""
    values = 255 * (rgb / 255.0) ** rng.uniform(0.7, 1.4) * rng.uniform(0.85, 1.12, 3)
    values = (values - 128) * rng.uniform(0.75, 1.2) + 128
    if rng.random() < 0.1:
        values = np.repeat(values.mean(2, keepdims=True), 3, axis=2)
    return np.clip(values, 0, 255).astype(np.uint8)


def _small(rgb: Rgb, side: int) -> Rgb:
    """As a face so many pixels wide looks when it is enlarged."""
    little = cv2.resize(rgb, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(little, rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
