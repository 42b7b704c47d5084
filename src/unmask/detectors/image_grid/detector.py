"""``image.grid``: parts of a picture that lie on another JPEG grid than the rest, or on none.

Follows ZERO (Nikoukhah et al., IPOL 2021) with these changes. One pixel in 81 (or fewer) votes instead of every
pixel. Regions are found by testing all square windows on a ladder of sizes instead of growing regions, so the
number of tests is the number actually made. The chance p of a vote is the share of that origin in the whole
picture where that is above 1/64. A second ballot without the main grid finds grids under a later save. A missing
grid is judged against equally smooth parts of the same picture instead of against a recompressed copy. A grid
that also shows outside its region was there before a crop or a shift and is a fact, not a sign.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unmask.card import own_card
from unmask.detectors.image_grid.judge import Grids, find_grids
from unmask.detectors.image_grid.votes import SIDE, choose_stride
from unmask.evidence import boxes, fact, heatmap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unmask.media.image import ImageView
    from unmask.options import Options
    from unmask.report import Box, Evidence, Finding
    from unmask.subject import Subject

CARD = own_card(__file__)
_P = CARD.parameters


def examine(subject: Subject, options: Options) -> Finding:  # noqa: ARG001 - the common signature
    """Test the picture's grids. ``raw_score``: -log10 of the number of false alarms, 0..30; 0 where none is found.

    Raises `MediaError` where the picture cannot be decoded.
    """
    image = subject.image
    if min(image.width, image.height) < CARD.min_side:
        return CARD.declined("grid.too_small", f"The picture is smaller than {CARD.min_side} pixels a side.")
    stride = choose_stride(image.height, image.width, int(_P["max_cells"]))
    grids = find_grids(image.luma, stride, _P)
    if grids.votes < _P["least_votes"]:
        return CARD.declined(
            "grid.too_few_votes",
            "Too little of the picture is textured: flat, clipped or blurred parts hold no grid to compare.",
        )
    code, text = _reason(grids)
    return CARD.ok(code, text, raw_score=_raw_score(grids), evidence=_evidence(image, grids))


def _foreign_strength(grids: Grids) -> float:
    return max((-r.best.log_nfa for r in grids.foreign), default=0.0)


def _missing_strength(grids: Grids) -> float:
    return max((-w.log_nfa - _P["missing_discount"] for w in grids.missing), default=0.0)


def _explained(grids: Grids) -> bool:
    return _is_collage(grids) or grids.drifting


def _is_collage(grids: Grids) -> bool:
    return grids.scattered or grids.flat >= _P["flat_share"]


def _raw_score(grids: Grids) -> float:
    strength = max(_foreign_strength(grids), _missing_strength(grids), 0.0)
    return round(min(strength, _P["explained_top"] if _explained(grids) else _P["strength_top"]), 4)


def _reason(grids: Grids) -> tuple[str, str]:
    if grids.foreign and grids.drifting:
        return "grid.resampled", (
            "Neighbouring grids lie in stripes across the picture: it was probably resized by a few pixels after "
            "it had been saved as JPEG."
        )
    if (grids.foreign or grids.missing) and _is_collage(grids):
        return "grid.collage", (
            "Parts of the picture have different JPEG histories. Collages, screenshots and web pages look like "
            "this, and so does a picture that was resized slightly; so it counts for little here."
        )
    if grids.foreign:
        return "grid.foreign", (
            "A part of the picture lies on another JPEG grid than the rest: it was saved as JPEG in another "
            "position before it came here."
        )
    if grids.missing:
        return "grid.missing", (
            "The picture has a JPEG grid, but one part that could show it does not: that part was changed or drawn "
            "after the picture had been saved as JPEG."
        )
    if grids.main is None:
        return "grid.none", "No JPEG grid was found, neither in the whole picture nor in a part of it."
    return "grid.uniform", "No part of the picture lies on another JPEG grid than the rest."


def _evidence(image: ImageView, grids: Grids) -> list[Evidence]:
    evidence = [_main_fact(grids)]
    if grids.earlier and grids.main is not None:
        evidence.append(_earlier_fact(grids))
    if grids.foreign or grids.missing:
        evidence.append(_boxes(image, grids))
        evidence.append(
            heatmap(
                image,
                _map(image, grids),
                "Parts on another grid, or on none",
                f"One place in every {grids.stride}x{grids.stride} pixels was examined. Bright: the votes there agree "
                "on another grid than the rest of the picture, or avoid the picture's own grid.",
                low="the picture's own grid, or no vote",
                high="another grid, or none",
            )
        )
        evidence.append(_alarms(grids))
    return evidence


def _main_fact(grids: Grids) -> Evidence:
    source = f"votes at {grids.votes} places, one in every {grids.stride}x{grids.stride} pixels"
    if grids.main is None:
        return fact("Main JPEG grid", "none found", source, "The picture shows no traces of JPEG blocks.")
    dy, dx = divmod(grids.main, SIDE)
    text = f"{grids.main_share:.0%} of the votes agree on it (log10 of the false alarms: {grids.main_log_nfa:.0f})."
    if grids.main == 0:
        text += " It starts at the picture's corner, as after any save as JPEG."
    else:
        text += (
            " It does not start at the picture's corner: the picture was cropped, or framed, after it had been "
            "saved as JPEG. Screenshots and ordinary crops do that too."
        )
    return fact("Main JPEG grid", f"{dx} px right, {dy} px down", source, text)


def _earlier_fact(grids: Grids) -> Evidence:
    where = ", ".join(f"({e % SIDE}, {e // SIDE})" for e in grids.earlier[:4])
    return fact(
        "Further grids under the whole picture",
        where,
        "second ballot without the main grid",
        "The picture was probably saved as JPEG, cropped or moved, and saved again. That alone is no sign of a change "
        "of its content.",
    )


def _alarms(grids: Grids) -> Evidence:
    strongest = min([r.best.log_nfa for r in grids.foreign] + [w.log_nfa for w in grids.missing[:1]], default=0.0)
    return fact(
        "Number of false alarms",
        f"at most 10^{strongest:.1f}",
        "a-contrario test over all windows and grids",
        "So many equally strong coincidences are expected by chance in one such picture.",
    )


def _boxes(image: ImageView, grids: Grids) -> Evidence:
    items: list[tuple[Box, str]] = []
    for r in grids.foreign:
        dx, dy = r.label % SIDE, r.label // SIDE
        label = f"own grid ({dx}, {dy}): {r.inside:.0%} of votes here, {r.outside:.1%} elsewhere"
        items.append((_box(image, r.cells, grids.stride), label))
    if grids.missing_cells is not None:
        items.append((_box(image, grids.missing_cells, grids.stride), "the picture's grid is missing"))
    return boxes(
        "Parts with another JPEG history",
        "Compare what lies inside each box with its surroundings: edges, light, sharpness.",
        items,
    )


def _box(image: ImageView, cells: NDArray[np.bool_], stride: int) -> Box:
    rows, cols = np.flatnonzero(cells.any(axis=1)), np.flatnonzero(cells.any(axis=0))
    if not len(rows):
        return image.upright_box(0, 0, 0, 0)
    x, y = int(cols[0]) * stride + SIDE // 2, int(rows[0]) * stride + SIDE // 2
    w = min(image.width, (int(cols[-1]) + 1) * stride + SIDE // 2) - x
    h = min(image.height, (int(rows[-1]) + 1) * stride + SIDE // 2) - y
    return image.upright_box(x, y, w, h)


def _map(image: ImageView, grids: Grids) -> NDArray[np.float32]:
    rows, cols = grids.shape
    values = np.zeros((-(-image.height // grids.stride), -(-image.width // grids.stride)), np.float32)
    view = values[:rows, :cols]
    for r in grids.foreign:
        view[r.cells] = np.maximum(view[r.cells], min(1.0, 0.3 - r.best.log_nfa / _P["strength_top"]))
    if grids.missing_cells is not None:
        view[grids.missing_cells] = np.maximum(view[grids.missing_cells], 0.7)
    return values
