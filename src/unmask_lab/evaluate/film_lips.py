"""`video.lipsync` at known offsets: the sound of people who speak is moved, and the offset that is found compared.

Who speaks, and how late the sound truly is, says the recipe (`unmask_lab.train.recipes.video_lipsync`); the films come
from a set made by ``unmask-lab forge-talking``. Each person is left out of the fit in turn. Beside the error of the
offset: how well the true sound is told from other moments' and other people's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from unmask.detectors.video_lipsync.agreement import compare
from unmask.detectors.video_lipsync.prepare import Prepared, prepared
from unmask.detectors.video_lipsync.sound import RATE, STEPS
from unmask.films.closeup import CloseLook
from unmask.media.sniff import Sniffed
from unmask.media.sound import Sound
from unmask.subject import Subject
from unmask_lab.errors import LabError
from unmask_lab.evaluate import metrics
from unmask_lab.forge.talking import making
from unmask_lab.forge.talking.making import TalkingRow
from unmask_lab.train.recipes import video_lipsync as recipe
from unmask_lab.train.recipes.video_lipsync import Talker

COPIES = ("original", "light", "medium", "heavy")
LENGTHS = (8.0, 4.0)
SHIFTS = (-400, -300, -200, -100, 0, 100, 200, 300, 400)
TREMBLE = 12.0
"""Milliseconds by which a shift may differ from its nominal value, so that not all fall upon whole steps."""

CLOSE = 0.08
EVERY = 100
"""Steps of 1/40 s between the moments of foreign sound that are tried."""

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Speaker:
    """One film of one person who speaks, followed frame by frame. ``late``: seconds by which its sound truly comes
    after the picture.
    """

    row: TalkingRow
    path: Path
    look: CloseLook
    late: float

    def stretch(self, start: float, length: float) -> CloseLook:
        """The part of the look between two seconds of it."""
        times = self.look.times - self.look.times[0]
        kept = (times >= start) & (times < start + length)
        look = self.look
        return replace(look, times=look.times[kept], mesh=look.mesh[kept], presence=look.presence[kept])

    @property
    def length(self) -> float:
        """Seconds that it was followed."""
        return float(self.look.times[-1] - self.look.times[0])


@dataclass(frozen=True)
class Shifted:
    """One comparison. ``shift``: milliseconds; ``error``: seconds, of the offset found; ``chance``, ``peak``: as
    `unmask.detectors.video_lipsync.agreement.Agreement` has them; ``stretch``: which part of which film.
    """

    copy: str
    length: float
    person: str
    stretch: str
    shift: float
    error: float
    chance: float
    peak: float


@dataclass(frozen=True)
class Foreign:
    """A mouth against sound that is not its own. ``own``: the same person's, at another moment."""

    copy: str
    length: float
    own: bool
    chance: float
    peak: float


@dataclass(frozen=True)
class Lips:
    """All that was measured."""

    shifted: tuple[Shifted, ...]
    foreign: tuple[Foreign, ...]


@dataclass(frozen=True)
class _Track:
    """Stands for a film's sound track."""

    sound: Sound


@dataclass(frozen=True)
class _Moved:
    """Stands for a film whose sound was moved."""

    path: Path
    sniffed: Sniffed
    audio: _Track


def speakers(folder: Path, looks: Path) -> Iterator[Speaker]:
    """The set's films of people whose true offset is known; what is followed is kept in ``looks``.

    Raises:
        LabError: ``eval.no_speakers``: fewer than three such people, so that nobody can be left out of the fit.
    """
    known = {name.rpartition("/")[2]: late for name, late in recipe.PEOPLE.items()}
    rows = [row for row in making.read(folder) if row.person in known and _own_sound(row)]
    if len({row.person for row in rows}) < 3:
        raise LabError("eval.no_speakers", f"{folder} has films of fewer than three people whose offset is known.")
    for row in rows:
        look = _followed(folder / row.path, looks / f"{row.sha256[:16]}.npz")
        if look is not None:
            yield Speaker(row, folder / row.path, look, known[row.person])


def _own_sound(row: TalkingRow) -> bool:
    """An untouched film, or a public one whose lips follow the true sound."""
    return row.compression in COPIES and (not row.forged or row.family.startswith("public:"))


def _followed(path: Path, kept: Path) -> CloseLook | None:
    """The face that the detector would look at first, without its pixels."""
    if kept.is_file():
        with np.load(kept, allow_pickle=False) as data:
            one = {name: data[name] for name in data.files}
    else:
        subject = Subject(path)
        found = subject.close_looks[:1] if subject.video.has_audio else ()
        empty: dict[str, NDArray[np.generic]] = {"times": np.zeros(0), "mesh": np.zeros((0, 468, 3), np.float32)}
        one = {"times": found[0].times, "mesh": found[0].mesh, "presence": found[0].presence} if found else empty
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, **one)
    if len(one["times"]) < 2:
        return None
    size = float(np.nanmedian(np.ptp(one["mesh"][:, :, 0], axis=1)))
    return CloseLook(1, one["times"], one["mesh"], one["presence"], np.zeros((0, 0, 0, 3), np.uint8), size, 1.0)


def measure(found: Sequence[Speaker], seed: int = 3) -> Lips:
    """Every stretch of every film against its own sound at all shifts, and against foreign sound."""
    p, rng = recipe.parameters(), np.random.default_rng(seed)
    best = {name: _talker(_first(found, name), p) for name in sorted({one.row.person for one in found})}
    people = [one for one in best.values() if one is not None]
    tables = {name: recipe.fit([one for one in people if one.name != name]) for name in best}
    shifted: list[Shifted] = []
    foreign: list[Foreign] = []
    for one in sorted(found, key=lambda s: (COPIES.index(s.row.compression), s.row.path)):
        table = tables[one.row.person]
        for length in LENGTHS:
            for start in np.arange(0.0, one.length - length + 0.3, length):
                look = one.stretch(float(start), length)
                shifted += _shifted(one, look, (length, float(start)), p, table, rng)
                foreign += _foreign(one, look, length, p, table, people)
    return Lips(tuple(shifted), tuple(foreign))


def _first(found: Sequence[Speaker], name: str) -> Speaker:
    """The person's longest film among those of the best copy."""
    return min((s for s in found if s.row.person == name), key=lambda s: (COPIES.index(s.row.compression), -s.length))


def _talker(one: Speaker, p: Mapping[str, float]) -> Talker | None:
    made = prepared(Subject(one.path), one.look, p)
    return None if made is None else Talker(one.row.person, made.mouth, made.sound, made.first, round(one.late * STEPS))


def _moved(one: Speaker, look: CloseLook, milliseconds: float, p: Mapping[str, float]) -> Prepared | None:
    """The stretch with its sound moved; positive: later."""
    subject = Subject(one.path)
    wave = subject.audio.mono(RATE)
    late = round(milliseconds * RATE / 1000)
    moved = np.zeros_like(wave)
    if late >= 0:
        moved[late:] = wave[: wave.size - late]
    else:
        moved[:late] = wave[-late:]
    return prepared(cast(Subject, _Moved(one.path, subject.sniffed, _Track(Sound.of(moved, RATE)))), look, p)


def _shifted(
    one: Speaker,
    look: CloseLook,
    place: tuple[float, float],
    p: Mapping[str, float],
    table: Float,
    rng: np.random.Generator,
) -> Iterator[Shifted]:
    for nominal in SHIFTS:
        shift = nominal + (float(rng.uniform(-TREMBLE, TREMBLE)) if nominal else 0.0)
        true = one.late + shift / 1000 - p["usual_offset"]
        made = _moved(one, look, shift, p) if abs(true) < p["most_offset"] - 0.01 else None
        if made is not None:
            said = compare(made.mouth, made.sound, made.first, p, table)
            yield Shifted(
                copy=one.row.compression,
                length=place[0],
                stretch=f"{one.row.parent} {place[1]:.0f}",
                person=one.row.person,
                shift=nominal,
                error=said.offset - true,
                chance=said.chance,
                peak=said.peak,
            )


def _foreign(
    one: Speaker, look: CloseLook, length: float, p: Mapping[str, float], table: Float, people: Sequence[Talker]
) -> Iterator[Foreign]:
    made = _moved(one, look, 0.0, p)
    if made is None:
        return
    rows, n = len(made.sound), len(made.mouth)
    for start in range(EVERY, rows - EVERY + 1, EVERY):
        said = compare(made.mouth, made.sound, (made.first + start) % rows, p, table)
        yield Foreign(one.row.compression, length, True, said.chance, said.peak)
    for other in people:
        if other.name != one.row.person and len(other.sound) >= n:
            for start in range(0, len(other.sound), EVERY):
                said = compare(made.mouth, other.sound, start, p, table)
                yield Foreign(one.row.compression, length, False, said.chance, said.peak)


def blocks(found: Lips, p: Mapping[str, float] | None = None) -> Iterator[str]:
    """Both tables as Markdown."""
    p = recipe.parameters() if p is None else p
    yield "\n".join(_errors(found.shifted, p))
    yield "\n".join(_against_foreign(found, p))


def _errors(shifted: Sequence[Shifted], p: Mapping[str, float]) -> Iterator[str]:
    yield (
        "| copy | length | people / stretches / shifts | median error | 90th percentile | within 80 ms | "
        "says that they agree | of those within 80 ms |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for copy in COPIES:
        for length in LENGTHS:
            some = [one for one in shifted if (one.copy, one.length) == (copy, length)]
            if some:
                yield _error_row(copy, length, some, p)


def _error_row(copy: str, length: float, some: Sequence[Shifted], p: Mapping[str, float]) -> str:
    error = np.abs([one.error for one in some])
    sure = np.array([one.chance <= p["agree_below"] for one in some])
    people, stretches = {one.person for one in some}, {one.stretch for one in some}
    median, most = (1000 * np.quantile(error, q) for q in (0.5, 0.9))
    of_those = f"{(error[sure] <= CLOSE).mean():.0%}" if sure.any() else "–"
    return (
        f"| {copy} | {length:.0f} s | {len(people)} / {len(stretches)} / {len(some)} | {median:.0f} ms "
        f"| {most:.0f} ms | {(error <= CLOSE).mean():.0%} | {sure.mean():.0%} | {of_those} |"
    )


def _against_foreign(found: Lips, p: Mapping[str, float]) -> Iterator[str]:
    yield "| true sound against foreign | length | copy | AUC | true / foreign | foreign called agreeing |"
    yield "|---|---|---|---|---|---|"
    for copy in COPIES:
        for length in LENGTHS:
            true = [o.peak for o in found.shifted if (o.copy, o.length, o.shift) == (copy, length, 0)]
            for own, name in ((True, "own sound at least 2.5 s off"), (False, "another person's sound")):
                other = [o for o in found.foreign if (o.copy, o.length, o.own) == (copy, length, own)]
                if true and other:
                    values = np.array([*true, *(o.peak for o in other)])
                    area = metrics.auc(values, np.arange(len(values)) < len(true))
                    loud = np.mean([o.chance <= p["agree_below"] for o in other])
                    cells = f"{area:.2f} | {len(true)} / {len(other)} | {loud:.0%}"
                    yield f"| {name} | {length:.0f} s | {copy} | {cells} |"
