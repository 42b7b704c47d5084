"""Training voices: the families of `unmask_lab.forge.voices`, as 16 kHz FLAC."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from unmask_lab.forge import voices
from unmask_lab.forge.av_io import Codec, read_sound, write_sound
from unmask_lab.forge.family import Family, VoiceJob, VoiceMade, Wave, walk
from unmask_lab.forge.forgery import seeded
from unmask_lab.forge.manifest import digest
from unmask_lab.forge.speech import RATE, resampled
from unmask_lab.forge.training import Parent, Table, TrainingPlan, TrainingRow, each, parents

LEAST_SECONDS, MOST_SECONDS = 0.8, 3.0
QUIET = 1e-4
"""A clip whose peak lies below this holds no voice."""
FLAC = Codec("flac", "flac")
VoiceFamily = Family[VoiceJob, VoiceMade]


def forge_voices(plan: TrainingPlan) -> Iterator[TrainingRow]:
    """Write the set; yields rows as files are written."""
    families: dict[str, VoiceFamily] = walk(voices, plan.only)
    ready = {name: one for name, one in families.items() if not one.card.missing(plan.weights)}
    plan.out.mkdir(parents=True, exist_ok=True)
    return each(_rows(plan, ready), Table(plan.out, list(ready)))


def _rows(plan: TrainingPlan, families: dict[str, VoiceFamily]) -> Iterator[TrainingRow]:
    """In rounds, so that a broken-off run has some of every family."""
    # Every family has its own order: each takes few clips of a source, together they take many.
    queues = {name: parents(plan.kit, "audio", plan.seed, name) for name, one in families.items() if _copies(one)}
    most = max((plan.count(one.card.count) for one in families.values()), default=0)
    for number in range(most):
        for name, one in families.items():
            if number >= min(plan.count(one.card.count), len(queues.get(name, range(most)))):
                continue
            parent = queues[name][number] if _copies(one) else None
            wave = _sound(plan.kit / parent.path) if parent else np.zeros(0, np.float32)
            if parent and (wave.size < LEAST_SECONDS * RATE or np.abs(wave).max() < QUIET):
                continue
            key = str(parent.path) if parent else str(number)
            job = VoiceJob(wave, seeded(plan.seed, name, key), plan.weights)
            for i, made in enumerate(one.forge(job)):
                stem = parent.path.stem if parent else f"{number:04}"
                yield _written(plan, name, one, made, f"{stem}-{i}", parent)


def _copies(family: VoiceFamily) -> bool:
    return family.card.reads == "parent"


def _sound(path: Path) -> Wave:
    sound, rate = read_sound(path)
    return resampled(sound, rate)[: int(MOST_SECONDS * RATE)]


def _written(
    plan: TrainingPlan, name: str, family: VoiceFamily, made: VoiceMade, stem: str, parent: Parent | None
) -> TrainingRow:
    source = parent.source if parent else f"tts-{_system(made)}"
    path = Path(name) / source / f"{stem}.flac"
    wave = made.wave if parent else _view(made.wave, seeded(plan.seed, "view", str(path)))
    (plan.out / path).parent.mkdir(parents=True, exist_ok=True)
    write_sound(plan.out / path, _safe(wave), RATE, FLAC)
    return TrainingRow(
        path=str(path),
        modality="audio",
        label="manipulated" if made.segments else "synthetic",
        question="voice.synthetic",
        family=name,
        generator=made.generator,
        parent=str(parent.path) if parent else "",
        source=source,
        language=parent.language if parent else made.language,
        licence=family.card.licence,
        seed=plan.seed,
        sha256=digest((plan.out / path).read_bytes()),
        segments=";".join(f"{a:.3f}-{b:.3f}" for a, b in made.segments),
        text=made.text,
    )


def _system(made: VoiceMade) -> str:
    return made.generator.split(" ")[0].split(",")[0].lower()


def _view(wave: Wave, rng: np.random.Generator) -> Wave:
    """A piece of a read sentence: real clips begin in mid-speech too, so half of these do."""
    most = int(MOST_SECONDS * RATE)
    spare = wave.size - int(2.0 * RATE)
    start = int(rng.integers(spare)) if spare > 0 and rng.random() < 0.5 else 0
    return wave[start : start + most]


def _safe(wave: Wave) -> Wave:
    """Within full scale; not a number anywhere would be a fault of the family."""
    if not np.isfinite(wave).all():
        raise ValueError("a voice family made samples that are not finite")
    return np.asarray(wave * min(1.0, 1 / (np.abs(wave).max() + 1e-9)), np.float32)
