"""The first layers of OpenAI's Whisper encoder as a front end for voices (Radford et al. 2022, MIT).

The weights come from a CTranslate2 file (version 6). Middle layers separate synthetic from recorded speech
best, so the tower is cut after ``layers``; positions are cut to the clip's length instead of 30 s.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

RATE = 16000
WINDOW, HOP, MELS = 400, 160, 80
_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


class LogMel(nn.Module):
    """(batch, samples) at 16 kHz to (batch, 80, frames): Whisper's log-mel spectrogram, computed per clip.

    The transform is two convolutions with the windowed cosines and sines, so that it exports to ONNX.
    """

    def __init__(self) -> None:
        super().__init__()
        n = torch.arange(WINDOW, dtype=torch.float64)
        k = torch.arange(WINDOW // 2 + 1, dtype=torch.float64)[:, None]
        window = torch.hann_window(WINDOW, periodic=True, dtype=torch.float64)
        angle = 2 * math.pi * k * n / WINDOW
        basis = torch.cat([torch.cos(angle) * window, torch.sin(angle) * window])
        self.register_buffer("basis", basis[:, None].float(), persistent=False)
        self.register_buffer("mel", torch.from_numpy(mel_filters()), persistent=False)

    def forward(self, wave: Tensor) -> Tensor:
        """Log-mel of each clip."""
        padded = F.pad(wave[:, None], (WINDOW // 2, WINDOW // 2), mode="reflect")
        parts = F.conv1d(padded, self.basis, stride=HOP)[..., :-1]
        real, imaginary = parts.chunk(2, dim=1)
        power = torch.matmul(self.mel, real * real + imaginary * imaginary)
        log = torch.clamp(power, min=1e-10).log() / math.log(10)
        log = torch.maximum(log, log.amax(dim=(1, 2), keepdim=True) - 8)
        return (log + 4) / 4


def mel_filters(rate: int = RATE, bins: int = WINDOW // 2 + 1, bands: int = MELS) -> NDArray[np.float32]:
    """Triangular filters on Slaney's mel scale, area-normalised: (bands, bins)."""

    def to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))

    top = 15 + 27 * np.log(rate / 2 / 1000) / np.log(6.4)
    edges = to_hz(np.linspace(0, top, bands + 2))
    frequency = np.linspace(0, rate / 2, bins)
    rise = (frequency - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - frequency) / np.diff(edges)[1:, None]
    filters = np.maximum(0, np.minimum(rise, fall)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return filters.astype(np.float32)


class Block(nn.Module):
    """One pre-norm transformer layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, width) to the same."""
        b, t, w = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)
        # Written out: on the CPU the fused form takes four times as long for clips as short as these.
        attended = torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5, -1) @ v
        x = x + self.out(attended.transpose(1, 2).reshape(b, t, w))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Tower(nn.Module):
    """Convolutions and the first ``layers`` transformer layers; returns every layer's output."""

    def __init__(self, layers: int = 4, width: int = 512, heads: int = 8, positions: int = 1500) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(MELS, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.positions = nn.Parameter(torch.zeros(positions, width), requires_grad=False)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))

    def forward(self, mel: Tensor) -> list[Tensor]:
        """(batch, 80, frames) to [(batch, frames/2, width)] for the convolutions and each layer."""
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)
        x = x + self.positions[: x.shape[1]]
        outputs = [x]
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return outputs


def load_tower(path: Path, layers: int = 4) -> Tower:
    """The tower with Whisper's weights from a CTranslate2 ``model.bin``."""
    weights = read_ctranslate2(path, "encoder/")
    tower = Tower(layers, width=weights["encoder/conv1/bias"].shape[0])
    state = {
        "conv1.weight": weights["encoder/conv1/weight"],
        "conv1.bias": weights["encoder/conv1/bias"],
        "conv2.weight": weights["encoder/conv2/weight"],
        "conv2.bias": weights["encoder/conv2/bias"],
        "positions": weights["encoder/position_encodings/encodings"],
    }
    names = {
        "norm1": "self_attention/layer_norm",
        "qkv": "self_attention/linear_0",
        "out": "self_attention/linear_1",
        "norm2": "ffn/layer_norm",
        "up": "ffn/linear_0",
        "down": "ffn/linear_1",
    }
    for i in range(layers):
        for ours, theirs in names.items():
            kinds = ("gamma", "beta") if "norm" in ours else ("weight", "bias")
            for kind, mine in zip(kinds, ("weight", "bias"), strict=True):
                state[f"blocks.{i}.{ours}.{mine}"] = weights[f"encoder/layer_{i}/{theirs}/{kind}"]
    tower.load_state_dict({k: torch.from_numpy(np.array(v, np.float32)) for k, v in state.items()})
    return tower


def read_ctranslate2(path: Path, prefix: str) -> dict[str, NDArray[np.generic]]:
    """Variables of a CTranslate2 model file (version 6) whose name starts with ``prefix``.

    Raises:
        ValueError: another version, or the file is cut off.
    """
    data = memoryview(path.read_bytes())
    at = 0

    def take(form: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from("<" + form, data, at)
        at += struct.calcsize(form)
        return int(value)

    def text() -> str:
        nonlocal at
        size = take("H")
        at += size
        return bytes(data[at - size : at - 1]).decode()

    if (version := take("I")) != 6:
        raise ValueError(f"CTranslate2 model version {version}, expected 6")
    text(), take("I")
    found: dict[str, NDArray[np.generic]] = {}
    for _ in range(take("I")):
        name = text()
        shape = [take("I") for _ in range(take("B"))]
        kind, size = _TYPES[take("B")], take("I")
        if name.startswith(prefix):
            found[name] = np.frombuffer(data[at : at + size], kind).reshape(shape)
        at += size
    return found
