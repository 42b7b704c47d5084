"""``unmask scan`` and ``unmask report``: run the scanner, show each report as it comes, decide the exit code."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from unmask.cli.streams import drop_stdout, undivided, visible
from unmask.errors import ExitCode, UsageError
from unmask.options import Options
from unmask.report import Report
from unmask.scanner import Scanner
from unmask.verdict import LABELS
from unmask.walk import Walk, check_local, make_folder

# More than this many files in one table help nobody; the index or the JSON lines do.
MAX_DETAILS = 200
# Of so many the details show pictures.
MAX_PICTURED = 50


def run(
    paths: Sequence[str], options: Options, *, json_lines: bool, html: Path | None, fail_on: str | None, details: bool
) -> ExitCode:
    """Scan and show; returns the exit code. Raises `UnmaskError` where nothing can be done at all."""
    errors = Console(stderr=True, highlight=False)
    check_local(paths)
    threshold = _threshold(fail_on)
    if html is not None:
        make_folder(html, "usage.html")
    walk = Walk(list(map(Path, paths)))
    kept: list[Report] = []
    total: int | None = None
    try:
        with Scanner(options) as scanner, _progress(errors) as progress:
            files = list(walk)
            total = len(files)
            task = progress.add_task("examining", total=total)
            for report in scanner.scan_many(files):
                with undivided():
                    kept.append(_put_out(report, json_lines, html, pictures=details and len(kept) < MAX_PICTURED))
                progress.update(task, advance=1)
    except BrokenPipeError:
        # Whoever read our output has seen enough, as `| head` does.
        drop_stdout()
        return ExitCode.DONE
    except KeyboardInterrupt:
        _conclude(kept, json_lines, html, details)
        errors.print(f"Interrupted: {len(kept)} of {total if total is not None else '?'} files examined and reported.")
        return ExitCode.INTERRUPTED
    _conclude(kept, json_lines, html, details)
    return _exit_code(kept, walk, threshold, errors)


def show_again(file: Path, html: Path | None, *, details: bool) -> None:
    """Render reports that were kept as JSON Lines. Raises `UsageError` where they cannot be read."""
    if html is not None:
        make_folder(html, "usage.html")
    reports = list(read_reports(file))
    for report in reports:
        if html is not None:
            _put_out(report, False, html)
    _conclude(reports, False, html, details)


def read_reports(file: Path) -> Iterator[Report]:
    """Reports from a JSON Lines file (``-``: stdin). Raises `UsageError` with the line that is wrong."""
    try:
        text = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise UsageError("usage.report", f"Cannot read {file}: {error.strerror}.") from error
    # Not `splitlines`: JSON may hold characters that count as line ends elsewhere.
    for number, line in enumerate(text.split(b"\n"), 1):
        if line.strip():
            try:
                yield Report.model_validate_json(line)
            except ValidationError as error:
                first = error.errors()[0]
                raise UsageError("usage.report", f"{file}, line {number} is no report: {first['msg']}.") from error


def _put_out(report: Report, json_lines: bool, html: Path | None, *, pictures: bool = False) -> Report:
    """Show one report at once; returns what to keep of it for the end."""
    if html is not None:
        from unmask.render.html import write_report

        write_report(report, html)
    if json_lines:
        sys.stdout.write(report.to_json() + "\n")
        sys.stdout.flush()
    return _light(report, pictures)


def _light(report: Report, pictures: bool) -> Report:
    """A thousand previews would not fit into memory, and the end needs none of them."""
    update: dict[str, object] = {"preview": None}
    if pictures:
        return report.model_copy(update={"subject": report.subject.model_copy(update=update)})
    subject = report.subject.model_copy(update=update | {"strip": None})
    findings = tuple(
        f.model_copy(update={"evidence": tuple(e for e in f.evidence if e.kind != "frames")}) for f in report.findings
    )
    return report.model_copy(update={"subject": subject, "findings": findings})


def _conclude(reports: Sequence[Report], json_lines: bool, html: Path | None, details: bool) -> None:
    ordered = sorted(reports, key=lambda r: r.subject.name)
    if html is not None:
        from unmask.render.html import write_index

        index = write_index(ordered, html)
        Console(stderr=True, highlight=False).print(f"Report: {visible(str(index))}", markup=False, soft_wrap=True)
    if json_lines or not ordered:
        return
    from unmask.render.text import detail, table

    console = Console(highlight=False)
    console.print(table(ordered))
    if details:
        for report in ordered[:MAX_DETAILS]:
            console.print(detail(report))


def _exit_code(reports: Sequence[Report], walk: Walk, threshold: int | None, errors: Console) -> ExitCode:
    failed = [r for r in reports if not r.examined]
    for problem in walk.problems:
        errors.print(f"Cannot read folder {visible(problem)}", markup=False, soft_wrap=True)
    if walk.passed_over:
        errors.print(f"{walk.passed_over} other files in the folders are no media and were passed over.")
    if failed:
        errors.print(f"{len(failed)} of {len(reports)} files could not be examined fully:")
        for report in failed[:20]:
            errors.print(f"  {visible(report.subject.name)}: {visible(_failure(report))}", markup=False, soft_wrap=True)
    if not reports and not walk.problems:
        errors.print("No pictures, films or recordings found here.")
    if threshold is not None and any(LABELS.index(r.verdict.label) >= threshold for r in reports):
        return ExitCode.REACHED_FAIL_ON
    return ExitCode.NOT_EXAMINED if failed or walk.problems else ExitCode.DONE


def _failure(report: Report) -> str:
    return next(f.reason.text for f in report.findings if f.status == "failed")


def _threshold(label: str | None) -> int | None:
    if label is None:
        return None
    if label not in LABELS:
        raise UsageError("usage.label", f"--fail-on takes one of: {', '.join(LABELS)}.")
    return LABELS.index(label)


@contextlib.contextmanager
def _progress(errors: Console) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        yield progress
