"""Copy synthesis by HiFi-GAN (Kong et al. 2020): the clip's mel spectrogram, back to a wave by the network.

The weights were trained on one English speaker (LJ Speech) at 22.05 kHz; other voices come out a little rougher, as
they do from the vocoders of small text-to-speech systems.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from unmask_lab.forge.family import FamilyCard, VoiceJob, VoiceMade, Wave
from unmask_lab.forge.speech import RATE, fitted, levelled, mel_filters, resampled, stft

WEIGHTS = "hifigan_ljspeech_float16.tflite"
CARD = FamilyCard(
    id="hifigan",
    makes="the parent's mel spectrogram turned back into a wave by HiFi-GAN",
    licence="Apache-2.0 (TFLite export of tulasiram58827/TTS_TFLite)",
    weights=(WEIGHTS,),
    count=230,
)
OWN_RATE, SIZE, STEP, BANDS = 22050, 1024, 256, 80


def forge(job: VoiceJob) -> Iterator[VoiceMade]:
    """The whole clip."""
    yield VoiceMade(vocoded(job.wave, job.weights), "HiFi-GAN LJ Speech")


def vocoded(wave: Wave, weights: Path) -> Wave:
    """Through mel bands and back, the same length and level."""
    level = 0.7 / (np.abs(wave).max() + 1e-9)
    wide = soxr.resample(wave * level, RATE, OWN_RATE)
    power = np.abs(stft(wide, SIZE, STEP)) @ mel_filters(OWN_RATE, SIZE, BANDS, 0.0, 8000.0).T
    log = np.log(np.maximum(power, 1e-5)).T[None].astype(np.float32)
    out = np.asarray(_net(weights)(log)[0]).reshape(-1)
    return levelled(fitted(resampled(out, OWN_RATE), wave.size), wave)


@cache
def _net(weights: Path) -> Any:
    import openvino as ov

    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    return ov.Core().compile_model(weights / WEIGHTS, "CPU", settings)
