"""Text-to-speech before networks: espeak-ng (formants), flite and festival (diphones, clustered units, HTS)."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from unmask_lab.forge.av_io import read_sound
from unmask_lab.forge.family import FamilyCard, VoiceJob, VoiceMade
from unmask_lab.forge.speech import resampled
from unmask_lab.forge.texts import LANGUAGES, sentence

CARD = FamilyCard(
    id="classical_tts",
    makes="sentences in eleven languages by espeak-ng, and in English by flite and festival where they are installed",
    licence="GPL-3.0 (espeak-ng), BSD-like (flite, festival and their voices): programs, run only",
    commands=("espeak-ng",),
    reads="text",
    count=200,
)
VARIANTS = ("", "+m1", "+m3", "+m7", "+f2", "+f4", "+croak", "+whisper")
FLITE = ("kal16", "awb", "rms", "slt")
FESTIVAL = ("voice_kal_diphone", "voice_cmu_us_slt_arctic_hts")


def forge(job: VoiceJob) -> Iterator[VoiceMade]:
    """One sentence by one of the programs that are here."""
    rng = job.rng
    odds = {"espeak-ng": 0.45, "flite": 0.35, "text2wave": 0.2}
    names = [name for name in odds if shutil.which(name)]
    share = np.asarray([odds[name] for name in names])
    name = str(rng.choice(names, p=share / share.sum()))
    language = str(rng.choice([one for one in LANGUAGES if one not in ("ja", "zh")])) if name == "espeak-ng" else "en"
    text = sentence(rng, language)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.wav"
        label = {"espeak-ng": _espeak, "flite": _flite, "text2wave": _festival}[name](text, language, rng, out)
        sound, rate = read_sound(out)
    yield VoiceMade(resampled(sound, rate), label, text=text, language=language)


def _espeak(text: str, language: str, rng: np.random.Generator, out: Path) -> str:
    variant, pace, height = str(rng.choice(VARIANTS)), int(rng.integers(130, 200)), int(rng.integers(25, 75))
    _run(["espeak-ng", "-v", language + variant, "-s", str(pace), "-p", str(height), "-w", str(out), text])
    return f"espeak-ng {language}{variant}"


def _flite(text: str, _language: str, rng: np.random.Generator, out: Path) -> str:
    voice, stretch = str(rng.choice(FLITE)), float(rng.uniform(0.85, 1.25))
    _run(["flite", "-voice", voice, "--setf", f"duration_stretch={stretch:.2f}", "-t", text, "-o", str(out)])
    return f"flite {voice}"


def _festival(text: str, _language: str, rng: np.random.Generator, out: Path) -> str:
    voice = str(rng.choice(FESTIVAL))
    _run(["text2wave", "-eval", f"({voice})", "-o", str(out)], text)
    return f"festival {voice.removeprefix('voice_')}"


def _run(command: list[str], text: str = "") -> None:
    subprocess.run(command, input=text.encode(), check=True, capture_output=True, timeout=60)
