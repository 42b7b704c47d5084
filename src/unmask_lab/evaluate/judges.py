"""Whatever can score a file: an installed detector, a model folder, a third party's command, a trivial fact.

A judge takes files and yields one `Opinion` for each, in their order. Larger scores mean more synthetic or manipulated.
"""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unmask.card import Card, find_cards
from unmask.errors import UnmaskError
from unmask.execution.work import run_one
from unmask.models.store import ModelCard, read_model_card
from unmask.options import Options
from unmask.subject import Subject
from unmask.voices.neutral import RATE
from unmask_lab.errors import LabError
from unmask_lab.evaluate.results import BASELINE
from unmask_lab.launder import ladder

TIMEOUT = 60.0
BATCH, LIST = 32, 1000
SCORE_KEYS = ("score", "raw_score", "probability", "ai_probability", "fake_probability", "likelihood_ratio")
PLACE = "{}"


@dataclass(frozen=True)
class Opinion:
    """A number, or why there is none (``status`` other than ``ok``, ``raw`` NaN)."""

    raw: float
    status: str = "ok"
    seconds: float = math.nan
    stratum: str = ""


class Judge(Protocol):
    """Scores files of one kind of media."""

    @property
    def name(self) -> str:
        """What the table calls it."""

    @property
    def batch(self) -> int:
        """How many files it is given at once; after each batch the table is written."""

    def score(self, paths: Sequence[Path]) -> Iterator[Opinion]:
        """One opinion a file, in order. Raises `LabError` where it cannot work at all."""


class DetectorJudge:
    """An installed detector, by id; what it declines is told, not scored."""

    batch = BATCH

    def __init__(self, detector: str) -> None:
        found = [card for card in find_cards() if card.id == detector]
        if not found:
            known = ", ".join(card.id for card in find_cards() if card.scored)
            raise LabError("eval.detector", f"There is no detector {detector!r}; scored are: {known}.")
        self._card: Card = found[0]
        self.name = detector

    def score(self, paths: Sequence[Path]) -> Iterator[Opinion]:
        """The raw score of each finding; ``declined:code`` and the like where there is none."""
        for path in paths:
            subject = Subject(path)
            try:
                fits = self._card.accepts(subject.kind, subject.format)
            except UnmaskError as error:
                yield Opinion(math.nan, f"failed:{error.code}")
                continue
            if not fits:
                yield Opinion(math.nan, "not_applicable:card")
                continue
            finding = run_one(self._card, subject, Options())
            if finding.status == "ok" and finding.raw_score is not None:
                yield Opinion(finding.raw_score, "ok", finding.seconds, finding.stratum or "")
            else:
                yield Opinion(math.nan, f"{finding.status}:{finding.reason.code}", finding.seconds)


class ModelJudge:
    """A model folder that takes one picture or one wave: the whole subject, brought to the input's size.

    Pictures are resized to the input's height and width, RGB in 0..1, in the layout of the input; recordings are
    16 kHz, one channel, cut or repeated to its length. One output number is the score; of two the second less the
    first. A model that needs more than that is scored by its detector.
    """

    batch = BATCH

    def __init__(self, folder: Path) -> None:
        from unmask.models.runtime import open_card

        try:
            card = read_model_card(folder.resolve())
            self._prepare = _preparation(card)
            self._session = open_card(card)
        except LabError:
            raise
        except UnmaskError as error:
            raise LabError("eval.model", f"The model folder {folder} cannot be used: {error.text}") from error
        self.name = card.name

    def score(self, paths: Sequence[Path]) -> Iterator[Opinion]:
        """The first output's number."""
        for path in paths:
            try:
                inputs = self._prepare(path)
            except LabError as error:
                yield Opinion(math.nan, f"failed:{error.code}")
                continue
            started = time.perf_counter()
            outputs = self._session.infer(inputs)
            seconds = time.perf_counter() - started
            values = next(iter(outputs.values())).ravel()
            raw = float(values[0] if len(values) == 1 else values[1] - values[0])
            if not math.isfinite(raw):
                raise LabError("eval.not_a_number", f"The model {self.name} gave {raw} for {path.name}.")
            yield Opinion(raw, "ok", seconds)


def _preparation(card: ModelCard) -> Callable[[Path], dict[str, NDArray[np.float32]]]:
    """How a file becomes the model's input. Raises `LabError` ``eval.model`` where it is not clear from the shapes."""
    shape = card.inputs[0].shape
    numbers = math.prod(card.outputs[0].shape)
    if len(card.inputs) != 1 or numbers > 2:
        raise LabError(
            "eval.model",
            f"{card.name} has {len(card.inputs)} inputs and a first output of {numbers} numbers; alone only a model of "
            "one input and one or two numbers can be scored. Evaluate the detector that uses it: --detector ID.",
        )
    name = card.inputs[0].name
    if len(shape) == 4 and 3 in (shape[1], shape[3]):
        first = shape[1] == 3
        height, width = (shape[2], shape[3]) if first else (shape[1], shape[2])
        return lambda path: {name: _picture(path, height, width, first)}
    if len(shape) in (1, 2) and shape[-1] >= RATE // 4:
        return lambda path: {name: _wave(path, shape[-1]).reshape(shape)}
    raise LabError("eval.model", f"{card.name} takes {shape}, neither one RGB picture nor one wave at 16 kHz.")


def _picture(path: Path, height: int, width: int, channels_first: bool) -> NDArray[np.float32]:
    import cv2

    pixels = cv2.resize(ladder.read_pixels(path), (width, height), interpolation=cv2.INTER_AREA)
    scaled = np.asarray(pixels[None] / 255, np.float32)
    return scaled.transpose(0, 3, 1, 2) if channels_first else scaled


def _wave(path: Path, length: int) -> NDArray[np.float32]:
    wave = ladder.read_wave(path)
    return np.resize(wave, length) if wave.size < length else wave[:length]


class CommandJudge:
    """A third party's program, run without a shell.

    With ``{}`` in the command it is run once a file, ``{}`` being its path; else once for all files, whose paths come
    on its standard input, one a line. It prints a line a file: ``path score``, or JSON with ``path`` and a score under
    one of `SCORE_KEYS`; run once a file, the last line (or one JSON object) may be the score alone. A score of ``-`` or
    null is an answer that was declined.
    """

    def __init__(self, command: str, name: str = "", timeout: float = TIMEOUT) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise LabError("eval.command", f"The command cannot be read ({error}): {command}") from error
        if not self._words:
            raise LabError("eval.command", "The command is empty.")
        self._each = any(PLACE in word for word in self._words)
        self._timeout = timeout
        self.name = name or Path(self._words[0]).name
        # Whoever reads a list starts once for many files, since most programs load their model first.
        self.batch = BATCH if self._each else LIST

    def score(self, paths: Sequence[Path]) -> Iterator[Opinion]:
        """What the program printed. Raises `LabError` when it crashes, hangs, is not there or prints no scores."""
        if self._each:
            for path in paths:
                started = time.perf_counter()
                out = self._run([word.replace(PLACE, str(path)) for word in self._words], "", self._timeout)
                found = _parse_one(out, path)
                yield _opinion(self.name, path, found, time.perf_counter() - started, out)
            return
        started = time.perf_counter()
        out = self._run(self._words, "".join(f"{path}\n" for path in paths), self._timeout * max(1, len(paths)))
        seconds = (time.perf_counter() - started) / max(1, len(paths))
        scores = _parse_many(out, paths)
        for path in paths:
            yield _opinion(self.name, path, scores.get(str(path), _NOTHING), seconds, out)

    def _run(self, words: list[str], given: str, timeout: float) -> str:
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise LabError("eval.command", f"{words[0]} cannot be started ({error.strerror}).") from error
        try:
            out, err = process.communicate(given, timeout)
        except subprocess.TimeoutExpired as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise LabError("eval.hangs", f"{self.name} gave no answer in {timeout:g} s and was ended.") from error
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
        if process.returncode:
            last = (err.strip() or out.strip() or "it said nothing").splitlines()[-1][:200]
            raise LabError("eval.crashed", f"{self.name} ended with status {process.returncode}: {last}")
        return out


_NOTHING = object()


def _opinion(name: str, path: Path, found: object, seconds: float, out: str) -> Opinion:
    if found is None:
        return Opinion(math.nan, "declined:command", seconds)
    if not isinstance(found, float):
        first = out.strip().splitlines()[0][:120] if out.strip() else "nothing at all"
        raise LabError("eval.nonsense", f"{name} printed no score for {path.name}; it printed: {first}")
    if not math.isfinite(found):
        raise LabError("eval.not_a_number", f"{name} gave {found} for {path.name}, which is no score.")
    return Opinion(found, "ok", seconds)


def _parse_one(out: str, path: Path) -> object:
    """A float, None where declined, `_NOTHING` where there is no score."""
    named = _parse_many(out, [path])
    if str(path) in named:
        return named[str(path)]
    try:
        return _of_json(json.loads(out))
    except ValueError:
        last = out.strip().splitlines()[-1].split() if out.strip() else []
        return _number(last[-1]) if len(last) == 1 else _NOTHING


def _parse_many(out: str, paths: Sequence[Path]) -> dict[str, object]:
    """Scores by path as it was given, or by its plain name where that is unique."""
    wanted = {str(path): str(path) for path in paths}
    names = [path.name for path in paths]
    wanted |= {path.name: str(path) for path in paths if names.count(path.name) == 1} if len(paths) < 5000 else {}
    found: dict[str, object] = {}
    for line in out.splitlines():
        path, value = _of_line(line.strip())
        if path in wanted:
            found[wanted[path]] = value
    return found


def _of_line(line: str) -> tuple[str, object]:
    if line.startswith("{"):
        try:
            told = json.loads(line)
        except ValueError:
            return "", _NOTHING
        return str(told.get("path") or told.get("file") or ""), _of_json(told)
    match = re.fullmatch(r"(.+?)[\s,;]+(\S+)", line)
    return (match[1].strip("\"'"), _number(match[2])) if match else ("", _NOTHING)


def _of_json(told: Any) -> object:
    if isinstance(told, (int, float)) and not isinstance(told, bool):
        return float(told)
    if isinstance(told, Mapping):
        for key in SCORE_KEYS:
            if key in told:
                value = told[key]
                return None if value is None else float(value) if isinstance(value, (int, float)) else _NOTHING
    return _NOTHING


def _number(text: str) -> object:
    if text in ("-", "null", "None"):
        return None
    try:
        return float(text)
    except ValueError:
        return _NOTHING


class BaselineJudge:
    """A trivial fact of the file. Were it far from AUC .50, the set would be unfair."""

    batch = BATCH

    def __init__(self, fact: str) -> None:
        self._fact = _FACTS[fact]
        self.name = BASELINE + fact

    def score(self, paths: Sequence[Path]) -> Iterator[Opinion]:
        """The fact as a number."""
        for path in paths:
            try:
                yield Opinion(self._fact(path))
            except LabError as error:
                yield Opinion(math.nan, f"failed:{error.code}")


def baselines(modality: str) -> list[BaselineJudge]:
    """The trivial facts of one kind of media."""
    names = {
        "image": ("bytes", "bytes_per_pixel", "long_side"),
        "audio": ("bytes", "duration", "loudness", "bandwidth"),
    }
    return [BaselineJudge(name) for name in names.get(modality, ("bytes",))]


def _pixels(path: Path) -> tuple[int, int]:
    height, width = ladder.read_pixels(path).shape[:2]
    return height, width


def bandwidth(wave: NDArray[np.float32]) -> float:
    """The frequency in hertz below which 99 % of the energy above 50 Hz lies."""
    power = np.abs(np.fft.rfft(wave)) ** 2
    hertz = np.fft.rfftfreq(wave.size, 1 / RATE)
    mass = np.cumsum(np.where(hertz > 50, power, 0))
    return float(hertz[min(int(np.searchsorted(mass, 0.99 * mass[-1])), len(hertz) - 1)])


def loudness(wave: NDArray[np.float32]) -> float:
    """Root mean square in dB of full scale."""
    return float(20 * np.log10(np.sqrt(np.mean(wave**2)) + 1e-9))


_FACTS: dict[str, Callable[[Path], float]] = {
    "bytes": lambda path: float(path.stat().st_size),
    "bytes_per_pixel": lambda path: path.stat().st_size / math.prod(_pixels(path)),
    "long_side": lambda path: float(max(_pixels(path))),
    "duration": lambda path: ladder.read_wave(path).size / RATE,
    "loudness": lambda path: loudness(ladder.read_wave(path)),
    "bandwidth": lambda path: bandwidth(ladder.read_wave(path)),
}
