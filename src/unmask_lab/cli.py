"""``unmask-lab``: make forged sets, examine them, fit calibrations. For developers and researchers."""

from __future__ import annotations

import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from unmask.errors import UnmaskError
from unmask_lab import commands, forge_commands
from unmask_lab.evaluate import commands as evaluate_commands
from unmask_lab.evaluate import film_commands

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
app.registered_commands += commands.app.registered_commands
app.registered_commands += evaluate_commands.app.registered_commands
app.registered_commands += film_commands.app.registered_commands
app.registered_commands += forge_commands.app.registered_commands


@app.callback()
def _lab() -> None:
    """Keep the commands' names even while there is only one."""


class HalfName(StrEnum):
    """The two halves that no source crosses."""

    calibration = "calibration"
    test = "test"


class Modality(StrEnum):
    """Kinds of media."""

    image = "image"
    audio = "audio"
    video = "video"


@app.command()
def forge(
    kit: Annotated[Path, typer.Option(help="The labelled kit's data folder.")],
    out: Annotated[Path, typer.Option(help="Where the set goes; each half has its own folder.")],
    half: Annotated[HalfName, typer.Option(help="Which half of the sources.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same set.")] = 1,
    per_source: Annotated[int, typer.Option(min=1, help="Parents taken of each source.")] = 3,
    bona_fide_per_source: Annotated[int, typer.Option(min=0, help="Pictures of each source, forged or not.")] = 0,
    photos: Annotated[Path | None, typer.Option(help="More photographs, one folder a photographer.")] = None,
    only: Annotated[list[Modality] | None, typer.Option(help="Only these kinds of media.")] = None,
) -> None:
    """Write forged files, their bona fide twins, laundered copies, masks and manifest.csv."""
    from unmask_lab.forge.build import MODALITIES, build
    from unmask_lab.forge.images import Plan

    plan = Plan(kit, out, seed, half.value, per_source, bona_fide_per_source, photos)
    typer.echo(build(plan, tuple(m.value for m in only) if only else MODALITIES))


@app.command()
def evaluate(
    folder: Annotated[Path, typer.Argument(help="A set made by `unmask-lab forge` (one half).")],
    table: Annotated[Path, typer.Option(help="Results (CSV); an older table is completed.")],
    only: Annotated[list[str] | None, typer.Option(help="Only these detectors, by id.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    every: Annotated[int, typer.Option(min=1, help="Only every n-th parent.")] = 1,
    kind: Annotated[list[Modality] | None, typer.Option(help="Only these kinds of media.")] = None,
) -> None:
    """Run the installed detectors over a set. Detectors whose code changed are run again, others are kept."""
    from unmask_lab.evaluate.run import evaluate as run

    done = 0
    kinds = [m.value for m in kind or Modality]
    for done in run(folder, table, only or (), workers, every, kinds):
        if done % 100 == 0:
            typer.echo(f"{done} files", err=True)
    typer.echo(f"{table}: {done} files examined")


@app.command()
def calibrate(
    folder: Annotated[Path, typer.Argument(help="The calibration half made by `unmask-lab forge`.")],
    table: Annotated[Path, typer.Option(help="Its results, made by `unmask-lab evaluate`.")],
    only: Annotated[list[Modality] | None, typer.Option(help="Only these kinds of media.")] = None,
    dry_run: Annotated[bool, typer.Option(help="Fit and report, but write nothing.")] = False,
) -> None:
    """Fit calibrations and fusion, and write them into the detectors' cards and verdict.toml."""
    from unmask_lab.calibrate import MODALITIES
    from unmask_lab.calibrate import calibrate as run

    for line in run(folder, table, [m.value for m in only] if only else MODALITIES, not dry_run):
        typer.echo(line)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A set made by `unmask-lab forge` (one half).")],
    table: Annotated[Path, typer.Option(help="Its results, made by `unmask-lab evaluate`.")],
    into: Annotated[Path | None, typer.Option(help="Replace the tables in this document.")] = None,
    only: Annotated[list[Modality] | None, typer.Option(help="Only these kinds of media.")] = None,
) -> None:
    """Print the tables of docs/evaluation.md, or put them between its markers."""
    from unmask_lab.evaluate.report import put_tables, tables

    blocks = [block for m in (only or list(Modality)) for block in tables(folder, table, m.value)]
    if into is None:
        typer.echo("\n\n".join(blocks))
    else:
        put_tables(into, blocks)


@app.command()
def fit(
    tables: Annotated[list[Path], typer.Argument(help="Out-of-fold scores (CSV) of the detector's model.")],
    detector: Annotated[str, typer.Option(help="Whose card is written; by default the question of the table.")] = "",
    kit: Annotated[Path | None, typer.Option(help="The kit's data folder: names kinds of real media.")] = None,
    dry_run: Annotated[bool, typer.Option(help="Fit and report, but write nothing.")] = False,
) -> None:
    """Calibrate a trained detector: card (calibration, strata, false alarms, limits) and verdict.toml (labels)."""
    from unmask_lab.learned import fit as run

    for line in run(tables, detector, kit, not dry_run):
        typer.echo(line)


def main() -> None:
    """Entry point. A polite end (SIGTERM) unwinds like Ctrl-C, so that worker processes end too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        app()
    except UnmaskError as error:
        print(f"unmask-lab: {error.text} [{error.code}]", file=sys.stderr)
        sys.exit(int(error.exit_code))
