"""How long a frame of a stream waits until the rolling state holds it, and how many frames are dropped."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass

import films
from measure import Cost, told

WATCHED = 40
"""Seconds of the film that are watched."""

BOUND = 2.0


@dataclass(frozen=True)
class Watched:
    """``delay``/``worst``: seconds, median and longest; ``dropped``: share 0..1; ``looks``: a second."""

    delay: float
    worst: float
    dropped: float
    looks: float
    cost: Cost


def watched() -> Watched:
    """A film of 720p at 30 frames a second with a face and speech, played in real time on two cores."""
    film = films.talk(1, (1280, 720))
    cores = set(sorted(os.sched_getaffinity(0))[:2])
    command = [sys.executable, "-m", "unmask.cli.main", "live", "--json", "--seconds", str(WATCHED), str(film)]
    cost, out = told(command, cores, {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})
    ended = json.loads(out.splitlines()[-1])
    return Watched(
        ended["delay_median"],
        ended["delay_worst"],
        ended["dropped"] / max(1, ended["dropped"] + ended["read"]),
        ended["looked"] / WATCHED,
        cost,
    )


def shown(found: Watched) -> tuple[str, str, str, bool]:
    """What was measured, its figure, the budget, and whether it is inside."""
    return (
        f"720p at 30 frames a second watched live for {WATCHED} s on two cores: delay of the state",
        f"{found.delay:.2f} s median, {found.worst:.2f} s at most; {found.looks:.1f} looks a second, "
        f"{found.dropped:.0%} of the frames dropped",
        f"{BOUND:g} s",
        found.worst < BOUND,
    )
