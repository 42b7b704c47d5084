"""``unmask-lab manifest``, ``check-manifest`` and ``train``: tables of media, and models from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from unmask_lab import manifest
from unmask_lab.errors import LabError
from unmask_lab.manifest import Row

app = typer.Typer(no_args_is_help=True, add_completion=False)

Folders = list[Path] | None


@app.command("manifest")
def make_manifest(
    out: Annotated[Path, typer.Argument(help="The table to write (CSV); paths in it are relative to its folder.")],
    modality: Annotated[str, typer.Option(help="image, audio or video.")] = "image",
    kit: Annotated[Path | None, typer.Option(help="The labelled kit's data folder.")] = None,
    bona_fide: Annotated[Folders, typer.Option(help="A folder of bona fide files, a subfolder a source.")] = None,
    synthetic: Annotated[Folders, typer.Option(help="A folder of synthetic files, a subfolder a generator.")] = None,
    manipulated: Annotated[Folders, typer.Option(help="A folder of manipulated files, a subfolder a source.")] = None,
    forged: Annotated[Folders, typer.Option(help="A set made by `unmask-lab forge`.")] = None,
    folds: Annotated[int, typer.Option(min=0, help="Set the splits to so many folds of whole sources.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the folds.")] = 1,
    replace_old: Annotated[bool, typer.Option("--replace", help="Write over a table that is there.")] = False,
) -> None:
    """Build a table of media with hashes, families and splits, check it, write it and print what is in it."""
    if modality not in manifest.KINDS:
        raise LabError("manifest.kind", f"No kind of media is called {modality!r}: {', '.join(manifest.KINDS)}.")
    if out.exists() and not replace_old:
        raise LabError("manifest.exists", f"{out} is there already: another name, or --replace.")
    parts: list[tuple[list[Row], Path]] = []
    if kit is not None:
        parts.append((manifest.from_kit(kit, modality, hashes=True), kit))
    for label, folders in (("bona_fide", bona_fide), ("synthetic", synthetic), ("manipulated", manipulated)):
        parts += [(manifest.from_folder(f, modality, label, hashes=True), f) for f in folders or ()]
    for folder in forged or ():
        parts.append(([manifest.hashed(r, folder) for r in manifest.from_forged(folder, modality)], folder))
    rows = [row for part, root in parts for row in manifest.moved(part, root, out.parent)]
    if folds:
        places = manifest.folds(rows, folds, seed)
        rows = [replace(row, split=f"fold{place}") for row, place in zip(rows, places, strict=True)]
    manifest.check(rows, both_classes=False)
    manifest.write(out, rows)
    for line in _counts(rows):
        typer.echo(line)


@app.command("check-manifest")
def check_manifest(
    table: Annotated[Path, typer.Argument(help="A manifest (CSV).")],
    one_class: Annotated[bool, typer.Option("--one-class", help="Splits of one class only are allowed.")] = False,
    fast: Annotated[bool, typer.Option("--fast", help="Do not open the files.")] = False,
) -> None:
    """Refuse a table with leaks between splits, one class only, or missing, altered or damaged files."""
    rows = manifest.read(table)
    manifest.check(rows, None if fast else table.parent, both_classes=not one_class)
    for line in _counts(rows):
        typer.echo(line)
    typer.echo("No fault found.")


@app.command()
def train(
    question: Annotated[str, typer.Argument(help="What to train; without one, the recipes are listed.")] = "",
    folder: Annotated[Path, typer.Option(help="Checkpoints and log go here.")] = Path("run"),
    kit: Annotated[Path | None, typer.Option(help="The labelled kit's data folder.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    steps: Annotated[int | None, typer.Option(min=1, help="Steps in all; the recipe's own number by default.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same weights on the same machine.")] = 1,
    fold: Annotated[int | None, typer.Option(min=0, help="Leave this fold of whole sources out, and score it.")] = None,
    folds: Annotated[int, typer.Option(min=2, help="How many folds there are.")] = 5,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    given: Annotated[
        list[str] | None, typer.Option("--with", help="NAME=PATH: a file that the recipe asks for.")
    ] = None,
    export: Annotated[Path | None, typer.Option(help="Write the model folder here at the end.")] = None,
    replace_old: Annotated[bool, typer.Option("--replace", help="Write over a model folder that is there.")] = False,
) -> None:
    """Train the model of a question by its recipe (needs the extra `lab`)."""
    from unmask_lab.train.options import TrainOptions, find_recipes, run

    if not question:
        typer.echo("\n".join(find_recipes()))
        return
    files = dict(_named_path(text) for text in given or ())
    run(TrainOptions(question, folder, kit, device, steps, seed, fold, folds, resume, files, export, replace_old))


def _named_path(text: str) -> tuple[str, Path]:
    name, sign, path = text.partition("=")
    if not (name and sign and path):
        raise LabError("train.file", f"--with wants NAME=PATH, not {text!r}.")
    return name, Path(path)


def _counts(rows: Sequence[Row]) -> Iterator[str]:
    """What is in a table: files, sources, families, splits."""
    yield f"{len(rows)} files, {len({row.source for row in rows})} sources, {len(set(manifest.groups(rows)))} groups"
    for label in manifest.LABELS:
        inside = [row for row in rows if row.label == label]
        if inside:
            families = Counter(row.family for row in inside if row.family)
            told = ", ".join(f"{name} {n}" for name, n in families.most_common())
            yield f"{label}: {len(inside)} files, {len({r.source for r in inside})} sources" + (
                f" ({told})" if told else ""
            )
    for split, n in sorted(Counter(row.split for row in rows).items()):
        if split:
            yield f"{split}: {n} files, {sum(row.positive for row in rows if row.split == split)} of them not bona fide"
