"""One followed face and the sound around it, brought to the same forty steps a second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unmask.detectors.video_lipsync.agreement import band_passed, even
from unmask.detectors.video_lipsync.mouth import measures
from unmask.detectors.video_lipsync.sound import RATE, STEPS, bands, sound_start
from unmask.films.closeup import CloseLook
from unmask.subject import Subject

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Prepared:
    """``mouth``: (n, 4) and ``sound``: (m, bands), band-passed, `STEPS` rows a second; ``first``: the sound's row at
    the mouth's first one; ``start``: second of the film at the mouth's first row; ``begun``: second of the film at
    which the sound begins; ``motion``: how much the opening of the lips varies, in distances between the eyes.
    """

    mouth: Float
    sound: Float
    first: int
    start: float
    begun: float
    motion: float


def prepared(subject: Subject, look: CloseLook, p: Mapping[str, float]) -> Prepared | None:
    """None where picture and sound do not run together for ``far_seconds`` at least.

    Raises:
        MediaError: the sound cannot be decoded.
    """
    begun = sound_start(subject)
    heard = subject.audio.sound
    around = p["sound_around"]
    # Whole steps of the sound's own clock, so that a row of the sound is a row of the mouth.
    low = max(0, int((look.times[0] - begun - around) * STEPS))
    high = min(heard.size * STEPS // RATE, int((look.times[-1] - begun + around) * STEPS))
    start = max(low, int(np.ceil((look.times[0] - begun) * STEPS)))
    end = min(high, int((look.times[-1] - begun) * STEPS))
    if end - start < p["far_seconds"] * STEPS or not look.seen.any():
        return None
    hop = RATE // STEPS
    (wave,) = heard.cuts([(low * hop, high * hop)])
    sound = bands(wave, p)[: high - low]
    clock = begun + np.arange(start, end) / STEPS
    lips = band_passed(_at(look.times, measures(look.mesh), clock), p)
    sound = even(band_passed(sound, p))
    return Prepared(even(lips), sound, start - low, float(clock[0]), begun, float(lips[:, 0].std()))


def _at(times: Float, values: Float, wanted: Float) -> Float:
    """Columns of ``values`` at other times, straight between the frames in which the face was seen."""
    seen = np.isfinite(values).all(axis=1)
    return np.stack([np.interp(wanted, times[seen], column[seen]) for column in values.T], axis=1)
