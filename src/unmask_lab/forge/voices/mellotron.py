"""Text-to-speech by Mellotron (Valle et al. 2020) without its pitch input: Tacotron 2 with many speakers, and MelGAN.

Autoregressive: each mel frame is made from the one before. A speaker is a vector of 32 numbers that the package takes
from the MD5 of a name; mixing two makes more. The package's weights are read, its code is not run.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask_lab.forge.chinese import package_folder, syllables
from unmask_lab.forge.family import FamilyCard, VoiceJob, VoiceMade, Wave
from unmask_lab.forge.speech import resampled
from unmask_lab.forge.texts import clause

CARD = FamilyCard(
    id="mellotron",
    makes="Chinese clauses by an autoregressive network with 24 speakers, alone or mixed, and MelGAN",
    licence="MIT (ttskit; its speakers are said to be machine voices of a cloud service, and Biaobei's reader)",
    packages=("ttskit", "phkit", "pypinyin", "torch"),
    reads="text",
    count=150,
)
OWN_RATE = 22050
SPEAKERS = (
    "Aibao", "Aicheng", "Aida", "Aijia", "Aijing", "Aimei", "Aina", "Aiqi", "Aitong", "Aiwei", "Aixia", "Aiya",
    "Aiyu", "Aiyue", "Siyue", "Xiaobei", "Xiaogang", "Xiaomei", "Xiaomeng", "Xiaowei", "Xiaoxue", "Xiaoyun", "Yina",
    "biaobei",
)  # fmt: skip


def forge(job: VoiceJob) -> Iterator[VoiceMade]:
    """One clause or sentence."""
    rng = job.rng
    text = clause(rng)
    first, second = (str(name) for name in rng.choice(SPEAKERS, 2, replace=False))
    share = float(rng.choice([1.0, 1.0, 0.7]))
    speaker = np.asarray(share * voice(first) + (1 - share) * voice(second), np.float32)
    wave = read(text, speaker, int(rng.integers(1 << 30)))
    name = f"Mellotron {first} {share:.2f} {second}"
    yield VoiceMade(resampled(wave, OWN_RATE), name, text=text, language="zh")


def read(text: str, speaker: NDArray[np.float32], seed: int) -> Wave:
    """The sentence at 22.05 kHz."""
    # Both need torch, which is there for training only.
    from unmask_lab.forge import melgan, tacotron

    mel = tacotron.spoken(_net("mellotron.kuangdd-mspk.pt"), symbols(text), speaker, seed)
    return melgan.wave(vocoder(), mel)


def voice(name: str) -> NDArray[np.float32]:
    """(1, 32): the digits of the name's MD5, about -0.7 to 0.8."""
    digits = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return np.asarray([[(int(digit, 16) - 7) / 10 for digit in digits]], np.float32)


def symbols(text: str) -> list[int]:
    """Initials, finals, tones and pauses as the network's numbers."""
    table = {symbol: number for number, symbol in enumerate(_part("symbol").symbol_chinese)}
    sounds = _part("phoneme").shengyun2ph_dict
    said: list[str] = []
    for one in syllables(text):
        said += [*sounds[one[:-1]].split(), one[-1], "-"] if one[:-1] in sounds else [one, "-"]
    return [table[symbol] for symbol in [*said, "~", "_"] if symbol in table]


def vocoder() -> dict[str, Any]:
    """The parameters of the package's MelGAN."""
    return _net("melgan.kuangdd.pt")


@cache
def _net(name: str) -> dict[str, Any]:
    from unmask_lab.forge import tacotron

    return tacotron.parameters_of(package_folder("ttskit") / "resource" / "model" / name)


@cache
def _part(name: str) -> ModuleType:
    """A table of phkit, read alone: the whole package asks for much that is not needed here."""
    path: Path = package_folder("phkit") / "chinese" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"phkit_{name}", path)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"phkit has no {name}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
