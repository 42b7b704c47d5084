"""Reading of evidence data that may come from an old or a foreign report: what is not as it should be is left out."""

from __future__ import annotations

from typing import Any

LARGEST = 1e60


def numeral(value: Any, default: float = 0.0) -> float:
    """A number that can be drawn, or ``default``; sums and quotients of such numbers are finite, too."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= LARGEST:
        return default
    return float(value) if abs(value) >= 1 / LARGEST else 0.0


def dicts(value: Any) -> list[dict[str, Any]]:
    """The dictionaries of a list."""
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def texts(value: Any) -> list[str]:
    """The items of a list as text."""
    return [str(v) for v in value] if isinstance(value, list) else []


def numbers(value: Any) -> list[float]:
    """The items of a list as numbers, in their places."""
    return [numeral(v) for v in value] if isinstance(value, list) else []


def rows(value: Any, length: int) -> list[list[float]]:
    """The lists of ``length`` numbers of a list."""
    found = [numbers(v) for v in value] if isinstance(value, list) else []
    return [row for row in found if len(row) == length]


def mapping(value: Any) -> dict[str, Any]:
    """A dictionary, or an empty one."""
    return value if isinstance(value, dict) else {}
