"""Copy synthesis by MelGAN (Kumar et al. 2019), trained on Chinese machine voices: a second kind of vocoder trace."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import soxr

from unmask_lab.forge.family import FamilyCard, VoiceJob, VoiceMade, Wave
from unmask_lab.forge.speech import RATE, fitted, levelled, mel_filters, resampled, stft
from unmask_lab.forge.voices.mellotron import OWN_RATE, vocoder

CARD = FamilyCard(
    id="melgan_copy",
    makes="the parent's mel spectrogram turned back into a wave by MelGAN",
    licence="MIT (ttskit)",
    packages=("ttskit", "torch"),
    count=80,
)
SIZE, STEP, BANDS, TOP = 1024, 256, 80, 8000.0


def forge(job: VoiceJob) -> Iterator[VoiceMade]:
    """The whole clip."""
    yield VoiceMade(vocoded(job.wave), "MelGAN ttskit")


def vocoded(wave: Wave) -> Wave:
    """Through mel bands and back, the same length and level."""
    # It needs torch, which is there for training only.
    from unmask_lab.forge import melgan

    wide = soxr.resample(wave * (0.7 / (np.abs(wave).max() + 1e-9)), RATE, OWN_RATE)
    power = np.abs(stft(wide, SIZE, STEP)) @ mel_filters(OWN_RATE, SIZE, BANDS, 0.0, TOP).T
    mel = np.log(np.maximum(power, 1e-5)).T[None].astype(np.float32)
    return levelled(fitted(resampled(melgan.wave(vocoder(), mel), OWN_RATE), wave.size), wave)
