"""The two questions that take long: a frame for image.synthetic, two seconds of sound for voice.synthetic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unmask.card import Card
from unmask.detectors.image_synthetic.detector import ask, flat_share
from unmask.detectors.image_synthetic.views import bounded
from unmask.detectors.voice_synthetic.windows import SECONDS, held_speech, listen
from unmask.media.sound import Sound
from unmask.report import Reason
from unmask.voices.speech import RATE, speech_of

HEARD_SECONDS = 6.0
"""Sound that a window is cut from: enough around it for the voice activity detector and the filter."""

_MARGIN = 0.5


@dataclass(frozen=True)
class Moment:
    """An answer to one question: ``score`` raw, or why there is none. ``time``: seconds."""

    question: str
    time: float
    score: float | None
    reason: Reason | None = None
    stratum: str | None = None


def ask_frame(card: Card, time: float, rgb: NDArray[np.uint8]) -> Moment:
    """image.synthetic about one (h, w, 3) frame, as it is asked about a film's.

    Raises:
        ModelError: no network can be used on this machine.
    """
    p = card.parameters
    if min(rgb.shape[:2]) < card.min_side:
        return _none(card, time, "synthetic.too_small", f"The picture is smaller than {card.min_side} pixels a side.")
    if max(rgb.shape[:2]) > p["longest_shape"] * min(rgb.shape[:2]):
        return _none(card, time, "synthetic.odd_shape", "The picture is too long and narrow.")
    pixels = bounded(rgb)
    if flat_share(pixels) > p["most_flat"]:
        return _none(card, time, "synthetic.flat", "The picture is mostly flat areas: no photographic texture.")
    answer = ask(pixels)
    if answer.distance > p[f"drift_limit_{answer.stratum}"]:
        return _none(card, time, "drift.unlike_training", "The picture is unlike all that the networks know.")
    return Moment(card.id, time, answer.raw, stratum=answer.stratum)


def ask_voice(card: Card, time: float, wave: NDArray[np.float32]) -> Moment:
    """voice.synthetic about the two seconds before the last half of (n,) sound at 16 kHz.

    Raises:
        ModelError: a network cannot be used on this machine.
    """
    p = card.parameters
    if wave.size < (SECONDS + 2 * _MARGIN) * RATE:
        return _none(card, time, "voice.too_short", "Too little sound so far.")
    if float(np.abs(wave).max()) < p["silence_level"]:
        return _none(card, time, "voice.silent", "The sound is silent.")
    start = np.array([wave.size / RATE - SECONDS - _MARGIN])
    sound = Sound.of(wave, RATE)
    speech = speech_of(sound)
    if float(held_speech(speech, start)[0]) < p["least_speech"]:
        return _none(card, time, "voice.no_speech", "Nobody speaks.")
    first = int(start[0] * len(speech.probability) / max(1e-9, speech.duration))
    clear = float((speech.probability[first:] >= p["clear_speech"]).mean())
    if clear < p["least_clear_share"]:
        return _none(card, time, "voice.not_clear", "What sounds like speech is not clear.")
    heard = listen(sound, start, 1)
    if float(heard.distance[0]) > p["drift_limit"]:
        return _none(card, time, "drift.unlike_training", "The voice is unlike all that the network knows.")
    return Moment(card.id, time, float(heard.score[0]))


def _none(card: Card, time: float, code: str, text: str) -> Moment:
    return Moment(card.id, time, None, Reason(code=code, text=text))
