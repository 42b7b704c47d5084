"""Listings of what is installed."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from unmask.card import Card, find_cards
from unmask.errors import CardError, ExitCode, ModelError, UsageError
from unmask.models.store import MODELS, ModelCard, check_files, find_models, read_model_card


def show_detectors(name: str | None) -> None:
    """All detectors in a table, or one card whole. Raises `UsageError` for an unknown name."""
    cards = find_cards()
    console = Console(highlight=False)
    if name is None:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("detector", "kinds", "score", "question"):
            table.add_column(column, overflow="fold")
        for card in cards:
            table.add_row(card.id, ", ".join(card.kinds), "yes" if card.scored else "facts", card.question)
        console.print(table)
        return
    chosen = next((c for c in cards if c.id == name), None)
    if chosen is None:
        raise UsageError(
            "usage.detector", f"No detector is called {name!r}. There are: {', '.join(c.id for c in cards)}."
        )
    for key, value in _lines(chosen):
        console.print(f"[bold]{key}[/bold]: ", end="")
        console.print(value, markup=False)


def _lines(card: Card) -> list[tuple[str, str]]:
    data = card.model_dump(mode="json")
    return [
        (key, "; ".join(map(str, v)) if isinstance(v, list) else str(v)) for key, v in data.items() if v not in ({}, [])
    ]


def show_models() -> None:
    """All bundled models in a table."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("model", "kB", "licence", "task"):
        table.add_column(column, overflow="fold", justify="right" if column == "kB" else "left")
    for card in find_models():
        path = card.folder / card.weights
        size = f"{path.stat().st_size / 1000:.0f}" if path.is_file() else "missing"
        table.add_row(card.name, size, card.licence, card.task)
    Console(highlight=False).print(table)


def check_models(names: Sequence[str]) -> ExitCode:
    """Check files and numbers of the named models (all if none); a line each. Raises `UsageError`."""
    known = [path.parent.name for path in sorted(MODELS.glob("*/model.toml"))]
    for name in names:
        if name not in known:
            raise UsageError("usage.model", f"No model is called {name!r}. There are: {', '.join(known)}.")
    console = Console(highlight=False)
    good = True
    for name in names or known:
        try:
            line = _check_model(read_model_card(MODELS / name))
        except (ModelError, CardError) as error:
            line, good = f"NOT usable: {error.text}", False
        console.print(f"{name}: {line}", markup=False, soft_wrap=True)
    return ExitCode.DONE if good else ExitCode.NOT_EXAMINED


def _check_model(card: ModelCard) -> str:
    check_files(card)
    from unmask.models.runtime import open_card

    started = time.perf_counter()
    open_card(card)
    return f"files and numbers are right ({time.perf_counter() - started:.2f} s)"
