"""``unmask-lab eval-films-apart``: places in time, flicker of faces, and lips, from a set of forged talking heads."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False)


class Table(StrEnum):
    """What is measured apart."""

    where = "where"
    faces = "faces"
    lips = "lips"


@app.command("eval-films-apart")
def eval_films_apart(
    folder: Annotated[Path, typer.Argument(help="A set made by `unmask-lab forge-talking`.")],
    out: Annotated[Path, typer.Option(help="Where `unmask-lab eval-films` keeps the findings of this set.")],
    table: Annotated[list[Table] | None, typer.Option(help="Only these tables.")] = None,
    looks: Annotated[
        Path | None, typer.Option(help="Where followed mouths are kept; by default `looks` beside the findings.")
    ] = None,
    into: Annotated[Path | None, typer.Option(help="Put each table between its markers of this document.")] = None,
    rounds: Annotated[int, typer.Option(min=0, help="Bootstrap rounds.")] = 200,
) -> None:
    """Tell where in time curves point, how faces flicker, and how exact the offset of lips is; nothing is scanned."""
    from unmask_lab.evaluate.report import put_tables

    for name in table or list(Table):
        blocks = list(_blocks(name, folder, out, looks or out.with_name("looks"), rounds))
        if into is not None:
            put_tables(into, blocks, f"films-{name.value}")
            typer.echo(f"{name.value}: written into {into}", err=True)
        else:
            typer.echo("\n\n".join(blocks) + "\n")


@app.command("eval-scenes")
def eval_scenes(
    table: Annotated[Path, typer.Argument(help="Out-of-fold scores of image.synthetic, its gallery among them.")],
    into: Annotated[Path | None, typer.Option(help="Put the table between its markers of this document.")] = None,
) -> None:
    """Tell how often films of one to sixteen scenes, some of them generated, reach `suspicious`; nothing is scanned."""
    from unmask_lab.evaluate import scenes
    from unmask_lab.evaluate.report import put_tables

    blocks = list(scenes.blocks(table))
    if into is not None:
        put_tables(into, blocks, "film-scenes")
        typer.echo(f"written into {into}", err=True)
    else:
        typer.echo("\n\n".join(blocks) + "\n")


def _blocks(name: Table, folder: Path, out: Path, looks: Path, rounds: int) -> Iterator[str]:
    from unmask_lab.evaluate import film_faces, film_lips, film_places_report, films

    if name is Table.lips:
        found = []
        for one in film_lips.speakers(folder, looks):
            typer.echo(f"{one.row.path}: {one.length:.1f} s followed", err=True)
            found.append(one)
        yield from film_lips.blocks(film_lips.measure(found))
    elif name is Table.faces:
        yield from film_faces.blocks(films.load(folder, out))
    else:
        yield from film_places_report.blocks(films.load(folder, out), rounds)
