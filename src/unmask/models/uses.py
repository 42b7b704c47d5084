"""Which models took part in an examination; a report names them. Light, so that it may be asked without a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unmask.report import ModelInfo

if TYPE_CHECKING:
    from unmask.models.store import ModelCard

_used: dict[str, ModelInfo] = {}


def note_use(card: ModelCard) -> None:
    """A model answers."""
    if card.name not in _used:
        _used[card.name] = card.info


def used() -> tuple[ModelInfo, ...]:
    """The models that have answered since `forget_uses`, by name."""
    return tuple(_used[name] for name in sorted(_used.copy()))


def forget_uses() -> None:
    """A new subject is examined. Where one process examines several at a time, each may name the others' models."""
    _used.clear()
