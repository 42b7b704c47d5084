"""Small pictures of moments, read from a report that may be foreign: what is no small JPEG is left out."""

from __future__ import annotations

import base64
import io
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from unmask.render import svg
from unmask.render.plain import dicts, numbers, numeral
from unmask.render.words import clock, visible
from unmask.report import Evidence

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SHOTS, MAX_JPEG, MAX_SIDE = 24, 200_000, 1024
"""Shown of one piece of evidence; characters and pixels a side of one picture. Ours are far below."""

GAP = 0.03
# At most so many pictures stand in a strip on a screen and on a phone.
WIDE, NARROW = 12, 6


@dataclass(frozen=True, eq=False)
class Picture:
    """``time``: seconds; ``jpeg``: base64; ``map``: grey, over the whole picture; ``box``: x y w h in 0..1."""

    time: float
    label: str
    jpeg: str
    width: int
    height: int
    map: Image | None
    box: tuple[float, float, float, float] | None

    @property
    def when(self) -> str:
        """``0:12.5``."""
        return clock(self.time)


def read(evidence: Evidence | None) -> list[Picture]:
    """The pictures of evidence of kind ``frames``, in their order."""
    if evidence is None or evidence.kind != "frames":
        return []
    found = (_picture(item) for item in dicts((evidence.data or {}).get("frames"))[:MAX_SHOTS])
    return [picture for picture in found if picture is not None]


def _picture(item: dict[str, Any]) -> Picture | None:
    raw = item.get("jpeg")
    size = _size(raw) if isinstance(raw, str) and len(raw) <= MAX_JPEG else None
    if size is None:
        return None
    box = numbers(item.get("box"))
    place = tuple(min(1.0, max(0.0, v)) for v in box) if len(box) == 4 else None
    time = max(0.0, numeral(item.get("time")))
    return Picture(time, visible(item.get("label") or ""), str(raw), *size, svg.read_grey(item.get("map")), place)  # type: ignore[arg-type]


def _size(raw: str) -> tuple[int, int] | None:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(base64.b64decode(raw, validate=True)), formats=("JPEG",)) as image:
            return image.size if max(image.size) <= MAX_SIDE else None
    except Exception:  # Pillow raises anything on hostile pictures
        return None


def drawn(picture: Picture, name: str) -> Markup:
    """The picture, and beside it in grey with its map where it has one; ``name`` is its id in the page."""
    w, h = picture.width, picture.height
    whole = Markup('<image id="{}" href="data:image/jpeg;base64,{}" width="{}" height="{}"/>').format(
        name, picture.jpeg, w, h
    )
    box = _box(picture)
    if picture.map is None:
        return _svg(w, h, picture, whole + box)
    right = round(w * (1 + GAP), 1)
    beside = Markup(
        '<g transform="translate({} 0)"><use href="#{}" filter="url(#grey)"/>'
        '<image href="data:image/png;base64,{}" width="{}" height="{}" preserveAspectRatio="none" class="map"/>{}</g>'
    ).format(right, name, svg.colour_map(picture.map), w, h, box)
    return _svg(right + w, h, picture, whole + beside)


def _svg(width: float, height: float, picture: Picture, inside: Markup) -> Markup:
    said = f"{picture.when} {picture.label}"
    if picture.map is not None:
        said += f"; on the map: {svg.where_map(picture.map)}"
    return Markup('<svg viewBox="0 0 {} {}" class="shot" role="img" aria-label="{}">{}</svg>').format(
        width, height, said, inside
    )


def _box(picture: Picture) -> Markup:
    if picture.box is None:
        return Markup()
    x, y, w, h = picture.box
    shape = Markup('x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"').format(
        x * picture.width, y * picture.height, w * picture.width, h * picture.height
    )
    return Markup('<rect {0} class="halo"/><rect {0} class="box"/>').format(shape)


def strip_store(pictures: list[Picture]) -> Markup:
    """The strip's pictures, once a page, as symbols that fill whatever place they are used in."""
    return Markup().join(
        Markup(
            '<symbol id="strip-{0}" viewBox="0 0 {1} {2}" preserveAspectRatio="xMidYMid slice">'
            '<image href="data:image/jpeg;base64,{3}" width="{1}" height="{2}"/></symbol>'
        ).format(i, p.width, p.height, p.jpeg)
        for i, p in enumerate(pictures)
    )


def strip(pictures: list[Picture], length: float) -> Markup:
    """The film as a row of pictures, each over its own stretch of time; fewer of them on a phone."""
    groups = []
    for most, kind in ((WIDE, "strip-wide"), (NARROW, "strip-narrow")):
        # Of tall pictures twice as many have room, whole.
        step = -(-len(pictures) // (2 * most if pictures[0].height > pictures[0].width else most))
        chosen = list(range(step // 2, len(pictures), step))
        groups.append(Markup('<g class="{}">{}</g>').format(kind, _row(pictures, chosen, length)))
    said = f"{len(pictures)} frames of the film from {pictures[0].when} to {pictures[-1].when}"
    return Markup('<svg class="strip" width="100%" height="52" role="img" aria-label="{}">{}</svg>').format(
        said, Markup().join(groups)
    )


def _row(pictures: list[Picture], chosen: list[int], length: float) -> Markup:
    """Each picture reaches half-way to its neighbours."""
    times = [min(pictures[i].time, length) for i in chosen]
    edges = [0.0, *((a + b) / 2 for a, b in itertools.pairwise(times)), length]
    out = []
    for i, start, end in zip(chosen, edges, edges[1:], strict=False):
        left, width = 100 * start / length, 100 * max(0.0, end - start) / length
        out.append(
            Markup('<use href="#strip-{}" x="{:.2f}%" width="{:.2f}%" height="52"/>').format(i, left, max(0, width))
        )
    return Markup().join(out)
