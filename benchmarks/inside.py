"""What can only be measured from inside a process, which therefore has one of its own; told as JSON on stdout.

python benchmarks/inside.py warm FILE RUNS         one `Scanner` that examines a file again and again
python benchmarks/inside.py detectors FILE RUNS    each detector by itself
python benchmarks/inside.py models FILE RUNS       each detector that asks models, against those inferences alone
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

from measure import Share, processor_seconds

if TYPE_CHECKING:
    from unmask.subject import Subject


def warm(path: Path, runs: int) -> list[list[float]]:
    """Seconds by the clock, processor seconds of the workers, and the share of others (0..1), of each run."""
    from unmask import Scanner

    costs = []
    with Scanner() as scanner:
        scanner.scan(path)
        time.sleep(1.5)  # what a worker prepares after its first file is not part of the next
        for _ in range(runs):
            share, used, started = Share(), processor_seconds(os.getpid()), time.perf_counter()
            scanner.scan(path)
            seconds, cpu = time.perf_counter() - started, processor_seconds(os.getpid()) - used
            costs.append([seconds, cpu, share.others(cpu)])
    return costs


def detectors(path: Path, runs: int) -> list[tuple[str, float, float]]:
    """Names with median seconds by the clock and of the processor, dearest first; the shared views are made before.

    A run before the first loads what is loaded once a process, such as models.
    """
    import cv2

    from unmask.card import find_cards
    from unmask.execution.work import plan, preload, run_one
    from unmask.options import Options
    from unmask.subject import Subject

    preload()
    cv2.setNumThreads(1)
    times: dict[str, list[tuple[float, float]]] = {}

    def timed(name: str, call: Callable[[], object]) -> None:
        started, used = time.perf_counter(), time.process_time()
        call()
        times.setdefault(name, []).append((time.perf_counter() - started, time.process_time() - used))

    for run in range(runs + 1):
        subject = Subject(path)
        for name, view in _views(subject):
            timed(f"(shared) {name}", view)
        for card in plan(find_cards(), subject, Options()):
            timed(card.id, partial(run_one, card, subject, Options()))
        if run == 0:
            times.clear()
    rows = [(name, *(statistics.median(values) for values in zip(*both, strict=True))) for name, both in times.items()]
    return sorted(rows, key=lambda row: -row[2])


def models(path: Path, runs: int) -> list[tuple[str, float, float, float, int]]:
    """Of each detector that asks models: median seconds, those of its inferences alone, their ratio, how many they are.

    What a detector asked is written down and asked again, of the same compiled graphs, without anything around it; the
    two alternate. Views of the subject are made before, so that decoding does not count.
    """
    from unmask.card import find_cards
    from unmask.execution.work import plan, preload, run_one
    from unmask.models.runtime import Session
    from unmask.options import Options
    from unmask.subject import Subject

    preload()
    asked: list[tuple[Session, Any]] = []
    plain = Session.infer

    def noted(session: Session, inputs: Any) -> Any:
        asked.append((session, inputs))
        return plain(session, inputs)

    rows = []
    subject = Subject(path)
    for card in plan(find_cards(), subject, Options()):
        run_one(card, subject, Options())  # opens models and makes the shared views
        Session.infer = noted  # type: ignore[method-assign]
        answered = run_one(card, subject, Options()).status == "ok"
        Session.infer = plain  # type: ignore[method-assign]
        calls, asked = asked, []
        if not calls or not answered:
            continue
        costs = []
        for _ in range(runs):
            whole = _seconds(partial(run_one, card, subject, Options()))
            costs.append((whole, _seconds(partial(_replay, calls))))
        whole, bare = (statistics.median(values) for values in zip(*costs, strict=True))
        rows.append((card.id, whole, bare, statistics.median(a / b for a, b in costs), len(calls)))
    return rows


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _replay(calls: list[tuple[Any, Any]]) -> None:
    for session, inputs in calls:
        session._request().infer(inputs)


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


if __name__ == "__main__":
    measure = {"warm": warm, "detectors": detectors, "models": models}[sys.argv[1]]
    sys.stdout.write(json.dumps(measure(Path(sys.argv[2]), int(sys.argv[3]))) + "\n")
