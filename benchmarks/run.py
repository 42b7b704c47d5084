"""Measure how fast and how large Unmask is, and write docs/performance.md: ``make bench``.

Everything is made from seeds (`inputs`), so that anybody measures the same. Figures are medians of several runs;
ratios compare runs that alternate on the same machine within one call.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import inputs
from measure import Cost, MemoryWatch, machine, process, repeated, say

from unmask import Options, Scanner
from unmask.card import find_cards
from unmask.execution.work import plan, preload, run_one
from unmask.subject import Subject

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
UNMASK = [sys.executable, "-m", "unmask.cli.main"]
HEAVY = ("numpy", "openvino", "av", "cv2", "scipy", "PIL")
MEMORY_BUDGET_MB = 1000


@dataclass(frozen=True)
class Row:
    """One measured line. ``good``: inside the budget; None where there is none."""

    what: str
    figure: str
    budget: str
    good: bool | None
    memory: str = ""


def memory_of(cost: Cost) -> str:
    """Memory as shown, with a mark where it is over the budget."""
    mark = "" if cost.pss <= MEMORY_BUDGET_MB else " **over**"
    return f"{cost.pss:.0f} ({cost.rss:.0f}){mark}"


def light_rows(runs: int) -> list[Row]:
    """``--help`` and ``import unmask``."""
    shown = repeated(runs, lambda: process([*UNMASK, "--help"]))
    code = "import sys, time; t = time.perf_counter(); import unmask; print(time.perf_counter() - t, *sys.modules)"
    outs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(runs)
    ]
    seconds = statistics.median(float(out.stdout.split()[0]) for out in outs)
    loaded = sorted(set(HEAVY) & set(outs[0].stdout.split()))
    return [
        Row("`unmask --help`", f"{shown.seconds:.3f} s", "0.3 s", shown.seconds < 0.3),
        Row("`import unmask`", f"{seconds:.3f} s", "0.15 s", seconds < 0.15),
        Row(
            f"`import unmask` loads none of {', '.join(HEAVY)}",
            f"loads {', '.join(loaded)}" if loaded else "none",
            "none",
            not loaded,
        ),
    ]


def cold_row(what: str, path: Path, runs: int, budget: float = 0) -> Row:
    """The command line on one file, from nothing to the verdict; budget in seconds, 0 where there is none."""
    cost = repeated(runs, lambda: process([*UNMASK, "scan", "--json", str(path)]))
    shown, good = (f"{budget:g} s", cost.seconds < budget) if budget else ("", None)
    return Row(what, f"{cost.seconds:.2f} s", shown, good, memory_of(cost))


def warm_row(path: Path, runs: int) -> Row:
    """A `Scanner` that has examined a file before; each file still gets a process of its own."""
    with Scanner() as scanner, MemoryWatch(os.getpid()) as memory:
        scanner.scan(path)
        time.sleep(1.5)  # what a worker prepares after its first file is not part of the next
        times = []
        for _ in range(runs):
            started = time.perf_counter()
            scanner.scan(path)
            times.append(time.perf_counter() - started)
    cost = Cost(statistics.median(times), memory.rss, memory.pss)
    return Row(
        "12-megapixel JPEG, warm (`Scanner` kept)",
        f"{cost.seconds:.2f} s",
        "1.5 s",
        cost.seconds < 1.5,
        memory_of(cost),
    )


def film_row(path: Path, runs: int) -> Row:
    """Container and frame detectors of a film, as a ratio to real time."""
    command = [*UNMASK, "scan", "--json", "--only", "video.container", "--only", "video.frames", str(path)]
    cost = repeated(runs, lambda: process(command))
    ratio = inputs.FILM_SECONDS / cost.seconds
    return Row(
        "60 s of 720p film, `video.container` and `video.frames`, cold",
        f"{cost.seconds:.2f} s = {ratio:.1f}x real time",
        "4x",
        ratio > 4,
        memory_of(cost),
    )


def batch_rows(folder: Path, runs: int) -> list[Row]:
    """A hundred pictures by two workers on two cores, against one worker on one core and one worker on both."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        return [Row("100 pictures, 2 workers against 1", "one core only: not measured", "1.7x", None)]
    costs: dict[str, list[Cost]] = {"two": [], "one core": [], "one": []}
    for _ in range(runs):
        costs["two"].append(process([*UNMASK, "scan", "--json", "--workers", "2", str(folder)], set(cores)))
        costs["one core"].append(process([*UNMASK, "scan", "--json", "--workers", "1", str(folder)], {cores[0]}))
        costs["one"].append(process([*UNMASK, "scan", "--json", "--workers", "1", str(folder)], set(cores)))
    two, pinned, one = (statistics.median(c.seconds for c in costs[k]) for k in costs)
    ratios = [a.seconds / b.seconds for a, b in zip(costs["one core"], costs["two"], strict=True)]
    gain = statistics.median(ratios)
    largest = max(costs["two"], key=lambda c: c.pss)
    return [
        Row(
            "100 pictures of 2 megapixels, 2 workers",
            f"{two:.1f} s = {100 / two:.1f} a second",
            "",
            None,
            memory_of(largest),
        ),
        Row(
            "the same, 2 workers on 2 cores against 1 worker on 1 core",
            f"{gain:.2f}x ({pinned:.1f} s)",
            "1.7x",
            gain >= 1.7,
        ),
        Row("the same, against 1 worker whose detectors share both cores", f"{one / two:.2f}x ({one:.1f} s)", "", None),
    ]


def detector_table(path: Path, runs: int) -> list[tuple[str, float]]:
    """Seconds of each detector on one file, one after the other on one core, after the shared views are made."""
    seconds: dict[str, list[float]] = {}
    for _ in range(runs):
        subject = Subject(path)
        for name, view in _views(subject):
            started = time.perf_counter()
            view()
            seconds.setdefault(f"(shared) {name}", []).append(time.perf_counter() - started)
        for card in plan(find_cards(), subject, Options()):
            seconds.setdefault(card.id, []).append(run_one(card, subject, Options()).seconds)
    rows = [(name, statistics.median(times)) for name, times in seconds.items()]
    return sorted(rows, key=lambda row: -row[1])


def _views(subject: Subject) -> list[tuple[str, Callable[[], object]]]:
    if subject.kind == "image":
        return [
            ("pixels", lambda: subject.image.rgb),
            ("luma", lambda: subject.image.luma),
            ("JPEG coefficients", lambda: subject.image.jpeg),
            ("metadata", lambda: subject.metadata),
        ]
    if subject.kind == "video":
        return [("all frames, reduced", lambda: subject.video.small_frames)]
    return []


def write_page(rows: list[Row], tables: dict[str, list[tuple[str, float]]], runs: int) -> None:
    """docs/performance.md."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "openvino", "av", "opencv-python-headless"))
    lines = [
        "# Performance",
        "Written by `make bench`; do not edit. All inputs are made from seeds by `benchmarks/inputs.py`.",
        "",
        f"Measured {datetime.now(UTC):%Y-%m-%d} on: {machine_lines[0]}.",
        f"With {packages}. {machine_lines[1][0].upper()}{machine_lines[1][1:]}.",
        "",
        f"Times are medians of {runs} runs by the clock (fewer for the long ones). Memory is the largest of all runs,"
        " in MB, summed over the command and its workers, pages that they share counted once; in brackets the plain sum"
        " of resident sizes, which counts shared pages for each process.",
        "",
        "| what | measured | budget | inside | memory, MB |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        inside = "" if row.good is None else "yes" if row.good else "**no**"
        lines.append(f"| {row.what} | {row.figure} | {row.budget} | {inside} | {row.memory} |")
    lines += ["", f"The memory budget is {MEMORY_BUDGET_MB} MB for each.", ""]
    lines += ["## Each detector", "One after the other in one process, after the views that they share were made."]
    for name, table in tables.items():
        lines += ["", f"### {name}", "| detector | seconds |", "|---|---|"]
        lines += [f"| {detector} | {seconds:.3f} |" for detector, seconds in table]
    PAGE.write_text("\n".join(lines) + "\n", "utf-8")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="runs of each short measurement")
    parser.add_argument("--quick", action="store_true", help="one run of each, no batch: to see that it works")
    arguments = parser.parse_args()
    runs = 1 if arguments.quick else arguments.runs
    few = max(1, runs // 2)
    if platform.system() != "Linux":
        say("memory is measured on Linux only; those columns will be 0")
    global machine_lines  # noqa: PLW0603 - the load is that of before the first run
    machine_lines = machine()
    say("making the inputs …")
    photo, film, recording = inputs.photo(), inputs.film(), inputs.recording()
    say("measuring …")
    rows = light_rows(max(runs, 3))
    say("… one picture")
    rows.append(cold_row("12-megapixel JPEG, cold, command line", photo, runs, 4.0))
    rows.append(warm_row(photo, runs))
    say("… film and sound")
    rows.append(film_row(film, few))
    rows.append(cold_row("10 minutes of sound, cold, command line", recording, few, 6.0))
    rows.append(cold_row("60 s of 720p film with sound, all detectors, cold", film, few))
    if not arguments.quick:
        say("… a hundred pictures, three ways (minutes)")
        rows += batch_rows(inputs.pictures(), few)
    say("… each detector")
    preload()
    tables = {
        "12-megapixel JPEG": detector_table(photo, few),
        "60 s of 720p film": detector_table(film, 1),
        "10 minutes of sound": detector_table(recording, 1),
    }
    write_page(rows, tables, runs)
    for row in rows:
        say(f"{row.what}: {row.figure} {'' if row.good is None else 'inside' if row.good else 'OVER'} {row.memory}")
    say(f"written: {PAGE}")


machine_lines: list[str] = []

if __name__ == "__main__":
    main()
