"""image.splice: is there a region whose finest traces do not fit the rest of the picture? A trained net's answer."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask import evidence
from unmask.card import own_card
from unmask.detectors.image_splice.reading import Reading, filled, read
from unmask.media.image import ImageView
from unmask.models.runtime import open_model
from unmask.options import Options
from unmask.report import Box, Evidence, Finding
from unmask.subject import Subject

CARD = own_card(__file__)
P = CARD.parameters
FEATURES, CONTEXT = "image-splice-1", "image-splice-context-1"


def examine(subject: Subject, options: Options) -> Finding:  # noqa: ARG001 - the common signature
    """Map what differs from the rest of the picture in noise, detail and compression.

    ``raw_score`` is the log-odds, at even classes of the training material, that a region was changed.

    Raises:
        MediaError: the picture cannot be decoded. ModelError: a model is missing, altered, or computes other numbers.
    """
    image = subject.image
    if min(image.width, image.height) < CARD.min_side:
        return CARD.declined(
            "splice.too_small",
            f"The picture is smaller than {CARD.min_side} pixels on one side: too little to compare with the rest.",
        )
    flat, even = flat_shares(image.luma)
    if flat > P["max_flat_share"]:
        return CARD.declined("splice.blank", "The picture is almost blank: there are no traces to compare.")
    if even > P["max_even_share"]:
        return CARD.declined(
            "splice.page",
            f"{100 * even:.0f} % of the picture is one even tone, as in screenshots, pages, logos and things cut out "
            "on a plain ground: whatever is put there differs from the ground as a matter of course.",
        )
    jpeg = image.jpeg
    table = None if jpeg is None else jpeg.tables[0]
    reading = read(image.rgb, table, open_model(FEATURES), open_model(CONTEXT), int(P["most_tiles"]))
    if reading.distance > P["drift_limit"]:
        return CARD.declined(
            "drift.unlike_training",
            "The picture's fine structure is unlike all that the net was trained on (a halftone print, a drawing, "
            "heavy processing): its answer would be a guess.",
        )
    heat = probability(reading)
    found = regions(heat, reading.seen) if reading.score >= P["report_above"] else []
    if not found:
        return CARD.ok(
            "splice.none",
            "No region stands out: differences of noise, detail and compression are within what untouched pictures "
            "show.",
            raw_score=reading.score,
            evidence=_show(image, reading, heat, []),
        )
    share = 100 * float(np.mean(heat >= P["region_above"]))
    number = "One region differs" if len(found) == 1 else f"{len(found)} regions differ"
    return CARD.ok(
        "splice.region",
        f"{number} from the rest ({share:.0f} % of the picture) in noise, detail or compression, as parts do that "
        "were put in, painted anew or retouched.",
        raw_score=reading.score,
        evidence=_show(image, reading, heat, found),
    )


def flat_shares(luma: NDArray[np.uint8]) -> tuple[float, float]:
    """Share of 8 x 8 blocks that are flat, and of those flat blocks that have the commonest grey level (+-1)."""
    h, w = (n // 8 * 8 for n in luma.shape)
    blocks = luma[:h, :w].reshape(h // 8, 8, w // 8, 8)
    low = blocks.min((1, 3)).ravel()
    flat = blocks.max((1, 3)).ravel().astype(np.int16) - low < P["flat_range"]
    counts = np.bincount(low[flat], minlength=256)
    commonest = np.convolve(counts, np.ones(3, np.intp), "same").max()
    return float(flat.mean()), float(commonest / flat.size)


def probability(reading: Reading) -> NDArray[np.float32]:
    """(rows, columns) 0..1: the map, sharpened so that 0.5 is where regions of this picture begin (`level`)."""
    values = filled(reading.logits, reading.seen)
    cut = level(values, reading.seen)
    return np.asarray(1 / (1 + np.exp(-np.clip(P["map_slope"] * (values - cut), -30, 30))), np.float32)


def level(values: NDArray[np.float32], seen: NDArray[np.bool_]) -> float:
    """Log-odds from which a cell of this picture counts as changed.

    Args:
        values: (rows, columns), the net's map, log-odds.
        seen: (rows, columns), the cells that were examined, one at least.

    How high the map stands tells how clear the traces are: a changed part may reach 3 after strong compression and 12
    without, and the net's field of view spreads a part of that around it. One level for all pictures therefore marks
    too much of the clear ones and nothing of the faint ones. The cut lies a share of the way up from the picture's
    median to its strongest cells, and never below ``map_floor``, so that untouched pictures do not light up.
    """
    ordered = np.sort(values[seen])
    middle, top = float(np.median(ordered)), float(ordered[-int(P["top_cells"]) :].mean())
    return max(P["map_floor"], middle + P["cut_share"] * (top - middle))


def regions(heat: NDArray[np.float32], seen: NDArray[np.bool_]) -> list[tuple[int, int, int, int]]:
    """Boxes (x, y, w, h), in cells, of the connected parts above ``region_above``, the strongest first."""
    mask = ((heat >= P["region_above"]) & seen).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    kept = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] >= P["min_cells"]]
    kept.sort(key=lambda i: -float(heat[labels == i].sum()))
    return [
        (int(stats[i, 0]), int(stats[i, 1]), int(stats[i, 2]), int(stats[i, 3])) for i in kept[: int(P["most_regions"])]
    ]


def _show(
    image: ImageView, reading: Reading, heat: NDArray[np.float32], found: list[tuple[int, int, int, int]]
) -> list[Evidence]:
    boxes = [_box(image, box, reading.cell) for box in found]
    shown = [
        evidence.heatmap(
            image,
            _whole(image, heat, reading.cell),
            "Regions unlike the rest",
            "How little each place fits the rest of the picture, as a trained net sees it. Look for the outline of an "
            "object. Text, blurred backgrounds and strong retouching of the whole picture can be bright, too.",
            low="like the rest",
            high="unlike the rest",
            region=boxes[0] if boxes else None,
        )
    ]
    if boxes:
        items = [(box, f"region {i}") for i, box in enumerate(boxes, 1)]
        shown.append(evidence.boxes("Regions", "Where the picture is unlike itself, the clearest region first.", items))
    if not reading.seen.all():
        shown.append(
            evidence.fact(
                "Examined",
                f"{100 * float(reading.seen.mean()):.0f} % of the picture",
                "image.splice",
                "Of a very large picture only parts, spread evenly, are examined; what lies between them is missed.",
            )
        )
    return shown


def _whole(image: ImageView, heat: NDArray[np.float32], cell: int) -> NDArray[np.float32]:
    """The map stretched to the whole picture: the last pixels that fill no block take their neighbour's value."""
    rows, columns = -(-image.height // cell), -(-image.width // cell)
    grown = np.pad(heat, ((0, max(0, rows - heat.shape[0])), (0, max(0, columns - heat.shape[1]))), "edge")
    scale = min(1.0, evidence.MAP_SIDE / max(image.width, image.height))
    size = (max(1, round(columns * cell * scale)), max(1, round(rows * cell * scale)))
    fine = cv2.resize(grown, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(fine[: max(1, round(image.height * scale)), : max(1, round(image.width * scale))], np.float32)


def _box(image: ImageView, box: tuple[int, int, int, int], cell: int) -> Box:
    x, y, w, h = (n * cell for n in box)
    return image.upright_box(x, y, min(w, image.width - x), min(h, image.height - y))
