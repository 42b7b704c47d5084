"""``unmask-lab eval``, ``scores`` and ``eval-report``: judge anything over labelled files, and show what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unmask_lab.errors import LabError

app = typer.Typer(no_args_is_help=True, add_completion=False)

LADDER = "ladder"


@app.command("eval")
def evaluate_judge(
    table: Annotated[Path, typer.Argument(help="A manifest (CSV), or the labelled kit's data folder.")],
    out: Annotated[Path, typer.Option(help="The score table (CSV); one that is there is completed.")],
    modality: Annotated[str, typer.Option(help="image or audio.")] = "image",
    question: Annotated[str, typer.Option(help="Only this question's positives, with all bona fide files.")] = "",
    detector: Annotated[list[str] | None, typer.Option(help="Installed detectors, by id.")] = None,
    model: Annotated[list[Path] | None, typer.Option(help="Model folders that take one picture or one wave.")] = None,
    command: Annotated[
        list[str] | None,
        typer.Option(help="A program that prints scores: {} is the file, without it paths come on standard input."),
    ] = None,
    name: Annotated[str, typer.Option(help="What the table calls the command.")] = "",
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds a file that a command may take.")] = 60.0,
    baselines: Annotated[bool, typer.Option(help="Also trivial facts: size, duration, loudness and the like.")] = True,
    variant: Annotated[
        list[str] | None, typer.Option(help="clean, laundered:1 …, jpeg70 …, or `ladder` for all steps of wear.")
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Only every n-th file of each source.")] = 1,
    work: Annotated[Path | None, typer.Option(help="Where worn copies go; beside the table by default.")] = None,
) -> None:
    """Score files with detectors, models or third-party programs, on the same copies in the same run."""
    from unmask_lab.evaluate import judge, judges
    from unmask_lab.launder import ladder

    who: list[judges.Judge] = [judges.DetectorJudge(d) for d in detector or ()]
    who += [judges.ModelJudge(folder) for folder in model or ()]
    who += [judges.CommandJudge(text, name, timeout) for text in command or ()]
    who += judges.baselines(modality) if baselines else []
    if not who:
        raise LabError("eval.nobody", "Nobody to judge: give --detector, --model or --command.")
    names = [
        v
        for given in variant or ["clean"]
        for v in (("clean", *ladder.steps(modality)) if given == LADDER else (given,))
    ]
    found = judge.plan(
        table, work or out.with_suffix("").with_name(f"{out.stem}-worn"), modality, question, names, every
    )
    for one in who:
        done = 0
        for done in judge.judge(found, one, out):
            typer.echo(f"{one.name}: {done}", err=True)
        typer.echo(f"{one.name}: {done} rows in {out}")


@app.command("scores")
def show_scores(
    table: Annotated[Path, typer.Argument(help="A score table (CSV).")],
    rounds: Annotated[int, typer.Option(min=0, help="Bootstrap rounds.")] = 200,
) -> None:
    """Print AUC, EER and detection rates of each detector in a table, by variant and family, with intervals."""
    from unmask_lab import scores

    rows = scores.read(table)
    for detector in dict.fromkeys(row.detector or row.question for row in rows):
        typer.echo(f"== {detector or table.name}")
        for line in scores.summary([r for r in rows if (r.detector or r.question) == detector], rounds):
            typer.echo(line)


@app.command("eval-report")
def eval_report(
    tables: Annotated[list[Path], typer.Argument(help="Score tables (CSV) of one question.")],
    title: Annotated[str, typer.Option(help="What was asked, as the heading.")] = "",
    html: Annotated[Path | None, typer.Option(help="Write a page here: one file, no network, no scripts.")] = None,
    into: Annotated[Path | None, typer.Option(help="Put the tables between the markers of this document.")] = None,
    section: Annotated[str, typer.Option(help="Which markers: `<!-- SECTION: begin -->` and `end`.")] = "tables",
    rounds: Annotated[int, typer.Option(min=0, help="Bootstrap rounds.")] = 200,
    cost: Annotated[
        list[Path] | None, typer.Option(help="Tables of `unmask-lab eval` of which only the seconds are shown.")
    ] = None,
) -> None:
    """Show score tables: curves, reliability, robustness, tables by generator, source and kind, cost."""
    from unmask_lab.evaluate import learned_page, learned_report
    from unmask_lab.evaluate.report import put_tables

    study = learned_report.study(tables, title, rounds, cost or ())
    blocks = list(learned_report.blocks(study))
    if html is not None:
        learned_page.write(html, study)
        typer.echo(f"{html} written")
    if into is not None:
        put_tables(into, blocks, section)
    elif html is None:
        typer.echo("\n\n".join(blocks))


@app.command("eval-films")
def eval_films(
    folder: Annotated[Path, typer.Argument(help="A set made by `unmask-lab forge-talking`.")],
    out: Annotated[Path, typer.Option(help="Where findings are kept, one file a film; what still holds stays.")],
    only: Annotated[list[str] | None, typer.Option(help="Ask only these detectors, by id or prefix.")] = None,
    again: Annotated[bool, typer.Option(help="Ask even where an answer is kept.")] = False,
    copy: Annotated[list[str] | None, typer.Option(help="Scan only films of these compressions.")] = None,
    part: Annotated[str, typer.Option(help="I/N: scan the I-th of every N films, for runs side by side.")] = "1/1",
    scan: Annotated[bool, typer.Option(help="Scan; --no-scan makes the tables from what is kept.")] = True,
    report: Annotated[bool, typer.Option(help="Make the tables; --no-report scans only.")] = True,
    scores: Annotated[Path | None, typer.Option(help="Write all scores, curves and facts here (JSON).")] = None,
    into: Annotated[Path | None, typer.Option(help="Put the tables between the markers of this document.")] = None,
    rounds: Annotated[int, typer.Option(min=0, help="Bootstrap rounds.")] = 200,
) -> None:
    """Scan a set of films as the product does, and tell what was found by way of forging and compression."""
    from unmask_lab.evaluate import films, films_report
    from unmask_lab.evaluate.report import put_tables

    if scan:
        scanned = films.scan_films(folder, out, only or (), again, copies=copy or (), part=_part(part))
        for n, (path, seconds) in enumerate(scanned, 1):
            typer.echo(f"{n}: {path} {seconds:.1f} s", err=True)
    if not report:
        return
    judged = films.load(folder, out)
    if scores is not None:
        films.write_scores(scores, judged)
    blocks = [block for block in films_report.blocks(judged, rounds) if block]
    if into is not None:
        put_tables(into, blocks, "films")
    else:
        typer.echo("\n\n".join(blocks))


def _part(text: str) -> tuple[int, int]:
    """``2/3`` to (1, 3)."""
    first, _, count = text.partition("/")
    if not (first.isdigit() and count.isdigit() and 1 <= int(first) <= int(count)):
        raise LabError("eval.part", f"{text!r} is no part: write for example 1/2.")
    return int(first) - 1, int(count)
