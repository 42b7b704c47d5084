"""``unmask-lab``: make forged sets, examine them, fit calibrations. For developers and researchers."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)


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
    only: Annotated[list[Modality] | None, typer.Option(help="Only these kinds of media.")] = None,
) -> None:
    """Write forged files, their bona fide twins, laundered copies, masks and manifest.csv."""
    from unmask_lab.forge.build import MODALITIES, build
    from unmask_lab.forge.images import Plan

    plan = Plan(kit, out, seed, half.value, per_source)
    typer.echo(build(plan, tuple(m.value for m in only) if only else MODALITIES))


def main() -> None:
    """Entry point."""
    app()
