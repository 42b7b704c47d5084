"""Listings of what is installed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from unmask.card import Card, find_cards
from unmask.cli.streams import visible
from unmask.errors import CardError, ExitCode, ModelError, UsageError
from unmask.models.catalogue import read_catalogue
from unmask.models.store import (
    ModelCard,
    check_files,
    check_numbers,
    find_model,
    has_model,
    installed,
    model_names,
    models_home,
    reference_input,
)


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
    """All installed models in a table, those that can be fetched, and the folders that are none, with the reason."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("model", "kB", "licence", "task"):
        table.add_column(column, overflow="fold", justify="right" if column == "kB" else "left")
    cards, broken = installed()
    for card in cards:
        table.add_row(card.name, _size(card), card.licence, card.task)
    for name, entry in read_catalogue().items():
        if not has_model(entry.model):
            size = f"{entry.installed_bytes / 1000:.0f}"
            table.add_row(entry.model, size, entry.card.licence, f"Not installed: unmask models get {name}")
    console = Console(highlight=False)
    console.print(table)
    console.print(f"Your own models lie in {visible(str(models_home()))}", markup=False, soft_wrap=True)
    for name, reason in broken.items():
        console.print(f"NOT usable: {visible(name)}: {visible(reason)}", markup=False, soft_wrap=True)


def _size(card: ModelCard) -> str:
    try:
        return f"{sum((card.folder / file.name).stat().st_size for file in card.files) / 1000:.0f}"
    except OSError:
        return "missing"


def check_models(names: Sequence[str]) -> ExitCode:
    """Check files and numbers of the named models (all if none); a line each. Raises `UsageError`."""
    known = model_names()
    for name in names:
        if name not in known:
            raise UsageError("usage.model", f"No model is called {name!r}. There are: {', '.join(known)}.")
    console = Console(highlight=False)
    good = True
    if known:
        from unmask.models.runtime import machine

        console.print(machine(), markup=False, soft_wrap=True)
    for name in names or known:
        try:
            line = _check_model(find_model(name))
        except (ModelError, CardError) as error:
            line, good = f"NOT usable: {error.text}", False
        console.print(f"{visible(name)}: {visible(line)}", markup=False, soft_wrap=True)
    return ExitCode.DONE if good else ExitCode.NOT_EXAMINED


def _check_model(card: ModelCard) -> str:
    check_files(card)
    if not card.network:
        return "files are right; the extra [words] opens it and no score rests on it, so no numbers are checked"
    from unmask.models.runtime import open_card

    started = time.perf_counter()
    share = check_numbers(card, open_card(card).infer(reference_input(card)))
    return (
        f"files and numbers are right (largest difference {share * card.numbers.tolerance:.1e} of the largest value, "
        f"{card.numbers.tolerance:g} allowed; {time.perf_counter() - started:.2f} s)"
    )


def add_model(folder: Path) -> None:
    """Take a user's own model in. Raises `UsageError`, `CardError`, `ModelError`."""
    from unmask.models.add import add

    card = add(folder)
    place = visible(str(card.folder))
    Console(stderr=True, highlight=False).print(f"{card.name} is installed in {place}", markup=False, soft_wrap=True)


def get_model(name: str, source: str | None, index: str | None) -> None:
    """Fetch a model of the catalogue into the user's folder. Raises `UsageError`, `ModelError`."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from unmask.models.get import get

    errors = Console(stderr=True, highlight=False)
    columns = (TextColumn("fetching"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("fetching", total=None)
        card, new = get(name, source, index, lambda done, size: progress.update(task, completed=done, total=size))
    where = visible(str(card.folder))
    Console(stderr=True, highlight=False).print(
        f"{card.name} is installed in {where}" if new else f"{card.name} is there already, in {where}",
        markup=False,
        soft_wrap=True,
    )
