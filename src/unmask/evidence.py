"""Builders of evidence. They keep reports small: maps are reduced, plots thinned, lists cut, numbers rounded."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic import JsonValue

from unmask.report import Box, Evidence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from unmask.subject import ImageView

T = TypeVar("T")

MAP_SIDE = 384
PLOT_POINTS = 600
MAX_ITEMS = 200
MAP_LEVELS = 64

MAX_SHOTS = 24
SHOT_SIDE, MOST_SHOT_SIDE, SHOT_MAP_SIDE = 160, 256, 64
SHOT_QUALITIES = (75, 60, 45, 30)
SHOTS_BYTES = 400_000
"""All pictures of one piece of evidence together, in base64; above that they are saved at the next lower quality."""


class Stretch(NamedTuple):
    """A stretch of time, seconds. ``lane``: whose row it is drawn in, ``Face 1``; ``sign``: it speaks for a change;
    ``score``: its raw score.
    """

    start: float
    end: float
    label: str
    lane: str = ""
    sign: bool = False
    score: float | None = None


@dataclass(frozen=True, eq=False)
class Shot:
    """A moment to look at. ``rgb``: (h, w, 3) uint8, upright; ``map``: (h', w'), 0..1 over the picture; ``box``:
    x y w h in 0..1 of the picture.
    """

    time: float
    rgb: NDArray[np.uint8]
    label: str = ""
    map: NDArray[np.floating[Any]] | None = None
    box: tuple[float, float, float, float] | None = None


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
    import numpy as np

    grey = _levels(image.upright(np.nan_to_num(np.asarray(values, np.float32))), MAP_SIDE)
    data: dict[str, JsonValue] = {
        "png": _png(grey),
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


def segments(
    title: str, text: str, items: Sequence[tuple[float, float, str] | Stretch], sign: bool = False
) -> Evidence:
    """Stretches of time: (start, end, label), seconds, or `Stretch` where there is more to say. ``sign``: all of them
    speak for a change.

    Of more than `MAX_ITEMS` signs stay first, and of the others as many, evenly, as there is room for.
    """
    given = [Stretch(*item) for item in items]
    kept = _kept([item._replace(sign=True) for item in given] if sign else given)
    data: dict[str, JsonValue] = {"segments": [_stretch(item) for item in kept], "count": len(items)}
    return Evidence(
        kind="segments",
        title=title,
        text=text,
        data=data,
        start=min((s.start for s in kept), default=None),
        end=max((s.end for s in kept), default=None),
    )


def _kept(items: list[Stretch]) -> list[Stretch]:
    signs = [i for i, item in enumerate(items) if item.sign]
    others = [i for i, item in enumerate(items) if not item.sign]
    kept = _thinned(signs, MAX_ITEMS)
    kept += _thinned(others, MAX_ITEMS - len(kept))
    return [items[i] for i in sorted(kept)]


def _stretch(item: Stretch) -> dict[str, JsonValue]:
    out: dict[str, JsonValue] = {"start": _short(item.start), "end": _short(item.end), "label": item.label}
    if item.lane:
        out["lane"] = item.lane
    if item.sign:
        out["sign"] = True
    if item.score is not None:
        out["score"] = _short(item.score)
    return out


def plot(
    title: str,
    text: str,
    x: Sequence[float],
    series: Sequence[tuple[str, Sequence[float]]],
    x_label: str,
    y_label: str,
    marks: Sequence[tuple[float, str]] = (),
    levels: Sequence[tuple[float, str]] = (),
) -> Evidence:
    """Curves over ``x``; more than `PLOT_POINTS` points are thinned, each step keeping its largest value.

    ``marks``: (x, label); ``levels``: (y, label), such as the level from which something is reported.
    """
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
    if levels:
        data["levels"] = [{"y": _short(v), "label": label} for v, label in levels[:MAX_ITEMS]]
    return Evidence(kind="plot", title=title, text=text, data=data)


def frames(
    title: str, text: str, shots: Sequence[Shot], low: str = "no sign", high: str = "strong sign", side: int = SHOT_SIDE
) -> Evidence:
    """Small pictures of at most `MAX_SHOTS` moments, in the order given; ``side``: the longest, pixels.

    Their quality falls until all together have `SHOTS_BYTES`; what is still too much is left out, evenly.
    """
    kept = _thinned(shots, MAX_SHOTS)
    side = min(side, MOST_SHOT_SIDE)
    for quality in SHOT_QUALITIES:
        items = [_shot(shot, side, quality) for shot in kept]
        if _weight(items) <= SHOTS_BYTES:
            break
    while len(items) > 1 and _weight(items) > SHOTS_BYTES:
        items = items[::2]
    data: dict[str, JsonValue] = {"frames": [*items], "low": low, "high": high}
    times = [shot.time for shot in kept]
    return Evidence(
        kind="frames", title=title, text=text, data=data, start=min(times, default=None), end=max(times, default=None)
    )


def _thinned(items: Sequence[T], most: int) -> list[T]:
    if len(items) <= most:
        return list(items)
    return [items[i * len(items) // most] for i in range(most)]


def _weight(items: Sequence[dict[str, JsonValue]]) -> int:
    return sum(len(str(item.get(key, ""))) for item in items for key in ("jpeg", "map"))


def _shot(shot: Shot, side: int, quality: int) -> dict[str, JsonValue]:
    import cv2
    import numpy as np
    from PIL import Image

    h, w = shot.rgb.shape[:2]
    scale = min(1.0, side / max(h, w))
    rgb: NDArray[Any] = np.ascontiguousarray(shot.rgb)
    if scale < 1:
        size = max(1, round(w * scale)), max(1, round(h * scale))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality)
    out: dict[str, JsonValue] = {"time": _short(shot.time), "label": shot.label}
    out["jpeg"] = base64.b64encode(buffer.getvalue()).decode("ascii")
    if shot.map is not None:
        out["map"] = _png(_levels(np.nan_to_num(np.asarray(shot.map, np.float32)), SHOT_MAP_SIDE))
    if shot.box is not None:
        out["box"] = [_short(min(1.0, max(0.0, v))) for v in shot.box]
    return out


def fact(name: str, value: JsonValue, source: str, text: str = "") -> Evidence:
    """One fact with where it was read, for example ``fact("Software", "GIMP 2.10", "EXIF 0x0131")``."""
    return Evidence(kind="fact", title=name, text=text, data={"name": name, "value": value, "source": source})


def _short(value: float) -> float:
    """Six significant digits are more than any evidence is worth."""
    return float(f"{float(value):.6g}")


def _levels(values: NDArray[np.float32], longest: int) -> NDArray[np.uint8]:
    """A map of 0..1 as grey levels: few of them compress three times better, and nobody sees the difference."""
    import cv2
    import numpy as np

    values = np.clip(values, 0, 1)
    h, w = values.shape
    scale = longest / max(h, w)
    if scale < 1:
        size = (max(1, round(w * scale)), max(1, round(h * scale)))
        values = np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)
    return (np.round(values * (MAP_LEVELS - 1)) * (255 / (MAP_LEVELS - 1))).astype(np.uint8)


def _png(grey: NDArray[np.uint8]) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "PNG", compress_level=6)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
