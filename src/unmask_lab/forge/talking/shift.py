"""The picture untouched, the sound moved by a known time: a dubbing that does not fit. The offset is the truth."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unmask_lab.forge.family import FamilyCard
from unmask_lab.forge.speech import RATE
from unmask_lab.forge.talking.parent import TalkingJob, TalkingMade

CARD = FamilyCard(
    id="sound_shift",
    makes="the sound 0.2 to 0.6 s too early or too late, all through",
    licence="that of the parents",
    count=0,
)
LEAST, MOST = 0.2, 0.6


def forge(job: TalkingJob) -> Iterator[TalkingMade]:
    """One shift; nothing where there is no sound."""
    if not job.parent.sound.size or np.abs(job.parent.sound).max() < 1e-3:
        return
    offset = float(job.rng.uniform(LEAST, MOST)) * (1 if job.rng.random() < 0.5 else -1)
    moved = np.roll(job.parent.sound, round(offset * RATE))
    yield TalkingMade(f"sound moved by {offset:+.2f} s", sound=np.asarray(moved, np.float32), offset=offset)
