"""Foreign text made safe to show: bounded, without control characters, JSON all the way down."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

MAX_TEXT = 300
MAX_ITEMS = 64
MAX_DEPTH = 6
_SPACES = {"Zs", "Zl", "Zp"}


def clean(value: object, limit: int = MAX_TEXT) -> str:
    """One line of at most ``limit`` characters: no control, direction-changing or unassigned characters."""
    text = decode(value) if isinstance(value, bytes | bytearray | memoryview) else str(value)
    kept: list[str] = []
    for char in text[: limit * 4]:
        category = unicodedata.category(char)
        if char in "\t\r\n" or category in _SPACES:
            kept.append(" ")
        elif not category.startswith("C"):
            kept.append(char)
    line = " ".join("".join(kept).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def decode(data: bytes | bytearray | memoryview) -> str:
    """Text from bytes: UTF-8 where it is, Latin-1 otherwise; ends at the first run of zeros."""
    raw = bytes(data).rstrip(b"\x00")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def decode_utf16(data: bytes) -> str:
    """UTF-16 of either byte order; without a mark the order is guessed from where the zeros lie."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace").rstrip("\x00")
    big = data[::2].count(0) >= data[1::2].count(0)
    return data.decode("utf-16-be" if big else "utf-16-le", "replace").rstrip("\x00")


def json_safe(value: object, depth: int = MAX_DEPTH, limit: int = MAX_TEXT) -> JsonValue:
    """``value`` as bounded JSON: text cut, binary replaced by its length, deep and long parts dropped."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)} bytes"
    if isinstance(value, Mapping) and depth > 0:
        return {clean(k, 80): json_safe(v, depth - 1, limit) for k, v in list(value.items())[:MAX_ITEMS]}
    if isinstance(value, Sequence) and not isinstance(value, str) and depth > 0:
        return [json_safe(v, depth - 1, limit) for v in value[:MAX_ITEMS]]
    small = isinstance(value, int) and abs(value) < 1 << 53
    if value is None or small or (isinstance(value, float) and math.isfinite(value)):
        return value  # type: ignore[return-value]  # bool, int, float or None
    return clean(value, limit)
