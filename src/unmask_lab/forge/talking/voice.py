"""The picture untouched, the voice replaced by a synthetic one: read from a text, or the own words by a network."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import numpy as np

from unmask_lab.forge.av_io import Sound
from unmask_lab.forge.family import FamilyCard, VoiceJob, Wave
from unmask_lab.forge.speech import RATE, levelled
from unmask_lab.forge.talking.parent import TalkingJob, TalkingMade, joined
from unmask_lab.forge.voices import classical_tts, hibari, hifigan, kokoro, lyra

CARD = FamilyCard(
    id="voice",
    makes="the voice replaced by text-to-speech, or the own words coded by Lyra or HiFi-GAN",
    licence="that of the voice families",
    count=0,
)
READERS = (hibari, kokoro, classical_tts)
COPIERS = (lyra, hifigan)
GAP = 0.15
LEVEL = 0.05
"""Root mean square of speech where the parent is silent."""


def forge(job: TalkingJob) -> Iterator[TalkingMade]:
    """One replaced voice, by one of the families that run here."""
    if not job.parent.sound.size:
        return
    here = [family for family in READERS if not family.CARD.missing(job.weights)]
    if float(np.sqrt(np.mean(job.parent.sound**2))) > 0.01:
        here += [family for family in COPIERS if not family.CARD.missing(job.weights)]
    if not here:
        return
    family = here[int(job.rng.integers(len(here)))]
    wave, generator = spoken(job, family)
    yield TalkingMade(generator, sound=joined(job.parent.sound, wave, job.stretch))


def spoken(job: TalkingJob, family: ModuleType) -> tuple[Sound, str]:
    """A synthetic voice as long as the parent, at its level, and what made it."""
    own = job.parent.sound
    if family in COPIERS:
        made = next(iter(family.forge(VoiceJob(own, job.rng, job.weights))))
        return made.wave[: own.size], made.generator
    parts: list[Wave] = [np.zeros(int(job.stretch[0] * RATE), np.float32)]
    generator = ""
    while sum(part.size for part in parts) < job.stretch[1] * RATE:
        made = next(iter(family.forge(VoiceJob(np.zeros(0, np.float32), job.rng, job.weights))))
        generator = made.generator
        parts += [made.wave, np.zeros(int(GAP * RATE), np.float32)]
    wave = np.concatenate(parts)[: own.size]
    loud = own if float(np.sqrt(np.mean(own**2))) > 0.01 else np.full(own.size, LEVEL, np.float32)
    return levelled(np.pad(wave, (0, own.size - wave.size)), loud), generator
