"""image.copy_move: was a part of this picture pasted elsewhere in the same picture?"""

from __future__ import annotations

import cv2
import numpy as np

from unmask import evidence
from unmask.card import own_card
from unmask.detectors.image_copy_move.dense import find_shifts, whitened
from unmask.detectors.image_copy_move.keypoints import Transform, find_transforms
from unmask.detectors.image_copy_move.verify import Copy, Float, Grey, examine_transform
from unmask.media.image import ImageView
from unmask.options import Options
from unmask.report import Evidence, Finding
from unmask.subject import Subject

CARD = own_card(__file__)
P = CARD.parameters


def examine(subject: Subject, options: Options) -> Finding:  # noqa: ARG001 - the common signature
    """Search the picture for parts of itself and check each find by its noise.

    ``raw_score`` is 0 (nothing repeats) to 15; about 5 and more is a part whose noise repeats, too.

    Raises:
        MediaError: the picture cannot be decoded.
    """
    image = subject.image
    if min(image.width, image.height) < CARD.min_side:
        return CARD.declined(
            "copy_move.too_small",
            f"The picture is smaller than {CARD.min_side} pixels on one side: too little to compare.",
        )
    grey, scale = working_copy(image)
    residual = whitened(grey)
    if float(np.mean(np.abs(residual) > 0.3)) < P["min_texture_share"]:
        return CARD.declined("copy_move.blank", "The picture is almost blank: there is no texture or noise to compare.")
    copies = find_copies(grey, residual)
    best = max((strength(c) for c in copies), default=0.0)
    told = [c for c in copies if strength(c) >= P["report_above"]]
    if not told:
        text = "No part of the picture was found twice with the same noise."
        if any(is_graphics(c) for c in copies):
            text += " Drawn elements (text, icons) repeat, which says nothing."
        return CARD.ok("copy_move.none", text, raw_score=best, evidence=_remark(scale))
    return CARD.ok(
        "copy_move.found",
        _sentence(told[0]),
        raw_score=best,
        evidence=[*_show(image, told, scale), *_remark(scale)],
    )


def working_copy(image: ImageView) -> tuple[Grey, float]:
    """(h, w) uint8 luma of at most ``working_pixels``, and its size relative to the stored picture (<= 1)."""
    luma = image.luma
    scale = min(1.0, float(np.sqrt(P["working_pixels"] / luma.size)))
    if scale == 1.0:
        return luma, scale
    size = (round(luma.shape[1] * scale), round(luma.shape[0] * scale))
    return np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.uint8), scale


def find_copies(grey: Grey, residual: Float) -> list[Copy]:
    """All verified copies, strongest first, each place once."""
    distance = P["min_distance"]
    shifts = find_shifts(residual, distance, P["min_peak_sigma"], int(P["min_cells"]), int(P["max_shifts"]))
    keyed = find_transforms(grey, int(P["keypoints"]), distance, int(P["min_support"]))
    candidates = [*keyed[: int(P["max_transforms"])], *shifts]
    values = grey.astype(np.float32)
    drawn = still_share(values)
    kept: list[Copy] = []
    for transform in _different(candidates):
        copy = examine_transform(values, transform, int(P["min_area_share"] * grey.size))
        if copy is not None and copy.features["overlap"] <= P["max_overlap"]:
            copy.features["picture_still"] = drawn
            kept.append(copy)
    return sorted(kept, key=lambda c: -strength(c))


def still_share(grey: Float) -> float:
    """Share of the 8x8 blocks of (h, w) luma that hold no noise at all: drawings and cut-outs have many, 0..1."""
    h, w = (side // 8 for side in grey.shape)
    blocks = grey[: 8 * h, : 8 * w].reshape(h, 8, w, 8)
    return float((blocks.std(axis=(1, 3)) < P["still_deviation"]).mean()) if h and w else 0.0


def _different(candidates: list[Transform]) -> list[Transform]:
    """Without those that another one (or its inverse) already says."""
    kept: list[Transform] = []
    for new in candidates:
        if not any(_same(new.matrix, old.matrix) or _same(new.inverse, old.matrix) for old in kept):
            kept.append(new)
    return kept


def _same(
    a: np.ndarray[tuple[int, ...], np.dtype[np.float64]], b: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> bool:
    return bool(np.abs(a[:, :2] - b[:, :2]).max() < 0.02 and np.abs(a[:, 2] - b[:, 2]).max() < 4)


def strength(copy: Copy) -> float:
    """0..``max_score``: how surely ``copy`` is a copy and not a likeness.

    Area, agreement of the fine residual where the picture is quiet, agreement of the residual with its edges
    clipped, and agreement of the brightness. Flat graphics count little: they have no noise that could tell.
    """
    f = copy.features
    total = (
        P["w_constant"]
        + P["w_area"] * float(np.log10(f["share"]))
        + P["w_quiet"] * f["quiet"]
        + P["w_quiet_mid"] * f["quiet_mid"]
        + P["w_clip"] * f["clip"]
        + P["w_low"] * float(np.log10(0.3 + f["low"]))
    )
    if is_graphics(copy):
        total *= P["graphics_weight"]
    return float(np.clip(total, 0.0, P["max_score"]))


def is_graphics(copy: Copy) -> bool:
    """Whether the part is drawn rather than photographed: few grey levels, or edges without noise between.

    So is any part of a picture whose blocks are mostly without noise: drawn scenes repeat their elements.
    """
    f = copy.features
    return (
        f["levels"] > P["graphics_levels"]
        or f["still"] > P["graphics_still"]
        or f["picture_still"] > P["picture_still"]
        or f["quiet_energy"] < P["graphics_quiet"] * f["energy"]
    )


def _sentence(copy: Copy) -> str:
    f = copy.features
    how = "mirrored and " if copy.transform.mirrored else ""
    return (
        f"A part of the picture ({100 * f['share']:.1f} % of it) lies {how}pasted in another place as well: even "
        f"its fine noise is the same (correlation {f['fine']:.2f})."
    )


def _show(image: ImageView, copies: list[Copy], scale: float) -> list[Evidence]:
    heat = np.zeros(copies[0].target.shape, np.float32)
    items, lines = [], []
    for number, copy in enumerate(copies, 1):
        heat = np.maximum(heat, copy.target | copy.source)
        ends = []
        for mask, name in ((copy.source, "a"), (copy.target, "b")):
            x, y, w, h = (v / scale for v in cv2.boundingRect(mask.astype(np.uint8)))
            items.append((image.upright_box(x, y, w, h), f"{number}{name}"))
            ends.append(image.upright_point(x + w / 2, y + h / 2))
        lines.append((*ends[0], *ends[1]))
    return [
        evidence.heatmap(
            image,
            heat,
            "Parts that were found twice",
            "Marked are both places of each part. Which of the two is the original cannot be told from this.",
            low="once",
            high="twice",
            region=items[0][0],
        ),
        evidence.boxes(
            "Copies",
            "A line joins the two places that show the same content with the same noise (1a with 1b, and so on).",
            items,
            lines,
        ),
    ]


def _remark(scale: float) -> list[Evidence]:
    if scale == 1.0:
        return []
    return [
        evidence.fact(
            "Compared at",
            f"{100 * scale:.0f} % of its size",
            "image.copy_move",
            "Large pictures are compared at reduced size; very small copies may be missed.",
        )
    ]
