"""image.noise: is there a region whose noise does not fit the rest of the picture?"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from unmask import evidence
from unmask.card import own_card
from unmask.detectors.image_noise.outliers import (
    Float,
    Mask,
    distance,
    largest_part,
    robust_z,
    two_classes,
    without_content,
)
from unmask.detectors.image_noise.statistics import Cells, measure
from unmask.media.image import ImageView
from unmask.options import Options
from unmask.report import Box, Evidence, Finding
from unmask.subject import Subject

CARD = own_card(__file__)
P = CARD.parameters


@dataclass(frozen=True)
class Reading:
    """What was seen, over cells of ``side`` pixels.

    ``heat``: 0..1, how little a window fits; ``region``: the part that fits least; ``separation``: how far the
    windows fall into two classes; ``shift``: deviation of the noise in ``region`` after content is allowed for;
    ``rough``: size and strength of the largest part that is noisier than the rule.
    """

    side: int
    heat: Float
    region: Mask
    separation: float
    shift: float
    rough: float


def examine(subject: Subject, options: Options) -> Finding:  # noqa: ARG001 - the common signature
    """Compare the finest detail of all windows with each other.

    A map and facts only: on the lab's test half the strength's AUC was about .5, while its map often shows a changed
    region that is known already (docs/evaluation.md).

    Raises:
        MediaError: the picture cannot be decoded.
    """
    image = subject.image
    if min(image.width, image.height) < CARD.min_side:
        return CARD.declined(
            "noise.too_small", f"The picture is smaller than {CARD.min_side} pixels on one side: too few windows."
        )
    cells = measure(image.luma, int(P["window_cells"]), P["max_clipped"])
    if cells.usable.sum() < max(P["min_usable_cells"], P["min_usable_share"] * cells.usable.size):
        return CARD.declined(
            "noise.clipped", "Most of the picture is black, white or blank: there is no noise to compare."
        )
    if float(np.median(np.exp(cells.noise[..., 0][cells.usable])) - 0.2) < P["min_noise"]:
        return CARD.declined(
            "noise.none",
            "The picture has almost no noise left (strong compression, smoothing, or it is a drawing).",
        )
    reading = read(cells)
    value = score(reading)
    if value < P["report_above"]:
        return CARD.ok(
            "noise.even",
            "No region stands out: differences of the noise are within what honest photographs show.",
            evidence=_show(image, reading, value, None),
        )
    box = _box(image, reading)
    return CARD.ok(
        "noise.uneven",
        f"One region ({100 * reading.region.mean():.0f} % of the picture) has finer or coarser noise than the rest "
        "beyond what texture and brightness explain.",
        evidence=_show(image, reading, value, box),
    )


def read(cells: Cells) -> Reading:
    """Find the windows that do not follow the rule of the others."""
    dimensions = int(P["dimensions"])
    usable = cells.usable
    far = np.log(distance(cells.patterns, usable, dimensions) + 1e-6)
    smooth = cv2.blur(far, (3, 3))
    region = largest_part(usable & (smooth > np.quantile(smooth[usable], 1 - P["top_share"])))
    ratio = two_classes(without_content(cells.patterns, cells.content), usable, dimensions)
    z = robust_z(without_content(cells.noise, cells.content)[..., 1], usable)
    # Sharp fur or leaves before a blurred background are not noise: only where little coarser detail lies, too.
    above = z > P["rough_z"]
    rough = largest_part(above & (cells.content[..., 0] < np.log(P["max_detail"])))
    strong = 0.0 if rough is None else float(np.sqrt(rough.sum() / usable.sum()) * z[rough].mean())
    region = usable if region is None else region
    return Reading(
        side=cells.side,
        heat=np.clip(np.maximum(far, np.abs(z) / 2) / 4, 0, 1),
        region=region if strong < P["rough_told"] else _grown(rough, above),
        separation=float(np.quantile(cv2.blur(ratio, (3, 3))[usable], 0.9)),
        shift=abs(float(z[region].mean())),
        rough=strong,
    )


def _grown(seed: Mask | None, mask: Mask) -> Mask:
    """The part of ``mask`` that is connected to most of ``seed``."""
    labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[1]
    if seed is None:
        return mask
    return np.asarray(labels == np.bincount(labels[seed]).argmax())


def score(reading: Reading) -> float:
    """0..``max_score``."""
    total = (
        P["w_constant"]
        + P["w_separation"] * float(np.log(max(reading.separation, 1.0)))
        + P["w_region"] * min(reading.shift, 3.0)
        + P["w_rough"] * min(reading.rough, 3.0)
    )
    return float(np.clip(total, 0.0, P["max_score"]))


def _box(image: ImageView, reading: Reading) -> Box:
    x, y, w, h = (v * reading.side for v in cv2.boundingRect(reading.region.astype(np.uint8)))
    return image.upright_box(x, y, w, h)


def _show(image: ImageView, reading: Reading, value: float, box: Box | None) -> list[Evidence]:
    rows, columns = (n * reading.side for n in reading.heat.shape)
    full = np.zeros((-(-image.height // reading.side), -(-image.width // reading.side)), np.float32)
    full[: rows // reading.side, : columns // reading.side] = reading.heat
    shown = [
        evidence.heatmap(
            image,
            full,
            "Noise unlike the rest",
            "Bright windows follow another rule than most of the picture. Unusual texture, blur and text can be "
            "bright, too: look for a region with the outline of an object.",
            low="like the rest",
            high="unlike the rest",
            region=box,
        )
    ]
    shown.append(
        evidence.fact(
            "Strength of the difference",
            round(value, 1),
            f"0 to {P['max_score']:.0f}; a region is named from {P['report_above']} on",
            "Not a score: on sources it was not tuned on it did not tell changed pictures from untouched ones.",
        )
    )
    if box is not None:
        shown.append(evidence.boxes("Region", "The region that fits the rest of the picture least.", [(box, "noise")]))
    return shown
