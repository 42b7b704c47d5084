"""The words spoken in a stretch, where the extra ``[words]`` and the model whisper-base are installed.

They help a reader to find and to judge a place; no score rests on them. The recogniser (faster-whisper) runs in a
process of its own with a time limit (`unmask.voices.transcribe`): its failure costs the words and nothing else. What it
returns is text made from a stranger's sound, so it is cleaned and cut here, and escaped by whoever shows it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from unmask.errors import ModelError
from unmask.media.sound import Sound, Wave
from unmask.models.store import check_files, find_model, has_model
from unmask.models.uses import note_use

MODEL = "whisper-base-1"
PACKAGE = "faster_whisper"
RATE = 16000
CONTEXT = 1.5
"""Seconds on both sides of a stretch that the recogniser hears too: a word alone is often misheard."""

LONGEST = 28.0  # seconds; the recogniser takes 30 at once
MOST_CHARACTERS = 400
_MOST_BYTES = 1_000_000
_SLACK = 0.15

Stretch = tuple[float, float]


class WordsError(Exception):
    """The recogniser gave no answer; the text says why."""


@dataclass(frozen=True)
class Word:
    """A word as the recogniser writes it (its space before it), from when to when in seconds."""

    start: float
    end: float
    text: str


@dataclass(frozen=True)
class Quote:
    """What is said in a stretch (seconds); ``text`` is one clean line, empty where nothing was recognised."""

    start: float
    end: float
    text: str


Transcriber = Callable[[Sequence[Wave], float], list[list[Word]]]
"""Waves at 16 kHz and a time limit in seconds to the words of each; raises `WordsError`."""


def transcriber() -> Transcriber | None:
    """The recogniser, or None where the extra or its model is not installed. Nothing is opened."""
    if not has_model(MODEL) or importlib.util.find_spec(PACKAGE) is None:
        return None
    return transcribed


def quotes(
    sound: Sound, stretches: Sequence[Stretch], most_seconds: float, limit: float, transcribe: Transcriber
) -> list[Quote]:
    """The words spoken in stretches of sound at 16 kHz, in the order of time.

    Args:
        sound: the recording.
        stretches: (start, end) in seconds, the most important first: where their sum with its context passes
            ``most_seconds``, the later ones get no quote, and the last that fits is cut.
        most_seconds: of sound that the recogniser is given.
        limit: seconds by the clock that it may take.
        transcribe: the recogniser.

    Raises:
        WordsError: it gave no answer.
    """
    chosen = _chosen(stretches, most_seconds)
    pieces = _pieces(chosen, sound.seconds)
    if not pieces:
        return []
    answers = transcribe(list(sound.cuts((round(a * RATE), round(b * RATE)) for a, b in pieces)), limit)
    words = [
        Word(first + w.start, first + w.end, w.text)
        for (first, _), found in zip(pieces, answers, strict=True)
        for w in found
    ]
    return [Quote(a, b, _text(words, a, b)) for a, b in sorted(chosen)]


def _chosen(stretches: Sequence[Stretch], most_seconds: float) -> list[Stretch]:
    left, out = most_seconds, []
    for start, end in stretches:
        length = min(end - start, LONGEST - 2 * CONTEXT, left - 2 * CONTEXT)
        if length < min(1.0, end - start):
            break
        out.append((start, start + length))
        left -= length + 2 * CONTEXT
    return out


def _pieces(chosen: Sequence[Stretch], duration: float) -> list[Stretch]:
    """The stretches with their context; those that touch are heard together where the recogniser can take both."""
    out: list[Stretch] = []
    for start, end in sorted(chosen):
        first, last = max(0.0, start - CONTEXT), min(duration, end + CONTEXT)
        if out and first <= out[-1][1] and last - out[-1][0] <= LONGEST:
            out[-1] = (out[-1][0], max(last, out[-1][1]))
        elif last > first:
            out.append((first, last))
    return out


def _text(words: Sequence[Word], start: float, end: float) -> str:
    """The words whose middle lies in the stretch, as one line."""
    inside = [w.text for w in words if start - _SLACK <= (w.start + w.end) / 2 <= end + _SLACK]
    return clean("".join(inside))


def clean(text: str) -> str:
    """One line without control, format (direction marks) and private characters, at most `MOST_CHARACTERS`."""
    kept = "".join(" " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
    line = " ".join(kept.split())
    return line if len(line) <= MOST_CHARACTERS else f"{line[: MOST_CHARACTERS - 1].rstrip()}…"


def transcribed(waves: Sequence[Wave], limit: float) -> list[list[Word]]:
    """Words of each wave, by faster-whisper in a process of its own (see `Transcriber`)."""
    try:
        card = find_model(MODEL)
        check_files(card)
    except ModelError as error:
        raise WordsError(error.text) from error
    note_use(card)
    head = {"model": str(card.folder), "samples": [int(wave.size) for wave in waves]}
    data = [json.dumps(head).encode(), b"\n", *(np.ascontiguousarray(wave, "<f4").tobytes() for wave in waves)]
    return _read(_asked(b"".join(data), limit), len(waves))


def _asked(data: bytes, limit: float) -> bytes:
    """What the process writes to its output for what it gets on its input."""
    quiet = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "unmask.voices.transcribe"],
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=limit,
            env={**os.environ, **quiet},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise WordsError(f"The recogniser took longer than {limit:.0f} s.") from error
    except OSError as error:
        raise WordsError(f"The recogniser could not be started ({error.strerror}).") from error
    if done.returncode:
        raise WordsError("The recogniser stopped without an answer.")
    return done.stdout[:_MOST_BYTES]


def _read(answer: bytes, count: int) -> list[list[Word]]:
    try:
        found = [[Word(float(a), float(b), str(text)) for a, b, text in words] for words in json.loads(answer)]
    except (ValueError, TypeError) as error:
        raise WordsError("The recogniser's answer cannot be read.") from error
    if len(found) != count or not all(np.isfinite([w.start, w.end]).all() for words in found for w in words):
        raise WordsError("The recogniser's answer cannot be read.")
    return found
