"""Makes the set: every real talking head untouched and forged by every family, each at the same compressions.

People are split in two halves that share nobody, donors and drivers included. A set that is there is completed, so a
run that was stopped goes on; the order of the work makes every part of a set balanced.
"""

from __future__ import annotations

import csv
import hashlib
import io
import multiprocessing
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from unmask_lab.errors import LabError
from unmask_lab.files import write_whole
from unmask_lab.forge import talking
from unmask_lab.forge.av_io import Sound, read_sound
from unmask_lab.forge.family import Family, walk
from unmask_lab.forge.forgery import seeded
from unmask_lab.forge.manifest import digest
from unmask_lab.forge.speech import RATE, resampled, trimmed
from unmask_lab.forge.talking.files import COMPRESSIONS, read_clip, write_clip
from unmask_lab.forge.talking.parent import Head, Talking, TalkingJob, TalkingMade, follow
from unmask_lab.kit import half_of

NAME = "manifest.csv"
SEEN = ("swap_alpha", "swap_flicker", "lips", "interpolate", "sound_shift")
"""Families that anything fitted for films may learn from; the others are for testing only."""

LEAST_SECONDS, LEAST_STRETCH = 2.0, 1.2
WHOLE_ONLY = ("sound_shift",)
SUFFIXES = (".mp4", ".mov", ".mkv", ".webm")
NONE = "none"
NOBODY = Head(
    np.zeros((0, 468, 3), np.float32), np.zeros((0, 6, 2), np.float32), np.zeros(0, np.float32), np.zeros(0, np.bool_)
)
TalkingFamily = Family[TalkingJob, TalkingMade]


@dataclass(frozen=True)
class TalkingRow:
    """One film of the set.

    ``family``: `NONE` for untouched films. ``methods``: ``seen`` or ``unseen``. ``half``: of the people. ``kind``:
    ``talking head`` or ``other``. ``start``, ``end``: the forged stretch in seconds. ``offset``: seconds by which the
    sound comes too late, empty: unknown.
    ``compression``: ``original`` for a film as it was found. ``parent``: the film and piece that it was made from.
    """

    path: str
    label: str
    family: str
    methods: str
    person: str
    half: str
    kind: str
    parent: str
    compression: str
    seconds: float
    start: str = ""
    end: str = ""
    partial: str = ""
    offset: str = ""
    donor: str = ""
    generator: str = ""
    licence: str = ""
    seed: int = 0
    bytes: int = 0
    sha256: str = ""

    @property
    def forged(self) -> bool:
        """Whether anything was changed."""
        return self.label == "manipulated"

    @property
    def stretch(self) -> tuple[float, float] | None:
        """The forged stretch in seconds."""
        return (float(self.start), float(self.end)) if self.start else None


@dataclass(frozen=True)
class Film:
    """A real film. ``person``: who is in it, as one name; ``face``: whether somebody's face is to be forged."""

    path: Path
    person: str
    licence: str
    face: bool = True
    label: str = "bona_fide"
    method: str = NONE


@dataclass(frozen=True)
class TalkingPlan:
    """``kit``: the labelled kit; ``more``: a folder of further talking heads, one person a film; ``limit``: rounds of
    families (each round forges every person once); ``seconds``: length of a piece; ``pieces``: untouched pieces a film.
    """

    kit: Path
    out: Path
    weights: Path
    seed: int = 1
    only: tuple[str, ...] = ()
    limit: int | None = None
    more: Path | None = None
    seconds: float = 5.0
    pieces: int = 2
    public: bool = True
    workers: int = 1


def forge_talking(plan: TalkingPlan) -> Iterator[TalkingRow]:
    """Write the set; yields rows as films are written.

    Raises:
        LabError: no kit, or fewer than two people with a face in each half.
    """
    films = [*kit_films(plan.kit), *more_films(plan.more)]
    halves = halves_of([film.person for film in films if film.face])
    if sum(half == "test" for half in halves.values()) < 2:
        raise LabError("talking.people", "A set needs at least four talking heads, two in each half.")
    table = _Table(plan.out)
    todo = [(plan, films, halves, task) for task in _tasks(plan, films) if task.key not in table.done]
    if plan.workers == 1:
        for work in todo:
            yield from table.add(*_make(work))
        return
    # Leaving this block, for whatever reason, ends the workers.
    with multiprocessing.get_context("forkserver").Pool(plan.workers, initializer=_start) as pool:
        for key, rows in pool.imap(_make, todo):
            yield from table.add(key, rows)


def halves_of(people: Sequence[str]) -> dict[str, str]:
    """Person to half: in the order of the SHA-256 of their names, every second one is for testing."""
    order = sorted(set(people), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return {name: ("test", "calibration")[i % 2] for i, name in enumerate(order)}


def kit_films(kit: Path) -> list[Film]:
    """The kit's films: real ones of talking heads, of other things, and public deepfakes.

    Raises:
        LabError: ``manifest.missing``.
    """
    table = kit / "manifest-video.csv"
    if not table.is_file():
        raise LabError("manifest.missing", f"{kit} is no kit: it has no {table.name}.")
    out = []
    with table.open(newline="") as file:
        for row in csv.DictReader(file):
            path, method = kit / row["path"], row["method"]
            real = row["label"] == "real"
            family = NONE if real else f"public:{path.parent.name}"
            label = "bona_fide" if real else "manipulated"
            out.append(Film(path, path.stem, row["licence_stated"], real and "talking head" in method, label, family))
    return out


def more_films(folder: Path | None) -> list[Film]:
    """Every film of a folder; ``LICENCE.txt`` in it, if there is one, says under which licence they are."""
    if folder is None:
        return []
    note = folder / "LICENCE.txt"
    licence = note.read_text("utf-8").strip().splitlines()[0] if note.is_file() else "none stated"
    return [Film(path, path.stem, licence) for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES]


@dataclass(frozen=True)
class _Task:
    """What is made in one go. ``family``: the forging; without one the ``piece`` is taken untouched, or, where
    that is negative, the film as it was found.
    """

    key: str
    film: Film
    piece: int = 0
    family: str = ""


def _tasks(plan: TalkingPlan, films: list[Film]) -> Iterator[_Task]:
    """In an order that makes every part of the work a balanced set."""
    heads = [film for film in films if film.face]
    families: dict[str, TalkingFamily] = walk(talking, plan.only)
    ready = [name for name, one in families.items() if not one.card.missing(plan.weights)]
    for turn in range(len(ready) if plan.limit is None else min(plan.limit, len(ready))):
        for i, film in enumerate(heads):
            name = ready[(turn + i) % len(ready)]
            yield _Task(f"{film.person}-0-{name}", film, 0, name)
        for film in films:
            if turn < plan.pieces and film.label == "bona_fide" and (film.face or turn == 0):
                yield _Task(f"{film.person}-{turn}-{NONE}", film, turn)
    for film in films:
        if plan.public and film.label == "manipulated":
            yield _Task(f"{film.person}-0-public", film)
    for film in films:
        if film.label == "bona_fide":
            yield _Task(f"{film.person}-original", film, -1)


def _make(work: tuple[TalkingPlan, list[Film], dict[str, str], _Task]) -> tuple[str, list[TalkingRow]]:
    """One task, in a worker."""
    plan, films, halves, task = work
    if task.family:
        family: TalkingFamily = walk(talking, (task.family,))[task.family]
        heads = [film for film in films if film.face]
        return task.key, list(_forged(plan, task.film, heads, halves, family, task.key))
    if task.piece < 0:
        return task.key, list(_original(plan, task.film, halves))
    return task.key, list(_untouched(plan, task.film, task.piece, halves, task.key))


def _start() -> None:
    cv2.setNumThreads(1)


def _original(plan: TalkingPlan, film: Film, halves: dict[str, str]) -> Iterator[TalkingRow]:
    target = plan.out / "original" / f"{film.person}{film.path.suffix.lower()}"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(film.path, target)
    base = _base(film, halves, film.path.name)
    yield _row(plan, target, "original", 0.0, base)


def _untouched(plan: TalkingPlan, film: Film, piece: int, halves: dict[str, str], key: str) -> Iterator[TalkingRow]:
    frames, fps, sound = read_clip(film.path, piece * plan.seconds, plan.seconds)
    if len(frames) < LEAST_SECONDS * fps:
        return
    base = _base(film, halves, f"{film.path.name}#{piece}")
    yield from _copies(plan, key, Talking(frames, fps, sound, NOBODY), base)


def _base(film: Film, halves: dict[str, str], parent: str) -> dict[str, Any]:
    unknown = film.label == "manipulated"
    return {
        "label": film.label,
        "family": film.method,
        "methods": "unseen" if unknown else "",
        "person": film.person,
        "half": halves.get(film.person, "test" if unknown else half_of(film.person)),
        "kind": "talking head" if film.face or (unknown and "cogvideo" not in film.method) else "other",
        "parent": parent,
        "licence": film.licence,
    }


def _forged(
    plan: TalkingPlan, film: Film, heads: list[Film], halves: dict[str, str], family: TalkingFamily, key: str
) -> Iterator[TalkingRow]:
    name, rng = family.card.id, seeded(plan.seed, "talking", key)
    parent = opened(film.path, plan.seconds, plan.out)
    others = [h for h in heads if h.person != film.person and halves[h.person] == halves[film.person]]
    other = others[int(rng.integers(len(others)))]
    seconds = float(len(parent.frames) / parent.fps)
    partial = bool(rng.random() < 0.5) and name not in WHOLE_ONLY and seconds >= 2 * LEAST_STRETCH
    first, last = stretch_of(rng, len(parent.frames), float(parent.fps), partial)
    speech = other_speech(plan.kit, halves[film.person], seconds, rng)
    job = TalkingJob(parent, opened(other.path, plan.seconds, plan.out), speech, first, last, rng, plan.weights)
    for made in family.forge(job):
        frames = parent.frames if made.frames is None else made.frames
        sound = parent.sound if made.sound is None else made.sound
        row = {
            **_base(film, halves, f"{film.path.name}#0"),
            "label": "manipulated",
            "family": name,
            "methods": "seen" if name in SEEN else "unseen",
            "start": f"{job.stretch[0]:.3f}",
            "end": f"{job.stretch[1]:.3f}",
            "partial": "yes" if partial else "no",
            "offset": "" if made.offset is None else f"{made.offset:.3f}",
            "donor": other.person if name.startswith(("swap", "reenact")) else "",
            "generator": made.generator,
        }
        yield from _copies(plan, key, Talking(frames, parent.fps, sound, parent.head), row)


def _copies(plan: TalkingPlan, key: str, made: Talking, base: dict[str, Any]) -> Iterator[TalkingRow]:
    """The clip at every compression; the encoders, one thread each, run side by side."""
    targets = {name: plan.out / name / f"{key}.mp4" for name in COMPRESSIONS}
    with ThreadPoolExecutor(len(COMPRESSIONS)) as pool:
        writing = [
            pool.submit(write_clip, targets[name], made.frames, made.fps, made.sound, how)
            for name, how in COMPRESSIONS.items()
        ]
        for one in writing:
            one.result()
    for name, target in targets.items():
        yield _row(plan, target, name, float(len(made.frames) / made.fps), base)


def _row(plan: TalkingPlan, target: Path, compression: str, seconds: float, base: dict[str, Any]) -> TalkingRow:
    data = target.read_bytes()
    return TalkingRow(
        **base,
        path=str(target.relative_to(plan.out)),
        compression=compression,
        seconds=round(seconds, 3),
        seed=plan.seed,
        bytes=len(data),
        sha256=digest(data),
    )


def stretch_of(rng: np.random.Generator, frames: int, fps: float, partial: bool) -> tuple[int, int]:
    """The frames to forge: all, or a random stretch of at least `LEAST_STRETCH` seconds and at most half."""
    if not partial:
        return 0, frames
    least = round(LEAST_STRETCH * fps)
    length = int(rng.integers(least, max(least + 1, frames // 2)))
    first = int(rng.integers(0, frames - length + 1))
    return first, first + length


@lru_cache(maxsize=12)
def opened(path: Path, seconds: float, out: Path) -> Talking:
    """The first piece of a film with its face followed; the meshes are kept in the set's folder."""
    frames, fps, sound = read_clip(path, 0.0, seconds)
    kept = out / ".heads" / f"{path.stem}-{len(frames)}.npz"
    if kept.is_file():
        with np.load(kept, allow_pickle=False) as data:
            return Talking(frames, fps, sound, Head(**{key: data[key] for key in data.files}))
    try:
        head = follow(frames)
    except ValueError as error:
        raise LabError("talking.face", f"{path.name}: {error}; leave it out.") from error
    kept.parent.mkdir(parents=True, exist_ok=True)
    np.savez(kept, mesh=head.mesh, keypoints=head.keypoints, size=head.size, seen=head.seen)
    return Talking(frames, fps, sound, head)


def other_speech(kit: Path, half: str, seconds: float, rng: np.random.Generator) -> Sound:
    """Recorded speech of one of the kit's sources of that half, several clips joined with short rests; 16 kHz."""
    by_source: dict[str, list[str]] = {}
    with (kit / "manifest-audio.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            source = Path(row["path"]).parent.name
            if row["label"] == "real" and half_of(source) == half:
                by_source.setdefault(source, []).append(row["path"])
    names = sorted(name for name, paths in by_source.items() if len(paths) >= 4)
    if not names:
        raise LabError("manifest.empty", f"{kit} names no speech for the {half} half.")
    paths = by_source[names[int(rng.integers(len(names)))]]
    parts: list[Sound] = []
    for i in rng.permutation(len(paths)):
        parts += [_even(trimmed(resampled(*read_sound(kit / paths[int(i)])))), np.zeros(RATE // 8, np.float32)]
        if sum(part.size for part in parts) >= seconds * RATE:
            break
    wave = np.concatenate(parts)[: int(seconds * RATE)]
    return np.pad(wave, (0, int(seconds * RATE) - wave.size))


def _even(wave: Sound) -> Sound:
    return np.asarray(wave * 0.08 / (float(np.sqrt(np.mean(wave**2))) + 1e-6), np.float32).clip(-1, 1)


class _Table:
    """The manifest as it grows. A key stands for what is made in one go; what is there already is not made again."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self.rows = read(self.path) if self.path.is_file() else []
        self.done_path = folder / ".done"
        self.done = set(self.done_path.read_text("utf-8").split()) if self.done_path.is_file() else set()

    def add(self, key: str, rows: list[TalkingRow]) -> list[TalkingRow]:
        """What was made in one go, noted even where nothing came of it; returns ``rows``."""
        again = {row.path for row in rows}
        self.rows = [row for row in self.rows if row.path not in again] + rows
        self.done.add(key)
        self.write()
        return rows

    def write(self) -> None:
        """The whole table and the list of what is made."""
        text = io.StringIO()
        writer = csv.DictWriter(text, [f.name for f in fields(TalkingRow)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in self.rows)
        write_whole(self.path, text.getvalue().encode())
        write_whole(self.done_path, "\n".join(sorted(self.done)).encode())


def read(path: Path) -> list[TalkingRow]:
    """Rows of a manifest, or of the one in a folder.

    Raises:
        LabError: missing, or not such a manifest.
    """
    path = path / NAME if path.is_dir() else path
    try:
        with path.open(newline="") as file:
            return [_typed(dict(row)) for row in csv.DictReader(file)]
    except (OSError, TypeError, KeyError, ValueError) as error:
        raise LabError("talking.manifest", f"{path} is no manifest of forged talking heads ({error}).") from error


def _typed(row: dict[str, Any]) -> TalkingRow:
    numbers = {"seconds": float(row["seconds"]), "seed": int(row["seed"]), "bytes": int(row["bytes"])}
    return TalkingRow(**{**row, **numbers})
