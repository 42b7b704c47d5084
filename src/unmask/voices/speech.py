"""Where somebody speaks: Silero's voice activity detector (MIT), run over 16 kHz sound.

The network reads 32 ms at a time, each with the 4 ms before it, and carries its state from one to the next.
Stretches are cut with a hysteresis: speech begins above one probability and ends below a lower one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unmask.media.sound import Sound, Wave
from unmask.models.runtime import open_model

MODEL = "silero-vad-1"
RATE = 16000
STEP = 512
"""Samples of one decision."""

SEARCHED_SECONDS = 3600
"""Speech is looked for in so much of a recording, from its start."""

_CONTEXT = 64
_BLOCK = 32  # decisions of one inference
_STATE = (1, 1, 128)
_LOUD = 0.1  # the loudest tenth of a second is brought to this root mean square


@dataclass(frozen=True)
class Cut:
    """How probabilities become stretches: begin above ``start``, end below ``stop`` (0..1); seconds elsewhere."""

    start: float = 0.3
    stop: float = 0.15
    shortest: float = 0.25
    gap: float = 0.3
    pad: float = 0.1


@dataclass(frozen=True)
class Speech:
    """Voice activity of a recording.

    ``probability``: (n,) 0..1, one value for each 32 ms. ``segments``: (start, end) in seconds, in order, not
    touching. ``duration``: seconds of the recording that was searched.
    """

    probability: NDArray[np.float32]
    segments: tuple[tuple[float, float], ...]
    duration: float

    @property
    def seconds(self) -> float:
        """How long somebody speaks."""
        return float(sum(end - start for start, end in self.segments))


def speech_of(sound: Sound, cut: Cut | None = None) -> Speech:
    """Find speech in sound at 16 kHz.

    Raises:
        ModelError: the model is missing, altered, or gives other numbers on this machine.
        DamagedMedia: the sound cannot be decoded.
    """
    probability = speech_probability(sound)
    return Speech(probability, cut_segments(probability, sound.seconds, cut or Cut()), sound.seconds)


def speech_probability(sound: Sound) -> NDArray[np.float32]:
    """(n,) probabilities of speech, one for each 512 samples; the last stretch is filled up with silence.

    Raises:
        As `speech_of`.
    """
    steps = -(-sound.size // STEP)
    if not steps:
        return np.zeros(0, np.float32)
    model, gain = open_model(MODEL), _gain(sound.level.power)
    h = c = np.zeros(_STATE, np.float32)
    out = []
    for frames in _frames(sound, gain):
        answer = model.run({"input": frames, "h": h, "c": c})
        h, c = answer["hn"], answer["cn"]
        out.append(answer["speech_probs"])
    return np.concatenate(out)[:steps]


def _frames(sound: Sound, gain: np.float32) -> Iterator[Wave]:
    """(`_BLOCK`, context and step) samples of so many decisions; silence before and after the sound."""
    missing = _CONTEXT
    for piece in sound.pieces(_BLOCK * STEP, before=_CONTEXT):
        filled = np.zeros(_CONTEXT + _BLOCK * STEP, np.float32)
        filled[missing : missing + piece.size] = piece * gain
        missing = 0
        yield np.lib.stride_tricks.sliding_window_view(filled, _CONTEXT + STEP)[::STEP]


def _gain(power: Wave) -> np.float32:
    """What brings quiet recordings to an ordinary level, judged by their loudest parts; near silence is left alone."""
    if not power.size:
        return np.float32(1)
    loud = float(np.percentile(np.sqrt(power), 95))
    return np.float32(_LOUD / loud) if loud > 1e-4 else np.float32(1)


def cut_segments(probability: NDArray[np.float32], duration: float, cut: Cut) -> tuple[tuple[float, float], ...]:
    """Stretches (start, end) in seconds from one probability for each 32 ms.

    Pauses shorter than ``cut.gap`` do not end a stretch, stretches shorter than ``cut.shortest`` are dropped, the
    rest is widened by ``cut.pad`` on both sides; stretches that touch then are joined.
    """
    second = STEP / RATE
    found: list[list[float]] = []
    for first, last in _above(probability, cut):
        start, end = first * second, last * second
        if found and start - found[-1][1] < cut.gap:
            found[-1][1] = end
        else:
            found.append([start, end])
    wide = [(max(0.0, a - cut.pad), min(duration, b + cut.pad)) for a, b in found if b - a >= cut.shortest]
    return tuple(_joined(wide))


def _above(probability: NDArray[np.float32], cut: Cut) -> list[tuple[int, int]]:
    """Runs [first, last) that begin at ``cut.start`` and last until the value falls below ``cut.stop``."""
    runs: list[tuple[int, int]] = []
    begun: int | None = None
    for i, value in enumerate(probability.tolist()):
        if begun is None and value >= cut.start:
            begun = i
        elif begun is not None and value < cut.stop:
            runs.append((begun, i))
            begun = None
    if begun is not None:
        runs.append((begun, probability.size))
    return runs


def _joined(stretches: list[tuple[float, float]]) -> list[tuple[float, float]]:
    out: list[tuple[float, float]] = []
    for start, end in stretches:
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out
