"""MelGAN's generator (Kumar et al. 2019): 80 mel bands at 22.05 kHz, a frame every 256 samples, to a wave."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

SLOPE = 0.2
PLACES = ((3, 8), (6, 8), (9, 2), (12, 2))
"""Where the generator widens, and how many times."""


def wave(p: Mapping[str, Tensor], mel: NDArray[np.float32]) -> NDArray[np.float32]:
    """(samples,) of the mel spectrogram (1, bands, frames), natural logarithms of magnitudes."""
    with torch.inference_mode():
        x = functional.conv1d(functional.pad((torch.from_numpy(mel) + 5) / 5, (3, 3), "reflect"), *_layer(p, "1"))
        for at, times in PLACES:
            x = functional.leaky_relu(x, SLOPE)
            weight, bias = _layer(p, str(at))
            x = functional.conv_transpose1d(x, weight, bias, stride=times, padding=times // 2)
            x = _residual(p, str(at + 1), x)
        x = functional.pad(functional.leaky_relu(x, SLOPE), (3, 3), "reflect")
        return np.asarray(torch.tanh(functional.conv1d(x, *_layer(p, "16")))[0, 0])


def _residual(p: Mapping[str, Tensor], at: str, x: Tensor) -> Tensor:
    for i in range(3):
        y = functional.pad(functional.leaky_relu(x, SLOPE), (3**i, 3**i), "reflect")
        y = functional.conv1d(y, *_layer(p, f"{at}.blocks.{i}.2"), dilation=3**i)
        y = functional.conv1d(functional.leaky_relu(y, SLOPE), *_layer(p, f"{at}.blocks.{i}.4"))
        x = functional.conv1d(x, *_layer(p, f"{at}.shortcuts.{i}")) + y
    return x


def _layer(p: Mapping[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    """Weight (its direction and length are stored apart: Salimans and Kingma 2016) and bias."""
    direction = p[f"generator.{name}.weight_v"]
    length = direction.flatten(1).norm(dim=1).reshape(-1, 1, 1)
    return direction * p[f"generator.{name}.weight_g"] / length, p[f"generator.{name}.bias"]
