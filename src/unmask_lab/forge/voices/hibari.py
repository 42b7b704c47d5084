"""Text-to-speech by hibari: a small network distilled from Kokoro that predicts harmonics and noise (English)."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from unmask_lab.forge.family import FamilyCard, VoiceJob, VoiceMade
from unmask_lab.forge.speech import resampled
from unmask_lab.forge.texts import sentence

CARD = FamilyCard(
    id="hibari",
    makes="English sentences read by hibari's built-in voice at several speeds, some moved in pitch by playing speed",
    licence="Apache-2.0 (hibari-tts)",
    packages=("hibari",),
    reads="text",
    count=200,
)


def forge(job: VoiceJob) -> Iterator[VoiceMade]:
    """One sentence; a half is played 6-18 % slower or faster, since there is one voice only."""
    text = sentence(job.rng, "en")
    speed = float(job.rng.uniform(0.8, 1.3))
    played = float(job.rng.uniform(0.85, 1.18)) if job.rng.random() < 0.5 else 1.0
    engine = reader()
    made = engine(text, speed, int(job.rng.integers(1 << 30)))
    name = f"hibari heart, speed {speed:.2f}, played {played:.2f}"
    yield VoiceMade(resampled(np.asarray(made), round(engine.sample_rate * played)), name, text=text, language="en")


@cache
def reader() -> Any:
    """The engine, loaded once."""
    return importlib.import_module("hibari").Hibari()
