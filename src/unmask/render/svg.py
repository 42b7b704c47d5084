"""Maps and boxes as inline SVG over the picture. No style attributes: the page's content policy forbids them."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

from markupsafe import Markup

from unmask.render.plain import dicts, numeral, rows
from unmask.render.words import plural, visible
from unmask.report import Evidence

if TYPE_CHECKING:
    from PIL.Image import Image

# Inferno-like ramp (dark to bright in equal lightness steps): safe for colour-blind readers, readable in grey print.
_RAMP = (
    (0, 0, 4),
    (31, 12, 72),
    (85, 15, 109),
    (136, 34, 106),
    (186, 54, 85),
    (227, 89, 51),
    (249, 140, 10),
    (249, 201, 50),
    (252, 255, 164),
)
# A map is small by construction; anything larger comes from no detector of ours.
MAX_MAP_PIXELS = 4_000_000
MAX_LABELS = 60
_ROWS, _COLUMNS = ("top", "middle", "bottom"), ("left", "centre", "right")


def read_map(evidence: Evidence) -> Image | None:
    """A heatmap's grey picture; None where it is broken or too large."""
    return read_grey((evidence.data or {}).get("png"))


def read_grey(raw: object) -> Image | None:
    """A grey picture from a PNG in base64; None where it is broken or too large."""
    from PIL import Image

    if not isinstance(raw, str):
        return None
    try:
        image = Image.open(io.BytesIO(base64.b64decode(raw, validate=True)), formats=("PNG",))
        if image.width * image.height > MAX_MAP_PIXELS:
            return None
        return image.convert("L")
    except Exception:  # Pillow raises anything on hostile pictures
        return None


def colour_map(grey: Image) -> str:
    """A grey map in colours, as a PNG in base64; low values let the picture through."""
    from PIL import Image

    image = Image.frombytes("P", grey.size, grey.tobytes())
    image.putpalette([channel for i in range(256) for channel in _ramp(i / 255)])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=bytes(min(255, 3 * i) for i in range(256)))
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def map_image(grey: Image, name: str, width: int, height: int) -> Markup:
    """The coloured map, once a page; `` <use href="#name"/>`` shows it."""
    return Markup(
        '<image id="{}" href="data:image/png;base64,{}" width="{}" height="{}" preserveAspectRatio="none"/>'
    ).format(name, colour_map(grey), width, height)


def box_layer(evidence: Evidence, width: int, height: int) -> Markup:
    """Boxes with labels, and lines between what belongs together; empty where there are none."""
    data = evidence.data or {}
    out = []
    for line in rows(data.get("lines"), 4):
        ends = Markup('x1="{}" y1="{}" x2="{}" y2="{}"').format(*line)
        out.append(Markup('<line {0} class="halo"/><line {0} class="link"/>').format(ends))
    boxes = dicts(data.get("boxes"))
    out += [_box(box) for box in boxes]
    out += [_tag(box, width, height) for box in boxes[:MAX_LABELS] if box.get("label")]
    if not out:
        return Markup()
    return Markup('<g font-size="{:.2f}">{}</g>').format(max(width, height) / 44, Markup().join(out))


def _box(box: dict[str, object]) -> Markup:
    place = [numeral(box.get(k)) for k in "xywh"]
    shape = Markup('x="{}" y="{}" width="{}" height="{}"').format(*place)
    return Markup('<rect {0} class="halo"/><rect {0} class="box"/>').format(shape)


def _tag(box: dict[str, object], width: int, height: int) -> Markup:
    x, y, w, h = (numeral(box.get(k)) for k in "xywh")
    size = max(width, height) / 44
    text = visible(box.get("label"))[:60]
    # Above the box where there is room, else inside it; to the left from its right edge where the picture ends.
    # On a phone the letters are twice as large.
    top = y - size * 0.45 if y > size * 2.4 else y + min(h, size * 2.2)
    long = 1.2 * size * len(text)
    right = x + long > width and x + w > width / 2
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}" class="tag">{}</text>').format(
        min(x + w, width) if right else x, top, "end" if right else "start", text
    )


def where_map(grey: Image) -> str:
    """In words, where on the picture a map is strongest: for those who cannot see it."""
    from PIL import Image

    values = list(grey.resize((3, 3), Image.Resampling.BOX).tobytes())
    top = max(values)
    if top < 3 and max(grey.tobytes()) < 64:
        return "nothing stands out anywhere"
    if top - sorted(values)[4] < 8:
        return "spread over the whole picture, no part stands out"
    i = values.index(top)
    return f"strongest {_place(i % 3, i // 3)}"


def where_boxes(evidence: Evidence, width: int, height: int) -> str:
    """In words, where the boxes are."""
    boxes = dicts((evidence.data or {}).get("boxes"))
    said = []
    for box in boxes[:8]:
        x, y, w, h = (numeral(box.get(k)) for k in "xywh")
        column, row = (min(2, max(0, int(3 * at))) for at in ((x + w / 2) / width, (y + h / 2) / height))
        said.append(f"{visible(box.get('label') or 'a part')[:60]} {_place(column, row)}")
    more = f" and {len(boxes) - 8} more" if len(boxes) > 8 else ""
    return f"{plural(len(boxes), 'place')} marked: {'; '.join(said)}{more}"


def _place(column: int, row: int) -> str:
    return "in the centre" if (column, row) == (1, 1) else f"at the {_ROWS[row]} {_COLUMNS[column]}"


def _ramp(value: float) -> tuple[int, int, int]:
    at = value * (len(_RAMP) - 1)
    i = min(int(at), len(_RAMP) - 2)
    low, high = _RAMP[i], _RAMP[i + 1]
    r, g, b = (round(a + (c - a) * (at - i)) for a, c in zip(low, high, strict=True))
    return r, g, b
