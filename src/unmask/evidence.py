"""Builders of evidence. They keep reports small: maps are reduced, plots thinned, lists cut, numbers rounded."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from unmask.report import Box, Evidence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from unmask.subject import ImageView

MAP_SIDE = 384
PLOT_POINTS = 600
MAX_ITEMS = 200
MAP_LEVELS = 64


def heatmap(
    image: ImageView,
    values: NDArray[np.floating[Any]],
    title: str,
    text: str,
    low: str = "no sign",
    high: str = "strong sign",
    region: Box | None = None,
) -> Evidence:
    """A map over the whole picture.

    ``values``: (h, w), 0..1, any resolution, in the orientation of the stored pixels; it is turned upright here.
    """
    import cv2
    import numpy as np
    from PIL import Image

    upright = image.upright(np.clip(np.nan_to_num(np.asarray(values, np.float32)), 0, 1))
    h, w = upright.shape
    scale = MAP_SIDE / max(h, w)
    if scale < 1:
        size = (max(1, round(w * scale)), max(1, round(h * scale)))
        upright = cv2.resize(upright, size, interpolation=cv2.INTER_AREA)
    # Few grey levels compress three times better, and nobody sees the difference.
    grey = (np.round(upright * (MAP_LEVELS - 1)) * (255 / (MAP_LEVELS - 1))).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "PNG", compress_level=6)
    data: dict[str, JsonValue] = {
        "png": base64.b64encode(buffer.getvalue()).decode("ascii"),
        "width": int(grey.shape[1]),
        "height": int(grey.shape[0]),
        "low": low,
        "high": high,
    }
    return Evidence(kind="heatmap", title=title, text=text, data=data, region=region)


def boxes(
    title: str,
    text: str,
    items: Sequence[tuple[Box, str]],
    lines: Sequence[tuple[float, float, float, float]] = (),
) -> Evidence:
    """Labelled boxes and lines in pixels of the upright picture."""
    data: dict[str, JsonValue] = {
        "boxes": [
            {"x": _short(b.x), "y": _short(b.y), "w": _short(b.w), "h": _short(b.h), "label": label}
            for b, label in items[:MAX_ITEMS]
        ],
        "lines": [[_short(v) for v in line] for line in lines[:MAX_ITEMS]],
    }
    return Evidence(kind="boxes", title=title, text=text, data=data, region=items[0][0] if items else None)


def segments(title: str, text: str, items: Sequence[tuple[float, float, str]]) -> Evidence:
    """Stretches of time: (start, end, label), seconds."""
    kept = items[:MAX_ITEMS]
    data: dict[str, JsonValue] = {
        "segments": [{"start": _short(s), "end": _short(e), "label": label} for s, e, label in kept],
        "count": len(items),
    }
    return Evidence(
        kind="segments",
        title=title,
        text=text,
        data=data,
        start=min((s for s, _, _ in kept), default=None),
        end=max((e for _, e, _ in kept), default=None),
    )


def plot(
    title: str,
    text: str,
    x: Sequence[float],
    series: Sequence[tuple[str, Sequence[float]]],
    x_label: str,
    y_label: str,
    marks: Sequence[tuple[float, str]] = (),
) -> Evidence:
    """Curves over ``x``; more than `PLOT_POINTS` points are thinned, each step keeping its largest value."""
    step = max(1, -(-len(x) // PLOT_POINTS))
    data: dict[str, JsonValue] = {
        "x": [_short(v) for v in x[::step]],
        "series": [
            {"name": name, "y": [_short(max(y[i : i + step])) for i in range(0, len(y), step)]} for name, y in series
        ],
        "x_label": x_label,
        "y_label": y_label,
        "marks": [{"x": _short(v), "label": label} for v, label in marks[:MAX_ITEMS]],
    }
    return Evidence(kind="plot", title=title, text=text, data=data)


def fact(name: str, value: JsonValue, source: str, text: str = "") -> Evidence:
    """One fact with where it was read, for example ``fact("Software", "GIMP 2.10", "EXIF 0x0131")``."""
    return Evidence(kind="fact", title=name, text=text, data={"name": name, "value": value, "source": source})


def _short(value: float) -> float:
    """Six significant digits are more than any evidence is worth."""
    return float(f"{float(value):.6g}")
