"""Copy synthesis by Griffin and Lim's phase recovery, from linear or from mel magnitudes: Tacotron's first vocoder."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unmask_lab.forge.family import FamilyCard, VoiceJob, VoiceMade
from unmask_lab.forge.speech import RATE, griffin_lim, levelled, mel_filters, stft

CARD = FamilyCard(
    id="griffin_lim",
    makes="the parent's spectral magnitudes, some reduced to 40-80 mel bands, with phases found by iteration",
    licence="none: no weights",
    count=150,
)


def forge(job: VoiceJob) -> Iterator[VoiceMade]:
    """The whole clip."""
    rng = job.rng
    size = int(rng.choice([512, 800, 1024]))
    hop = size // 4
    steps = int(rng.integers(12, 50))
    magnitude = np.abs(stft(job.wave, size, hop))
    bands = int(rng.choice([0, 40, 64, 80]))
    if bands:
        filters = mel_filters(RATE, size, bands, 0.0, 8000.0)
        magnitude = np.maximum(0, magnitude @ filters.T @ np.linalg.pinv(filters).T)
    made = griffin_lim(magnitude, size, hop, job.wave.size, rng, steps)
    name = f"Griffin-Lim {size}, {steps} steps, {f'{bands} mel' if bands else 'linear'}"
    yield VoiceMade(levelled(made, job.wave), name)
