"""Compression history: tables, earlier compression, and a region whose history differs from the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unmask import evidence
from unmask.card import own_card
from unmask.detectors.image_jpeg import blocks as reading
from unmask.detectors.image_jpeg import facts, ghosts
from unmask.detectors.image_jpeg.blocks import Blocks
from unmask.detectors.image_jpeg.history import Comb, find_combs
from unmask.detectors.image_jpeg.locate import Region, cast_votes, find_region

if TYPE_CHECKING:
    from unmask.media.image import ImageView
    from unmask.options import Options
    from unmask.report import Box, Evidence, Finding
    from unmask.subject import Subject

CARD = own_card(__file__)
_P = CARD.parameters
_BRIGHTNESS_FIRST = ("JCS_YCbCr", "JCS_GRAYSCALE")


def examine(subject: Subject, options: Options) -> Finding:  # noqa: ARG001 - the common signature
    """Look for a part with another compression history. Raises `MediaError`."""
    refusal = _refusal(subject)
    if refusal:
        return refusal
    image = subject.image
    known = facts.of_file(image.jpeg) if image.jpeg else []
    if not image.jpeg and not _worth_reading(image):
        return CARD.ok("jpeg.one_history", _no_comb_text(image), 0.0, facts.of_history([]))
    blocks, offset = _read(image)
    if _textured(blocks) < _P["min_textured_blocks"]:
        return CARD.declined(
            "jpeg.flat", "The picture has too few parts with texture, not black or white, to tell their history.", known
        )
    combs = reliable(find_combs(blocks, reading.off_grid(image.luma, int(_P["sample_blocks"]))))
    known += facts.of_history(combs)
    if not combs:
        return CARD.ok("jpeg.one_history", _no_comb_text(image), 0.0, known)
    region, shown = find_region(cast_votes(blocks, combs), _P)
    return _answer(image, blocks, offset, region, shown, known, len(combs))


def _refusal(subject: Subject) -> Finding | None:
    """Why this subject cannot be examined, known before its blocks are read."""
    if subject.format not in CARD.formats:
        return CARD.not_applicable(
            "jpeg.other_codec",
            f"Only JPEG and lossless pictures can be examined this way; this is {subject.format.upper()}.",
        )
    image = subject.image
    if min(image.width, image.height) < CARD.min_side:
        return CARD.declined("jpeg.small", f"The picture is smaller than {CARD.min_side} pixels on a side.")
    if image.jpeg and facts.luma_quality(image.jpeg) < _P["least_quality"]:
        text = "The picture is compressed so strongly that no earlier trace can remain."
        return CARD.declined("jpeg.too_compressed", text, facts.of_file(image.jpeg))
    if image.jpeg and image.jpeg.color_space not in _BRIGHTNESS_FIRST:
        text = "This JPEG file does not store brightness by itself (RGB or CMYK), which the examination needs."
        return CARD.declined("jpeg.colour_space", text, facts.of_file(image.jpeg))
    return None


def reliable(combs: Sequence[Comb]) -> list[Comb]:
    """Those that are no accident of the fit."""
    return [
        c
        for c in combs
        if c.gain > _P["comb_gain"] and c.gain * c.counts.sum() > _P["comb_total"] and c.share < _P["comb_share"]
    ]


def strength(region: Region | None, limits: Mapping[str, float], combs: int) -> float:
    """Raw score 0..``max_score``: standard deviations, less where region or rest are not clearly one or the other,
    or where few frequencies (``combs``) show the earlier compression at all.
    """
    if region is None or region.share < limits["least_share"]:
        return 0.0
    high, low = max(region.place, region.rest_place), min(region.place, region.rest_place)
    ramp = limits["clear_to"] - limits["clear_from"]
    clear = np.clip((min(high, 1 - low) - limits["clear_from"]) / ramp, 0, 1)
    tame = np.clip(1.0 - (max(high - 1, -low) - limits["wild"]) / limits["wild"], 0, 1)
    weight = 1.0 if region.lacks else limits["weight_alone"]
    weight *= 1.0 if combs >= limits["enough_combs"] else limits["weight_few"]
    return float(min(limits["max_score"], max(0.0, region.strength)) * clear * tame * weight)


def _worth_reading(image: ImageView) -> bool:
    """Whether the middle of a large picture that is not a JPEG shows any comb: most do not, and this is cheap."""
    side = int(_P["first_look"])
    if image.width * image.height <= 2 * side**2:
        return True
    top, left = max(0, (image.height - side) // 2), max(0, (image.width - side) // 2)
    part = (slice(top, top + side), slice(left, left + side))
    luma, rgb = image.luma[part], image.rgb[part]
    middle = reading.from_pixels(luma, rgb, reading.grid_origin(luma))
    if _textured(middle) < _P["min_textured_blocks"]:
        return True
    return bool(reliable(find_combs(middle, reading.off_grid(luma, int(_P["sample_blocks"])))))


def _read(image: ImageView) -> tuple[Blocks, tuple[int, int]]:
    if image.jpeg:
        return reading.from_coefficients(image.jpeg.luma, image.jpeg.tables[0], image.rgb), (0, 0)
    offset = reading.grid_origin(image.luma)
    return reading.from_pixels(image.luma, image.rgb, offset), offset


def _textured(blocks: Blocks) -> int:
    levels = (blocks.levels > 0).sum(axis=0, dtype=np.int32)
    return int(((levels >= _P["textured_levels"]) & blocks.usable).sum())


def _answer(
    image: ImageView,
    blocks: Blocks,
    offset: tuple[int, int],
    region: Region | None,
    shown: NDArray[np.float32],
    known: list[Evidence],
    combs: int,
) -> Finding:
    score = strength(region, _P, combs)
    if region is None or score < _P["report_above"]:
        text = "The whole picture was compressed before, as messengers and web sites do. No part of it stands out."
        plot = facts.ghost_plot([("whole picture", ghosts.curve(blocks, blocks.usable))])
        return CARD.ok("jpeg.same_history", text, score, [*known, plot])
    box = _box(image, region, offset)
    text = (
        "A part of the picture lacks the traces of the earlier compression that the rest carries, as parts do that "
        "were put in or painted over afterwards."
        if region.lacks
        else "A part of the picture carries traces of an earlier compression that the rest does not have."
    )
    return CARD.ok("jpeg.region", text, score, [*_pictures(image, blocks, region, shown, box), *known])


def _pictures(
    image: ImageView,
    blocks: Blocks,
    region: Region,
    shown: NDArray[np.float32],
    box: Box,
) -> list[Evidence]:
    whole = np.zeros((-(-image.height // 8), -(-image.width // 8)), np.float32)
    whole[: shown.shape[0], : shown.shape[1]] = shown
    lacking = "lacks" if region.lacks else "alone has"
    return [
        evidence.heatmap(
            image,
            whole,
            "Where the compression history differs",
            f"Bright: the 8x8 blocks whose numbers look as if they {'lack' if region.lacks else 'alone have'} the "
            "earlier compression. Dark: as the rest, or too flat to tell.",
            low="as the rest",
            high="other history",
            region=box,
        ),
        evidence.boxes(
            "Part with another history",
            f"The marked part {lacking} the earlier compression; it differs from the rest by {region.strength:.0f} "
            "standard deviations.",
            [(box, "other compression history")],
        ),
        facts.ghost_plot(
            [
                ("marked part", ghosts.curve(blocks, region.mask)),
                ("rest", ghosts.curve(blocks, blocks.usable & ~region.mask)),
            ]
        ),
    ]


def _box(image: ImageView, region: Region, offset: tuple[int, int]) -> Box:
    x, y, w, h = (8 * v for v in region.box)
    return image.upright_box(x + offset[1], y + offset[0], w, h)


def _no_comb_text(image: ImageView) -> str:
    if image.jpeg:
        return (
            "No trace of an earlier JPEG compression on this grid: the picture was saved once, was resized before "
            "saving, or the last saving was too strong to tell."
        )
    return "The pixels carry no trace of an earlier JPEG compression."
