"""Measure how fast and how large Unmask is, and write docs/performance.md: ``make bench``.

Everything is made from seeds (`inputs`), so that anybody measures the same. Figures are medians of several runs;
ratios compare runs that alternate on the same machine within one call.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import films
import inputs
import live
from measure import Cost, machine, median, process, repeated, say, told

from unmask.models.store import has_model

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
UNMASK = [sys.executable, "-m", "unmask.cli.main"]
INSIDE = [sys.executable, str(Path(__file__).parent / "inside.py")]
HEAVY = ("numpy", "openvino", "av", "cv2", "scipy", "PIL")
MEMORY_BUDGET_MB = 1000
MOST_RATIO = 1.3
"""How many times the bare inference of its graphs a detector may take, decoding aside."""


@dataclass(frozen=True)
class Row:
    """One measured line. ``good``: inside the budget; None where there is none. ``cpu``: processor seconds;
    ``others``: share of the processors that other work took meanwhile.
    """

    what: str
    figure: str
    budget: str
    good: bool | None
    memory: str = ""
    cpu: str = ""
    others: str = ""


def shown_of(cost: Cost) -> tuple[str, str, str]:
    """Memory, processor time and the share of others, as shown."""
    return memory_of(cost), f"{cost.cpu:.2f}", f"{100 * cost.others:.0f} %"


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
        Row("`unmask --help`", f"{shown.seconds:.3f} s", "0.3 s", shown.seconds < 0.3, "", *shown_of(shown)[1:]),
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
    return Row(what, f"{cost.seconds:.2f} s", shown, good, *shown_of(cost))


def warm_row(path: Path, runs: int) -> Row:
    """A `Scanner` that has examined a file before; each file still gets a process of its own."""
    whole, out = told([*INSIDE, "warm", str(path), str(runs)])
    cost = median([Cost(seconds, whole.rss, whole.pss, cpu, others) for seconds, cpu, others in json.loads(out)])
    figure = f"{cost.seconds:.2f} s"
    return Row("12-megapixel JPEG, warm (`Scanner` kept)", figure, "1.5 s", cost.seconds < 1.5, *shown_of(cost))


def film_row(path: Path, runs: int) -> Row:
    """Container and frame detectors of a film, as a ratio to real time."""
    command = [*UNMASK, "scan", "--json", "--only", "video.container", "--only", "video.frames", str(path)]
    cost = repeated(runs, lambda: process(command))
    ratio = inputs.FILM_SECONDS / cost.seconds
    return Row(
        "60 s of 720p film, `video.container` and `video.frames`, cold",
        f"{cost.seconds:.2f} s = {ratio:.1f}x real time",
        "10x",
        ratio > 10,
        *shown_of(cost),
    )


def talk_rows(runs: int, *, quick: bool) -> Iterator[Row]:
    """Films with faces as ratios to real time; longer ones beside, to see how the cost grows."""
    found = films.rows(lambda path: process([*UNMASK, "scan", "--json", str(path)]), runs, quick=quick)
    for what, cost, ratio, least in found:
        budget, good = (f"{least:g}x", ratio >= least) if least else ("", None)
        yield Row(what, f"{cost.seconds:.1f} s = {ratio:.1f}x real time", budget, good, *shown_of(cost))


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
            *shown_of(median(costs["two"]))[1:],
        ),
        Row(
            "the same, 2 workers on 2 cores against 1 worker on 1 core",
            f"{gain:.2f}x ({pinned:.1f} s)",
            "1.7x",
            gain >= 1.7,
            "",
            *shown_of(median(costs["one core"]))[1:],
        ),
        Row(
            "the same, against 1 worker whose detectors share both cores",
            f"{one / two:.2f}x ({one:.1f} s)",
            "",
            None,
            "",
            *shown_of(median(costs["one"]))[1:],
        ),
    ]


def detector_table(path: Path, runs: int) -> list[tuple[str, float, float]]:
    """Each detector's median seconds by the clock and of the processor, with a worker's settings, on one core."""
    alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    out = told([*INSIDE, "detectors", str(path), str(runs)], environment=alone)[1]
    return [(name, seconds, cpu) for name, seconds, cpu in json.loads(out)]


def model_rows(
    what: str, path: Path, runs: int, *, only: str = "", seconds: int = 0, without_tower: bool = False
) -> list[Row]:
    """Each detector that asks models, against the bare inference of the same graphs in the same run, on one core.

    ``only``: this detector alone. ``seconds``: how long the subject lasts, to say how many times real time that is.
    """
    environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    if without_tower:
        environment["UNMASK_MODELS"] = str(inputs.CACHE / "no-models")
    out = told([*INSIDE, "models", str(path), str(runs)], environment=environment)[1]
    return [
        Row(
            f"`{name}`, {what}, against its {count} inferences alone",
            f"{took * 1000:.0f} ms = {ratio:.2f}x" + (f"; {seconds / took:.0f}x real time" if seconds else ""),
            f"{MOST_RATIO}x",
            ratio <= MOST_RATIO,
        )
        for name, took, bare, ratio, count in json.loads(out)
        if only in {"", name}
    ]


def write_page(rows: list[Row], tables: dict[str, list[tuple[str, float, float]]], runs: int) -> None:
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
        " of resident sizes, which counts shared pages for each process. CPU is the processor time of the command and"
        " its workers (`Scanner`: of the workers), in seconds: it grows little when the machine is busy. The last"
        " column is the share of all processors that other work took during the run: the higher it is, the less a time"
        " by the clock, or a `no` that rests on it, says of Unmask.",
        "",
        "| what | measured | budget | inside | memory, MB | CPU, s | other work |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        inside = "" if row.good is None else "yes" if row.good else "**no**"
        lines.append(
            f"| {row.what} | {row.figure} | {row.budget} | {inside} | {row.memory} | {row.cpu} | {row.others} |"
        )
    lines += ["", f"The memory budget is {MEMORY_BUDGET_MB} MB for each.", ""]
    lines += [
        "## Each detector",
        "One after the other on one core in one warm process, after the views that they share were made.",
    ]
    for name, table in tables.items():
        lines += ["", f"### {name}", "| detector | seconds | CPU, s |", "|---|---|---|"]
        lines += [f"| {detector} | {seconds:.3f} | {cpu:.3f} |" for detector, seconds, cpu in table]
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
    rows += talk_rows(few, quick=arguments.quick)
    seen = live.watched()
    rows.append(Row(*live.shown(seen), *shown_of(seen.cost)))
    if not arguments.quick:
        say("… a hundred pictures, three ways (minutes)")
        rows += batch_rows(inputs.pictures(), few)
    say("… detectors against bare inference")
    megapixel = inputs.megapixel()
    rows += model_rows("1 megapixel", megapixel, max(runs, 3))
    if has_model("clip-vit-b16-1"):
        rows += model_rows(
            "1 megapixel, without the tower", megapixel, max(runs, 3), only="image.synthetic", without_tower=True
        )
    rows += model_rows("a picture with one face", films.portrait(), max(runs, 3), only="face.swap")
    rows += model_rows("a minute of a voice", inputs.voice(), max(runs, 3), seconds=inputs.VOICE_SECONDS)
    say("… each detector")
    tables = {
        "12-megapixel JPEG": detector_table(photo, few),
        "60 s of 720p film": detector_table(film, 1),
        "10 minutes of sound": detector_table(recording, 1),
    }
    write_page(rows, tables, runs)
    for row in rows:
        inside = "" if row.good is None else "inside" if row.good else "OVER"
        say(f"{row.what}: {row.figure} {inside} {row.memory}, CPU {row.cpu} s, others {row.others}")
    say(f"written: {PAGE}")


machine_lines: list[str] = []

if __name__ == "__main__":
    main()
