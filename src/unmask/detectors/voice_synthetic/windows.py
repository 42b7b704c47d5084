"""Windows over the speech of a recording, and what the network says of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from unmask.media.sound import Sound, Wave
from unmask.models.runtime import open_model
from unmask.voices.neutral import MARGIN, RATE, band_at, level
from unmask.voices.speakers import placed
from unmask.voices.speech import Speech

MODEL = "voice-synthetic-2"
SECONDS = 2.0
HOP = 1.0
SIZE = int(SECONDS * RATE)

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Heard:
    """What the network said: a value for each window, by start in seconds.

    ``score``: log-odds of synthesis. ``distance``: how unlike the training material, 1 is its own limit. ``asked``:
    how many windows hold speech in all; more than were judged where there were too many. ``places``: (n, 64), where
    each window's voice lies among voices (`unmask.voices.speakers`); (0, 64) where that was not asked.
    """

    starts: Numbers
    score: Numbers
    distance: Numbers
    asked: int
    places: Numbers = field(default_factory=lambda: np.zeros((0, 64)))


def places(speech: Speech, least_speech: float) -> Numbers:
    """Starts (seconds) of the windows that hold at least ``least_speech`` seconds of speech; else of the fullest."""
    last = max(0.0, speech.duration - SECONDS)
    starts = np.unique(np.append(np.arange(0.0, last, HOP), last))
    held = held_speech(speech, starts)
    kept = starts[held >= least_speech]
    return kept if kept.size else starts[[int(np.argmax(held))]]


def held_speech(speech: Speech, starts: Numbers) -> Numbers:
    """Seconds of speech in the window at each start."""
    edges = np.asarray(speech.segments, np.float64).reshape(-1, 2)
    times = np.concatenate([[0.0], edges.ravel()])
    steps = np.where(np.arange(edges.size) % 2, np.diff(times), 0.0)
    total = np.concatenate([[0.0], np.cumsum(steps)])
    return np.asarray(np.interp(starts + SECONDS, times, total) - np.interp(starts, times, total))


def listen(sound: Sound, starts: Numbers, most: int) -> Heard:
    """Ask the network about the windows at ``starts`` of sound at 16 kHz; ``most`` of them, evenly spaced.

    Raises:
        ModelError: the model is missing, altered, or gives other numbers on this machine.
        DamagedMedia: the sound cannot be decoded.
    """
    chosen = starts
    if starts.size > most:
        chosen = starts[np.linspace(0, starts.size - 1, most).astype(np.int64)]
    model = open_model(MODEL)
    score, distance, where = [], [], []
    for window in _windows(sound, [round(start * RATE) for start in chosen.tolist()]):
        answer = model.run({"wave": level(window)[None]})
        score.append(float(answer["score"][0]))
        distance.append(float(answer["distance"][0]))
        where.append(placed(answer["layers"]))
    return Heard(
        starts=np.asarray(chosen, np.float64),
        score=np.asarray(score),
        distance=np.asarray(distance),
        asked=int(starts.size),
        places=np.concatenate(where),
    )


def _windows(sound: Sound, firsts: list[int]) -> Iterator[Wave]:
    """Two seconds from each sample in the network's band; a recording that is shorter is repeated, as in training."""
    parts = sound.cuts((first - MARGIN, first + SIZE + MARGIN) for first in firsts)
    for first, part in zip(firsts, parts, strict=True):
        yield np.resize(band_at(part, min(first, MARGIN), SIZE, sound.level.mean), SIZE)


def by_second(heard: Heard) -> tuple[Numbers, Numbers]:
    """Seconds that were judged (their starts) and the mean score of the windows that cover each."""
    first = np.floor(heard.starts + 0.25).astype(np.int64)
    seconds = np.unique(np.concatenate([first, first + 1]))
    totals, counts = np.zeros(seconds.size), np.zeros(seconds.size)
    for shift in (0, 1):
        at = np.searchsorted(seconds, first + shift)
        np.add.at(totals, at, heard.score)
        np.add.at(counts, at, 1)
    return seconds.astype(np.float64), totals / counts


def strongest_run(score: Numbers, length: int) -> float:
    """The largest mean of ``length`` neighbouring windows; of all where there are fewer."""
    if score.size <= length:
        return float(score.mean())
    return float(np.convolve(score, np.ones(length) / length, "valid").max())
