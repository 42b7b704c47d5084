"""Pitch and formants moved: what voice changers, "anonymized" interviews and simple voice conversion do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unmask_lab.forge.family import FamilyCard, VoiceJob, VoiceMade, Wave
from unmask_lab.forge.speech import HOP, RATE, fitted, istft, levelled, pitch, stft
from unmask_lab.forge.voices.source_filter import respoken

CARD = FamilyCard(
    id="voice_change",
    makes="the parent's pitch moved by 2-7 semitones by a phase vocoder, PSOLA or source-filter vocoder",
    licence="none: no weights",
    count=200,
)


def forge(job: VoiceJob) -> Iterator[VoiceMade]:
    """The whole clip by one of three methods."""
    rng = job.rng
    semitones = float(rng.uniform(2, 7) * rng.choice([-1, 1]))
    factor = 2 ** (semitones / 12)
    method = ("phase vocoder", "PSOLA", "source-filter")[int(rng.choice(3, p=(0.35, 0.35, 0.3)))]
    if method == "phase vocoder":
        made = _stretched_back(job.wave, factor)
    elif method == "PSOLA":
        made = _psola(job.wave, factor)
    else:
        made = respoken(job.wave, rng, pitched=factor, tract=float(factor**0.5 * rng.uniform(0.93, 1.07)))
    yield VoiceMade(levelled(made, job.wave), f"{method} {semitones:+.1f} semitones")


def _stretched_back(wave: Wave, factor: float) -> Wave:
    """Phase vocoder (Flanagan and Golden 1966): longer by ``factor``, then played faster; formants move along."""
    size, hop = 1024, 256
    spectra = stft(wave, size, hop)
    where = np.arange(0, len(spectra) - 1, 1 / factor)
    low = where.astype(int)
    part = (where - low)[:, None]
    magnitude = (1 - part) * np.abs(spectra[low]) + part * np.abs(spectra[low + 1])
    turn = 2 * np.pi * hop * np.arange(size // 2 + 1) / size
    step = np.angle(spectra[low + 1]) - np.angle(spectra[low]) - turn
    step = turn + step - 2 * np.pi * np.round(step / (2 * np.pi))
    phase = np.angle(spectra[:1]) + np.concatenate([np.zeros_like(step[:1]), np.cumsum(step[:-1], 0)])
    longer = istft(magnitude * np.exp(1j * phase), size, hop, int(wave.size * factor))
    at = np.arange(wave.size) * factor
    return fitted(np.interp(at, np.arange(longer.size), longer), wave.size)


def _psola(wave: Wave, factor: float) -> Wave:
    """Two periods around each pitch mark, set down at the new distance (Moulines and Charpentier 1990)."""
    hertz, voiced = pitch(wave)
    marks = _marks(wave, hertz)
    out, weight = np.zeros(wave.size + 2048), np.full(wave.size + 2048, 1e-6)
    at = float(marks[0])
    while at < wave.size:
        mark = int(marks[np.abs(marks - at).argmin()])
        frame = min(mark // HOP, len(hertz) - 1)
        period = int(RATE / hertz[frame])
        start, stop = max(0, mark - period), min(wave.size, mark + period)
        grain = wave[start:stop] * np.hanning(stop - start)
        put = int(at) - (mark - start)
        if put >= 0:
            out[put : put + grain.size] += grain
            weight[put : put + grain.size] += np.hanning(grain.size)
        at += period / (factor if voiced[frame] > 0.4 else 1.0)
    return fitted(out / np.maximum(weight, 0.3), wave.size)


def _marks(wave: Wave, hertz: np.ndarray) -> np.ndarray:
    """Samples about a period apart, each at the largest peak nearby."""
    marks: list[int] = []
    at = 0
    while at < wave.size:
        period = int(RATE / hertz[min(at // HOP, len(hertz) - 1)])
        stop = min(wave.size, at + period)
        near = wave[max(0, at + period // 2) : stop + period // 2] if marks else wave[at:stop]
        offset = at + period // 2 if marks else at
        peak = offset + int(np.argmax(near)) if near.size else at + period
        marks.append(min(peak, wave.size - 1))
        at = max(peak, at + period // 2)
    return np.asarray(marks)
