"""The tiny autoencoder of the FLUX.2 latent space (madebyollin/taesd, MIT), rebuilt from its state dicts' names.

3x3 convolutions, residual blocks of three convolutions with ReLU, a global group norm beside the blocks of the lowest
resolution, strides of two on the way down and x2 nearest-neighbour upsampling on the way up: three times, so a latent
pixel stands for 8 x 8 picture pixels in 32 channels. The nearest-neighbour upsampling followed by convolutions is what
real latent decoders do too: it leaves their fingerprint on a real photograph.
"""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

ENCODER: Final = "taef2_encoder.pth"
DECODER: Final = "taef2_decoder.pth"
CELL: Final = 8
"""Picture pixels a latent pixel, a side."""


class Block(nn.Module):
    """ReLU(x + three convolutions); with ``pool``, a 1x1 bottleneck with group norm is added first."""

    def __init__(self, width: int, pool: bool) -> None:
        super().__init__()
        conv = (nn.Conv2d(width, width, 3, padding=1) for _ in range(3))
        first, second, third = conv
        self.conv = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third)
        wide = 4 * width
        self.pool = (
            nn.Sequential(
                nn.Conv2d(width, wide, 1, bias=False),
                nn.GroupNorm(4, wide),
                nn.ReLU(),
                nn.Conv2d(wide, width, 1, bias=False),
            )
            if pool
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to the same."""
        if self.pool is not None:
            x = x + self.pool(x)
        return torch.relu(x + self.conv(x))


class Bound(nn.Module):
    """Soft bound of the latents at -3..3."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return torch.tanh(x / 3) * 3


def _blocks(width: int, n: int, pool: bool = False) -> list[nn.Module]:
    return [Block(width, pool) for _ in range(n)]


def _down(width: int) -> nn.Module:
    return nn.Conv2d(width, width, 3, padding=1, stride=2, bias=False)


def _up(width: int) -> list[nn.Module]:
    return [nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 3, padding=1, bias=False)]


def encoder(width: int = 64, latent: int = 32) -> nn.Sequential:
    """(n, 3, h, w) in 0..1 to latents (n, 32, h/8, w/8)."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), *_blocks(width, 1)]
    for step in range(3):
        layers += [_down(width), *_blocks(width, 3, pool=step == 2)]
    return nn.Sequential(*layers, nn.Conv2d(width, latent, 3, padding=1))


def decoder(width: int = 64, latent: int = 32) -> nn.Sequential:
    """Latents to (n, 3, 8h, 8w), about 0..1."""
    layers: list[nn.Module] = [Bound(), nn.Conv2d(latent, width, 3, padding=1), nn.ReLU()]
    for step in range(3):
        layers += [*_blocks(width, 3, pool=step == 0), *_up(width)]
    return nn.Sequential(*layers, *_blocks(width, 1), nn.Conv2d(width, 3, 3, padding=1))


@cache
def load(weights: Path) -> tuple[nn.Sequential, nn.Sequential]:
    """Encoder and decoder with their weights, float32, for inference.

    Raises:
        FileNotFoundError: a state dict is not in ``weights``.
        RuntimeError: a state dict has other names or shapes.
    """
    nets = []
    for net, name in ((encoder(), ENCODER), (decoder(), DECODER)):
        state = torch.load(weights / name, weights_only=True, map_location="cpu")
        net.load_state_dict({key: value.float() for key, value in state.items()})
        nets.append(net.eval().requires_grad_(False).to(memory_format=torch.channels_last))
    return nets[0], nets[1]


def encode(rgb: NDArray[np.uint8], weights: Path) -> Tensor:
    """Latents (1, 32, h/8, w/8) of an (h, w, 3) picture; sides are padded to whole cells by mirroring."""
    h, w = rgb.shape[:2]
    padded = np.pad(rgb, ((0, -h % CELL), (0, -w % CELL), (0, 0)), "symmetric")
    x = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode(), _precision():
        out: Tensor = load(weights)[0](x.contiguous(memory_format=torch.channels_last)).float()
        return out


def decode(latents: Tensor, size: tuple[int, int], weights: Path) -> NDArray[np.float32]:
    """The picture of ``latents``, (h, w, 3) float32 in 0..255, cut to ``size`` (h, w)."""
    with torch.inference_mode(), _precision():
        x = load(weights)[1](latents.contiguous(memory_format=torch.channels_last)).float()
    out = x[0].permute(1, 2, 0).clamp(0, 1).numpy() * 255
    return np.asarray(out[: size[0], : size[1]], np.float32)


def round_trip(rgb: NDArray[np.uint8], weights: Path) -> NDArray[np.float32]:
    """Encode and decode: (h, w, 3) float32 in 0..255. The last few are kept, since several families ask for one."""
    return _round_trip(rgb.tobytes(), (rgb.shape[0], rgb.shape[1]), weights)


@lru_cache(maxsize=4)
def _round_trip(data: bytes, size: tuple[int, int], weights: Path) -> NDArray[np.float32]:
    rgb = np.frombuffer(data, np.uint8).reshape(*size, 3)
    out = decode(encode(rgb, weights), size, weights)
    out.flags.writeable = False
    return out


def _precision() -> torch.autocast:
    """bfloat16 only where the processor has the instructions: emulated it is fifty times slower than float32."""
    has = any(bool(getattr(torch.cpu, name, lambda: False)()) for name in _BFLOAT16)
    return torch.autocast("cpu", torch.bfloat16, enabled=has)


_BFLOAT16: Final = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
