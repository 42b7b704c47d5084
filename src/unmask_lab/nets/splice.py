"""The net of `image.splice`: what differs from the rest of the picture, from residuals and DCT coefficients.

Two parts, exported as two graphs. `Features` reads pixels at their native resolution, tile by tile: a residual stream
(learned high-pass filters on luma and chroma, truncated as in steganalysis, then convolutions and means) and a DCT
stream (the coefficients of each 8 x 8 block, in steps of the file's quantisation table where there is one, as soft
histograms; double compression and pasted blocks show there). `Context` sees the whole picture's features, subtracts
the picture's own mean and looks for what does not fit.

Fridrich and Kodovsky: Rich models for steganalysis of digital images. IEEE TIFS 7(3), 2012 (truncated residuals).
Bayar and Stamm: Constrained convolutional neural networks. IEEE TIFS 13(11), 2018 (filters that sum to zero).
Kwon, Nam, Yu, Lee: Learning JPEG compression artifacts for image manipulation detection and localization (CAT-Net).
IJCV 130, 2022 (histograms of DCT coefficients in units of the table's steps).
Guillaro et al.: TruFor. CVPR 2023 (a confidence map that weighs the score).
"""

from __future__ import annotations

from typing import Final, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

BLOCK: Final = 8
COUNTED: Final = 20
"""Low frequencies (zigzag order, without the mean) whose coefficients are counted in histograms."""
BINS: Final = 8
WIDTH: Final = 96
"""Channels of the features, one vector a block."""
TRUNCATE: Final = 6.0
"""Grey levels at which residuals are cut."""


def zigzag() -> list[int]:
    """Natural index (8 v + u) of each coefficient in zigzag order."""

    def key(i: int) -> tuple[int, int]:
        v, u = divmod(i, BLOCK)
        return u + v, u if (u + v) % 2 else v

    return sorted(range(BLOCK * BLOCK), key=lambda i: (key(i)[0], -key(i)[1]))


def dct_basis() -> Tensor:
    """(64, 1, 8, 8): the orthonormal DCT-II of JPEG as filters, natural order."""
    n = np.arange(BLOCK)
    rows = np.cos((2 * n[None] + 1) * n[:, None] * np.pi / 16) * np.sqrt(2 / BLOCK)
    rows[0] /= np.sqrt(2)
    basis = np.einsum("vy,ux->vuyx", rows, rows).reshape(BLOCK * BLOCK, 1, BLOCK, BLOCK)
    return torch.tensor(basis, dtype=torch.float32)


class Unit(nn.Sequential):
    """Convolution, batch norm, ReLU."""

    def __init__(self, inp: int, out: int, kernel: int = 3, stride: int = 1, dilation: int = 1, groups: int = 1):
        pad = dilation * (kernel // 2)
        super().__init__(
            nn.Conv2d(inp, out, kernel, stride, pad, dilation, groups, bias=False), nn.BatchNorm2d(out), nn.ReLU()
        )


class Residuals(nn.Module):
    """(n, 3, h, w) YCbCr in -128..127 to (n, 96, h/8, w/8)."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv2d(3, 16, 5, padding=2, bias=False)
        self.stem = nn.Sequential(Unit(16, 24, stride=2), Unit(24, 32), nn.AvgPool2d(2))
        self.deep = nn.Sequential(Unit(32, 48), Unit(48, 64), Unit(64, WIDTH, stride=2))

    def forward(self, ycc: Tensor) -> Tensor:
        """The truncated residual's statistics."""
        weight = self.filters.weight
        high = F.conv2d(ycc, weight - weight.mean((2, 3), keepdim=True), padding=2)
        return cast(Tensor, self.deep(self.stem(F.hardtanh(high, -TRUNCATE, TRUNCATE))))


class Blocks(nn.Module):
    """Luma (n, 1, h, w) in -128..127 and tables (n, 64), zeros where none, to (n, 64, h/8, w/8)."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("basis", dct_basis(), persistent=False)
        self.register_buffer("order", torch.tensor(zigzag()[1 : 1 + COUNTED]), persistent=False)
        self.register_buffer("levels", torch.arange(BINS, dtype=torch.float32)[None, :, None, None], persistent=False)
        self.mix = Unit(COUNTED * BINS + 64 + 8, 96, 1)
        self.table = nn.Sequential(nn.Linear(65, 16), nn.ReLU(), nn.Linear(16, 8))
        self.near = nn.Sequential(Unit(96, 64), Unit(64, 64, groups=4))

    def forward(self, luma: Tensor, table: Tensor) -> Tensor:
        """Soft histograms of the low frequencies, magnitudes of all, and what the table says."""
        with torch.autocast(luma.device.type, enabled=False):
            coefficients = F.conv2d(luma.float(), cast(Tensor, self.basis), stride=BLOCK)
            known = (table.amax(1, keepdim=True) > 0).float()
            steps = table + (1 - known)
            low = coefficients.index_select(1, cast(Tensor, self.order))
            unit = steps.index_select(1, cast(Tensor, self.order))[:, :, None, None]
            k = (low / unit).abs()
            n, c, h, w = k.shape
            hist = F.relu(1 - (k.reshape(n * c, 1, h, w) - cast(Tensor, self.levels)).abs())
            hist = hist.reshape(n, c * BINS, h, w)
            size = torch.log1p(coefficients.abs()) / 2
            told = self.table(torch.cat([torch.log1p(table) / 4, known], 1))
            told = told[:, :, None, None].expand(-1, -1, h, w)
        return cast(Tensor, self.near(self.mix(torch.cat([hist, size, told], 1))))


class Features(nn.Module):
    """One vector a block of 8 x 8 pixels, from pixels and the quantisation table."""

    def __init__(self) -> None:
        super().__init__()
        ycc = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
        self.register_buffer("ycc", ycc[:, :, None, None], persistent=False)
        self.residuals, self.blocks = Residuals(), Blocks()
        self.join = nn.Sequential(nn.Conv2d(WIDTH + 64, WIDTH, 1, bias=False), nn.BatchNorm2d(WIDTH))

    def forward(self, rgb: Tensor, table: Tensor) -> Tensor:
        """``rgb`` (n, 3, h, w) in 0..255, sides multiples of 8; ``table`` (n, 64); out (n, 96, h/8, w/8)."""
        with torch.autocast(rgb.device.type, enabled=False):
            ycc = F.conv2d(rgb, cast(Tensor, self.ycc))
            offset = torch.tensor([128.0, 0.0, 0.0], device=rgb.device)[:, None, None]
            ycc = ycc - offset
        streams = torch.cat([self.residuals(ycc), self.blocks(ycc[:, :1], table)], 1)
        return cast(Tensor, self.join(streams))


class Step(nn.Module):
    """Residual step: depthwise dilated convolution, then a mixture of channels; what is outside stays zero."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.depth = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, groups=width, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        self.mix = nn.Sequential(nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """(n, width, h, w) to the same."""
        # oneDNN's bfloat16 weight gradient of dilated depthwise convolutions reads memory that nobody wrote (2.13).
        with torch.autocast(x.device.type, enabled=False):
            near = self.depth(x.float())
        return (x + cast(Tensor, self.mix(near))) * valid


def spread(x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation (n, c, 1, 1) of ``x`` over the valid blocks (n, 1, h, w)."""
    n = valid.sum((2, 3), keepdim=True).clamp_min(1)
    mean = (x * valid).sum((2, 3), keepdim=True) / n
    variance = ((x - mean).square() * valid).sum((2, 3), keepdim=True) / n
    return mean, (variance + 1e-3).sqrt()


class Context(nn.Module):
    """Features of a whole picture and which blocks are there, to a map of logits and one score."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.enter = Unit(3 * width, width, 1)
        self.near = nn.ModuleList(Step(width, d) for d in (1, 2, 4))
        self.enter_again = Unit(2 * width, width, 1)
        self.far = nn.ModuleList(Step(width, d) for d in (8, 2, 1))
        self.local = nn.Conv2d(width, 2, 1)
        self.told = nn.Linear(2 * width, 8)
        self.score = nn.Sequential(nn.Linear(5 + 8, 24), nn.ReLU(), nn.Linear(24, 1))
        # Means and deviations of the training pictures' own means and deviations: what is far from them is strange.
        self.register_buffer("usual", torch.zeros(1, 2 * width))
        self.register_buffer("usual_spread", torch.ones(1, 2 * width))

    def forward(self, features: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``features`` (n, 96, h, w), ``valid`` (n, 1, h, w) 0 or 1.

        Returns:
            Logits (n, 1, h, w), score (n, 1), and distance (n, 1): how unlike the training pictures this one is, the
            root mean square of its statistics in units of their deviations (about 1 for what is usual).
        """
        with torch.autocast(features.device.type, enabled=False):
            features = features.float()
            mean, deviation = spread(features, valid)
            z = ((features - mean) / deviation).clamp(-6, 6) * valid
        x = self.enter(torch.cat([torch.relu(features) * valid, z, z.abs()], 1)) * valid
        for step in self.near:
            x = step(x, valid)
        x = self.enter_again(torch.cat([x, (x - spread(x, valid)[0]) * valid], 1)) * valid
        for step in self.far:
            x = step(x, valid)
        with torch.autocast(features.device.type, enabled=False):
            out = self.local(x.float())
            logits, weight = out[:, :1], out[:, 1:]
            whole = summary(mean, deviation)
            pooled = torch.cat([_pool(logits, weight, valid), torch.relu(self.told(whole))], 1)
            far = (whole - cast(Tensor, self.usual)) / cast(Tensor, self.usual_spread)
            return logits, self.score(pooled), far.square().mean(1, keepdim=True).sqrt()


def summary(mean: Tensor, deviation: Tensor) -> Tensor:
    """(n, 2 c): a picture's means and log deviations."""
    return torch.cat([mean, deviation.log()], 1).flatten(1)


def _pool(logits: Tensor, weight: Tensor, valid: Tensor) -> Tensor:
    """(n, 5): soft maxima of three tempers, the mean, and the mean weighed by confidence."""
    z, w, v = logits.flatten(2)[:, 0], weight.flatten(2)[:, 0], valid.flatten(2)[:, 0]
    out = []
    hidden = (v - 1) * 1e4
    count = v.sum(1, keepdim=True).clamp_min(1)
    z = z.clamp(-12, 12)
    for temper in (0.5, 1.0, 3.0):
        out.append((torch.logsumexp(temper * z + hidden, 1, keepdim=True) - count.log()) / temper)
    out.append((z * v).sum(1, keepdim=True) / count)
    share = torch.softmax(w + hidden, 1)
    out.append((share * z).sum(1, keepdim=True))
    return torch.cat(out, 1)


class Splice(nn.Module):
    """Both parts, for training."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.context = Features(), Context()

    def forward(self, rgb: Tensor, table: Tensor, valid: Tensor, joined: int = 1) -> tuple[Tensor, Tensor, Tensor]:
        """See `Features` and `Context`; ``joined``: blocks a side that are averaged between them (large pictures)."""
        features = self.features(rgb, table)
        if joined > 1:
            count = F.avg_pool2d(valid, joined)
            features = F.avg_pool2d(features * valid, joined) / count.clamp_min(1e-3)
            valid = (count > 0).float()
        return cast(tuple[Tensor, Tensor, Tensor], self.context(features, valid))
