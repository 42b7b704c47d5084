"""Listings of what is installed."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from unmask.card import Card, find_cards
from unmask.errors import UsageError


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
