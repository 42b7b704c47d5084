"""Partial fakes: a stretch of a real clip replaced by made speech, cut at quiet moments and matched in level.

Half of them say the parent's own words again (through a vocoder or codec), the others words of text-to-speech; what a
manipulated statement needs. The made stretches are the label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy import signal

from unmask_lab.forge.family import FamilyCard, VoiceJob, VoiceMade, Wave
from unmask_lab.forge.speech import RATE, griffin_lim, levelled, stft, trimmed
from unmask_lab.forge.voices import classical_tts, hibari, hifigan, lyra
from unmask_lab.forge.voices.source_filter import respoken

CARD = FamilyCard(
    id="partial",
    makes="one or two stretches of 0.3-0.9 s in the parent replaced by vocoded, coded or text-to-speech speech",
    licence="that of the replacing family: none, MIT or Apache-2.0",
    regional=True,
    count=260,
)
FADE = 0.008
LEAST_SECONDS = 1.2


def forge(job: VoiceJob) -> Iterator[VoiceMade]:
    """Nothing for clips too short to keep a real part."""
    seconds = job.wave.size / RATE
    if seconds < LEAST_SECONDS:
        return
    name, made = _replacement(job)
    wave = job.wave.copy()
    segments: list[tuple[float, float]] = []
    for _ in range(1 if seconds < 2.5 or job.rng.random() < 0.7 else 2):
        start, stop = _stretch(job.wave, job.rng)
        if all(stop + 0.1 < a or start - 0.1 > b for a, b in segments):
            wave = _put(wave, made, start, stop, job.rng)
            segments.append((start, stop))
    yield VoiceMade(wave, f"partial: {name}", tuple(sorted(segments)))


def _replacement(job: VoiceJob) -> tuple[str, Wave]:
    """The parent respoken, or a sentence, by a maker that can be used here."""
    makers = list(_makers(job.weights).items())
    name, make = makers[int(job.rng.integers(len(makers)))]
    return name, make(job)


def _makers(weights: Path) -> dict[str, Callable[[VoiceJob], Wave]]:
    makers: dict[str, Callable[[VoiceJob], Wave]] = {
        "source-filter": lambda job: respoken(job.wave, job.rng),
        "Griffin-Lim": lambda job: griffin_lim(np.abs(stft(job.wave, 800, 200)), 800, 200, job.wave.size, job.rng),
    }
    if not hifigan.CARD.missing(weights):
        makers["HiFi-GAN"] = lambda job: hifigan.vocoded(job.wave, job.weights)
    if not lyra.CARD.missing(weights):
        makers["Lyra v2"] = lambda job: lyra.coded(job.wave, 30, job.weights)
    for tts in (hibari, classical_tts):
        if not tts.CARD.missing(weights):
            makers[tts.CARD.id] = _first(tts.forge)
    return makers


def _first(forge: Callable[[VoiceJob], Iterator[VoiceMade]]) -> Callable[[VoiceJob], Wave]:
    return lambda job: trimmed(next(forge(job)).wave)


def _stretch(wave: Wave, rng: np.random.Generator) -> tuple[float, float]:
    """Start and end in seconds, each moved to the quietest moment near."""
    length = float(rng.uniform(0.3, 0.9))
    start = float(rng.uniform(0.15, wave.size / RATE - length - 0.15))
    power = signal.convolve(wave.astype(np.float64) ** 2, np.ones(160) / 160, "same")

    def quiet(at: float) -> float:
        low, high = (int(np.clip((at + d) * RATE, 0, wave.size - 1)) for d in (-0.09, 0.09))
        return (low + int(power[low : high + 1].argmin())) / RATE

    return quiet(start), max(quiet(start + length), quiet(start) + 0.2)


def _put(wave: Wave, made: Wave, start: float, stop: float, rng: np.random.Generator) -> Wave:
    """``made`` over ``wave`` between two moments, with short crossfades; a like stretch where lengths agree."""
    a, b = int(start * RATE), min(wave.size, int(stop * RATE))
    if made.size == wave.size:
        piece = made[a:b]
    else:
        at = int(rng.integers(max(1, made.size - (b - a))))
        piece = np.resize(made[at : at + b - a], b - a)
    fade = min(int(FADE * RATE), (b - a) // 4)
    alpha = np.ones(b - a, np.float32)
    alpha[:fade] = np.linspace(0, 1, fade)
    alpha[-fade:] = np.linspace(1, 0, fade)
    out = wave.copy()
    # No louder than the clip's peak: scaling the whole clip down would change its real part.
    peak = np.abs(wave).max()
    out[a:b] = wave[a:b] * (1 - alpha) + np.clip(levelled(piece, wave[a:b]), -peak, peak) * alpha
    return out
