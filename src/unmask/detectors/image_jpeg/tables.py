"""Quantisation tables: which encoder writes this one, and how strong is it?

Most programs scale the two example tables of the JPEG standard (ITU-T T.81, Annex K) by a quality number, as the
Independent JPEG Group's library does. Photoshop and cameras ship tables of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.int32]

# ITU-T T.81, tables K.1 and K.2, natural order.
STANDARD_LUMA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.int32,
)
STANDARD_CHROMA = np.full((8, 8), 99, np.int32)
STANDARD_CHROMA[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]

# N. Robidoux's table, the default of mozjpeg, used there for luma and chroma alike.
ROBIDOUX = np.array(
    [
        [16, 16, 16, 18, 25, 37, 56, 85],
        [16, 17, 20, 27, 34, 40, 53, 75],
        [16, 20, 24, 31, 43, 62, 91, 135],
        [18, 27, 31, 40, 53, 74, 106, 156],
        [25, 34, 43, 53, 69, 94, 131, 189],
        [37, 40, 62, 74, 94, 124, 169, 238],
        [56, 53, 91, 106, 131, 169, 226, 311],
        [85, 75, 135, 156, 189, 238, 311, 418],
    ],
    np.int32,
)


@dataclass(frozen=True)
class Encoder:
    """What a file's tables say.

    ``family``: ``ijg``, ``ijg-mixed`` (luma and chroma of different qualities), ``mozjpeg``, ``photoshop``, ``flat``
    or ``own``; ``exact``: whether the tables are those of the family to the last number; ``luma_quality`` and
    ``chroma_quality``: the nearest IJG qualities, 1..100 (chroma None for grey pictures); ``name``: for people.
    """

    family: str
    exact: bool
    luma_quality: int
    chroma_quality: int | None
    name: str


def scaled(base: Table, quality: int) -> Table:
    """``base`` (8, 8) scaled to a quality 1..100 as the IJG library does, each number 1..255."""
    factor = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((base * factor + 50) // 100, 1, 255).astype(np.int32)


@cache
def _family(name: str) -> NDArray[np.int32]:
    """All hundred scalings of a base table, (100, 8, 8); index 0 is quality 1."""
    base = {"luma": STANDARD_LUMA, "chroma": STANDARD_CHROMA, "robidoux": ROBIDOUX}[name]
    return np.stack([scaled(base, q) for q in range(1, 101)])


def nearest_quality(table: Table, family: str = "luma") -> tuple[int, bool]:
    """The quality 1..100 whose table is nearest in log step size, and whether it is the same to the last number."""
    every = _family(family)
    same = np.flatnonzero((every == table).all(axis=(1, 2)))
    if len(same):
        return int(same[-1]) + 1, True
    distance = np.abs(np.log(every) - np.log(np.maximum(table, 1))).mean(axis=(1, 2))
    return int(np.argmin(distance)) + 1, False


@cache
def _photoshop() -> tuple[tuple[str, Table, Table], ...]:
    # Pillow carries the tables of Photoshop's presets as plain data.
    from PIL.JpegPresets import presets

    found = []
    for name, preset in presets.items():
        luma, chroma = np.array(preset["quantization"], np.int32).reshape(2, 8, 8)
        form = "Save for Web" if name.startswith("web_") else "Save As"
        level = name.removeprefix("web_").replace("_", " ")
        found.append((f"Adobe Photoshop, {form}, {level}", luma, chroma))
    return tuple(found)


def identify(luma: Table, chroma: Table | None) -> Encoder:
    """Name the encoder family of a file's tables, (8, 8) each in natural order."""
    quality, exact = nearest_quality(luma)
    chroma_quality, chroma_exact = (None, True) if chroma is None else nearest_quality(chroma, "chroma")
    if exact and chroma is not None and (chroma == scaled(STANDARD_CHROMA, quality)).all():
        chroma_quality = quality  # the lowest qualities share one chroma table
    exact_all = exact and chroma_exact

    def result(family: str, name: str, is_exact: bool = True) -> Encoder:
        return Encoder(family, is_exact, quality, chroma_quality, name)

    if exact_all and (chroma_quality is None or chroma_quality == quality):
        return result("ijg", f"standard (libjpeg/IJG) tables, quality {quality}")
    if (luma == luma.flat[0]).all():
        return result("flat", f"the same step {int(luma.flat[0])} for all frequencies")
    if exact_all:
        return result("ijg-mixed", f"standard (libjpeg/IJG) tables, luma {quality}, chroma {chroma_quality}")
    moz, moz_exact = nearest_quality(luma, "robidoux")
    if moz_exact and (chroma is None or (chroma == luma).all()):
        return result("mozjpeg", f"mozjpeg tables, quality {moz}")
    for name, its_luma, its_chroma in _photoshop():
        if (luma == its_luma).all() and (chroma is None or (chroma == its_chroma).all()):
            return result("photoshop", f"{name} tables")
    return result("own", f"tables of a camera's or program's own, about as strong as IJG quality {quality}", False)


def sampling_name(sampling: tuple[int, int], grey: bool) -> str:
    """Chroma subsampling from luma's (vertical, horizontal) factors, as people write it."""
    if grey:
        return "grey, no chroma"
    return {(1, 1): "4:4:4", (1, 2): "4:2:2", (2, 2): "4:2:0", (2, 1): "4:4:0", (1, 4): "4:1:1"}.get(
        sampling, f"{sampling[1]}x{sampling[0]}"
    )
