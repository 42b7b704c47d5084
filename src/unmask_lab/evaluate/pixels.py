"""How well a map agrees with a mask, pixel by pixel."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unmask.report import Evidence, Finding
from unmask_lab.forge.forgery import CHANGED, SOURCE

FIXED = 0.5
"""Where a region begins in every detector's map: each brings its map to that by what its card says."""
BOX_MAP_SIDE = 384


@dataclass(frozen=True)
class Agreement:
    """F1 at the best threshold of this picture, F1 at `FIXED`, area under the ROC curve; NaN where undefined."""

    f1_best: float = math.nan
    f1_fixed: float = math.nan
    auc: float = math.nan


def map_of(finding: Finding, size: tuple[int, int]) -> NDArray[np.float32] | None:
    """The finding's first heatmap (h, w) in 0..1, else its boxes drawn on a small map, else None.

    ``size``: width and height of the upright picture.
    """
    for evidence in finding.evidence:
        if evidence.kind == "heatmap" and evidence.data:
            png = base64.b64decode(str(evidence.data["png"]))
            with Image.open(io.BytesIO(png)) as image:
                return np.asarray(np.asarray(image.convert("L")) / 255, np.float32)
    drawn = [e for e in finding.evidence if e.kind == "boxes" and e.data]
    return _boxes(drawn, size) if drawn else None


def _boxes(evidence: list[Evidence], size: tuple[int, int]) -> NDArray[np.float32]:
    scale = min(1.0, BOX_MAP_SIDE / max(size))
    out = np.zeros((max(1, round(size[1] * scale)), max(1, round(size[0] * scale))), np.float32)
    for item in evidence:
        assert item.data is not None
        for box in item.data["boxes"]:  # type: ignore[union-attr]
            x, y, w, h = (float(box[k]) * scale for k in ("x", "y", "w", "h"))  # type: ignore[call-overload,index,arg-type]
            out[int(y) : int(np.ceil(y + h)), int(x) : int(np.ceil(x + w))] = 1
    return out


def agreement(values: NDArray[np.float32], mask: NDArray[np.uint8]) -> Agreement:
    """Compare a map with a mask picture (`CHANGED`, `SOURCE`, 0); pixels near an edge or in the source do not count."""
    h, w = values.shape
    changed = cv2.resize((mask == CHANGED).astype(np.float32), (w, h), interpolation=cv2.INTER_AREA)
    source = cv2.resize((mask == SOURCE).astype(np.float32), (w, h), interpolation=cv2.INTER_AREA)
    counts = (source < 0.5) & ((changed < 0.05) | (changed > 0.5))
    truth = changed[counts] > 0.5
    if not truth.any() or truth.all():
        return Agreement()
    levels = np.round(np.clip(values[counts], 0, 1) * 255).astype(int)
    hits = np.bincount(levels[truth], minlength=256)[::-1].cumsum().astype(float)
    alarms = np.bincount(levels[~truth], minlength=256)[::-1].cumsum().astype(float)
    f1 = 2 * hits / (hits[-1] + hits + alarms)
    auc = np.trapezoid(np.r_[0, hits / hits[-1]], np.r_[0, alarms / alarms[-1]])
    fixed = 255 - math.ceil(FIXED * 255)
    return Agreement(float(f1.max()), float(f1[fixed]), float(auc))
