"""Copy synthesis by a source-filter vocoder: pitch, envelope and voicing in, pulses and noise out.

Of the kind of WORLD (Morise et al. 2016) and of LPC vocoders: the statistical parametric voices of 2005-2016, many
voice converters and singing synthesizers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unmask_lab.forge.family import FamilyCard, VoiceJob, VoiceMade, Wave
from unmask_lab.forge.speech import HOP, RATE, envelope, istft, levelled, pitch, stft

CARD = FamilyCard(
    id="source_filter",
    makes="the parent's pitch, spectral envelope and voicing, spoken by pulses and noise; some flattened in pitch",
    licence="none: no weights",
    count=170,
)
SIZE = 1024


def forge(job: VoiceJob) -> Iterator[VoiceMade]:
    """The whole clip, with the smoothing of a random system."""
    smooth = int(job.rng.choice([1, 3, 7]))
    flat = float(job.rng.choice([0.0, 0.0, 0.5]))
    made = respoken(job.wave, job.rng, smooth=smooth, flat=flat)
    yield VoiceMade(made, f"source-filter, smooth {smooth}, pitch flattened {flat:.1f}")


def respoken(
    wave: Wave,
    rng: np.random.Generator,
    *,
    smooth: int = 1,
    flat: float = 0.0,
    pitched: float = 1.0,
    tract: float = 1.0,
) -> Wave:
    """Analyse and speak again.

    ``smooth``: frames that envelopes are averaged over; ``flat``: 0 keeps the melody, 1 is monotone; ``pitched``:
    factor of the pitch; ``tract``: factor of the formants' frequencies.
    """
    hertz, voiced = pitch(wave)
    shape = envelope(wave, hertz, SIZE)
    shape = _smoothed(_warped(shape, tract), smooth)
    hertz = np.exp((1 - flat) * np.log(hertz) + flat * np.log(np.median(hertz))) * pitched
    n = min(len(shape), len(hertz))
    spectra = _excitation(hertz[:n], voiced[:n], wave.size, rng)[:n]
    return levelled(istft(spectra * shape[: len(spectra)], SIZE, HOP, wave.size), wave)


def _warped(shape: NDArray[np.float64], tract: float) -> NDArray[np.float64]:
    if tract == 1.0:
        return shape
    bins = np.arange(shape.shape[1])
    return np.stack([np.interp(bins / tract, bins, row) for row in shape])


def _smoothed(shape: NDArray[np.float64], frames: int) -> NDArray[np.float64]:
    if frames == 1:
        return shape
    kernel = np.ones(frames) / frames
    log = np.log(shape + 1e-9)
    return np.asarray(np.exp(ndimage.convolve1d(log, kernel, axis=0, mode="nearest")))


def _excitation(
    hertz: NDArray[np.float64], voiced: NDArray[np.float64], length: int, rng: np.random.Generator
) -> NDArray[np.complexfloating]:
    """Spectra of pulses below and noise above a frequency that falls with the voicing, both of unit power."""
    at = np.arange(length) / HOP
    melody = np.interp(at, np.arange(len(hertz)), hertz)
    turns = np.cumsum(melody / RATE)
    pulses = np.zeros(length)
    marks = np.flatnonzero(np.diff(np.floor(turns))) + 1
    pulses[marks] = np.sqrt(RATE / melody[marks])
    noise = rng.standard_normal(length)
    cut = np.clip((voiced - 0.35) / 0.5, 0, 1)[:, None] * 6500
    bins = np.arange(SIZE // 2 + 1)[None] * RATE / SIZE
    share = 1 / (1 + np.exp((bins - cut) / 300))
    share = np.where(cut > 0, share, 0)
    n = len(hertz)
    tonal, rough = (stft(x, SIZE, HOP)[:n] for x in (pulses, noise))
    return np.asarray(np.sqrt(share[: len(tonal)]) * tonal + np.sqrt(1 - share[: len(rough)]) * rough)
