"""`video.lipsync`: what the correlation of each lip measure with each band of the sound counts, 32 numbers.

1. A few people who speak to a camera, with the sound that was recorded with them, are followed frame by frame.
2. Four-second windows of their mouths are compared with their own sound at the true time, and with every other moment
   and every other person's sound.
3. A linear discriminant between both, shrunk towards equal spread, is the table; a person is left out in turn to
   measure it. Nothing else is trained, since so few people can carry no more.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unmask.card import read_card
from unmask.detectors.video_lipsync import agreement
from unmask.detectors.video_lipsync.mouth import NAMES
from unmask.detectors.video_lipsync.prepare import prepared
from unmask.detectors.video_lipsync.sound import STEPS
from unmask.subject import Subject
from unmask_lab.errors import LabError
from unmask_lab.train.options import TrainOptions

QUESTION = "video.lipsync"
PEOPLE = {
    "latentsync/c1daa14129": 0.025,
    "latentsync/d8accc26fe": 0.025,
    "icpr2020dfdc/e94115f2d3": 0.1,
    "icpr2020dfdc/b77780dacb": 0.175,
    "icpr2020dfdc/16980ac596": 0.1,
}
"""Clips of the kit in which one person speaks, and seconds by which the sound comes late. Of the two studio recordings
that is the usual lag of sound after the lips; of the three DFDC clips (swapped faces, lips that follow the true sound)
it is what their loudest correlations agree on. Clips with music or without clear speech are left out."""
SECONDS, HOP = 4.0, 0.5
SHRINK = 0.3
CLOSE = 1.0
"""Moments nearer than this to the true one are neither right nor wrong."""

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Talker:
    """One person.

    ``mouth``: (n, 4) and ``sound``: (m, bands), band-passed, 40 rows a second; ``first``: the sound's row at the
    mouth's row 0 as the film is played; ``late``: rows by which the sound truly comes after that.
    """

    name: str
    mouth: Float
    sound: Float
    first: int
    late: int


def train(options: TrainOptions) -> None:
    """Fit the table on everybody and write ``weights.toml`` and ``measured.json`` to the run's folder.

    Raises:
        LabError: no kit, or its clips are not there.
    """
    people = [_talker(path, late) for path, late in _clips(options.need_kit())]
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / "weights.toml").write_text(as_toml(fit(people)), "utf-8")
    found = {p.name: held_out(p, people) for p in people}
    (options.folder / "measured.json").write_text(json.dumps(found, indent=1), "utf-8")


def _clips(kit: Path) -> list[tuple[Path, float]]:
    with (kit / "manifest-video.csv").open(encoding="utf-8") as file:
        paths = [kit / row["path"] for row in csv.DictReader(file)]
    found = [(path, PEOPLE[name]) for path in paths if (name := f"{path.parent.name}/{path.stem}") in PEOPLE]
    if len(found) < 3:
        raise LabError("train.kit", f"The kit has {len(found)} of the {len(PEOPLE)} clips of people who speak.")
    return found


def _talker(path: Path, late: float) -> Talker:
    """The face that the detector would look at first."""
    subject = Subject(path)
    looks = subject.close_looks
    made = prepared(subject, looks[0], parameters()) if looks else None
    if made is None:
        raise LabError("train.kit", f"{path.name}: too little sound and picture at the same time.")
    return Talker(path.stem, made.mouth, made.sound, made.first, round(late * STEPS))


def parameters() -> Mapping[str, float]:
    """The detector's own, so that both filter alike."""
    return read_card(Path(agreement.__file__).parent, agreement.__name__).parameters


def windows(mouth: Float) -> list[int]:
    """First rows of the windows of one mouth."""
    return list(range(0, len(mouth) - int(SECONDS * STEPS) + 1, int(HOP * STEPS)))


def fit(people: Sequence[Talker]) -> Float:
    """(4, bands) weights, scaled so that the sum of their squares is 1."""
    right: list[Float] = []
    wrong: list[Float] = []
    for one in people:
        for start in windows(one.mouth):
            part = one.mouth[start : start + int(SECONDS * STEPS)]
            for other in people:
                all_ = agreement.correlations(part, other.sound).reshape(len(other.sound), -1)
                if other is one:
                    true = one.first + start + one.late
                    right.append(all_[true])
                    apart = np.abs(np.arange(len(all_)) - true) >= CLOSE * STEPS
                    wrong.append(all_[apart][::5])
                else:
                    wrong.append(all_[::10])
    bad = np.concatenate(wrong)
    spread = np.cov(bad.T)
    spread += SHRINK * np.trace(spread) / len(spread) * np.eye(len(spread))
    table = np.linalg.solve(spread, np.mean(right, axis=0) - bad.mean(axis=0))
    return np.asarray(table / np.linalg.norm(table), np.float64).reshape(len(NAMES), -1)


def held_out(one: Talker, people: Sequence[Talker]) -> dict[str, float]:
    """How the table of the others judges this person's whole stretch."""
    table = fit([other for other in people if other is not one])
    found = agreement.compare(one.mouth, one.sound, one.first, parameters(), table)
    return {"offset": found.offset, "true": one.late / STEPS, "peak": found.peak, "chance": found.chance}


def as_toml(table: Float) -> str:
    """``weights.toml`` of a table."""
    rows = [f"{name} = [{', '.join(f'{v:.4f}' for v in row)}]" for name, row in zip(NAMES, table, strict=True)]
    head = "# What the correlation of each lip measure with each band of the sound counts, low bands first.\n"
    return head + "# Written by `unmask-lab train video.lipsync`.\n[weights]\n" + "\n".join(rows) + "\n"
