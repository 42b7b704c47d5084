"""The network of ``face.swap``: an EfficientNet-lite0 cut at a sixteenth of the face, with a map of the blended region.

Papers: M. Tan, Q. V. Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks. ICML 2019 (lite:
without squeeze-and-excitation, ReLU6). L. Li et al.: Face X-ray for More General Face Forgery Detection. CVPR 2020
(the map as a second task). M. Ilse, J. M. Tomczak, M. Welling: Attention-based Deep Multiple Instance Learning.
ICML 2018 (the pooling).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unmask_lab.nets.synthetic import Head

SIDE = 224
CELLS = SIDE // 16
# (kernel, stride, expansion, channels) of blocks 0 to 10: what comes after sees the face too coarsely to find seams.
BLOCKS = (
    (3, 1, 1, 16),
    (3, 2, 6, 24),
    (3, 1, 6, 24),
    (5, 2, 6, 40),
    (5, 1, 6, 40),
    (3, 2, 6, 80),
    (3, 1, 6, 80),
    (3, 1, 6, 80),
    (5, 1, 6, 112),
    (5, 1, 6, 112),
    (5, 1, 6, 112),
)
STEM = 32
FINE_BLOCK, FINE = 4, 40
# So many of the most suspicious cells speak for a small region, such as a mouth.
TOP = 10


class Block(nn.Module):
    """One inverted bottleneck; the names are those of the published weights."""

    def __init__(self, kernel: int, stride: int, expansion: int, before: int, after: int) -> None:
        super().__init__()
        wide = before * expansion
        if expansion > 1:
            self._expand_conv = nn.Conv2d(before, wide, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(wide, eps=1e-3)
        self._depthwise_conv = nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False)
        self._bn1 = nn.BatchNorm2d(wide, eps=1e-3)
        self._project_conv = nn.Conv2d(wide, after, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(after, eps=1e-3)
        self.expands, self.adds = expansion > 1, stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        """(n, before, h, w) to (n, after, h / stride, w / stride)."""
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        # Depthwise gradients in bfloat16 take up to ten times longer than in float32 on processors.
        with torch.autocast(y.device.type, enabled=False):
            y = F.relu6(self._bn1(self._depthwise_conv(y.float())))
        y = self._bn2(self._project_conv(y))
        return x + y if self.adds else y


class FaceSwapNet(nn.Module):
    """Aligned faces to a score, a map of where they were blended, and an embedding for the drift check."""

    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__()
        self._conv_stem = nn.Conv2d(3, STEM, 3, 2, 1, bias=False)
        self._bn0 = nn.BatchNorm2d(STEM, eps=1e-3)
        widths = (STEM, *(block[3] for block in BLOCKS))
        self._blocks = nn.ModuleList(
            Block(k, s, e, before, after) for (k, s, e, after), before in zip(BLOCKS, widths, strict=False)
        )
        self.fine = nn.Conv2d(FINE, 48, 2, 2)
        self.mix = nn.Sequential(nn.Conv2d(widths[-1] + 48, 128, 1), nn.ReLU6())
        self.map = nn.Conv2d(128, 1, 1)
        self.gate = nn.Conv2d(128, 1, 1)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(258, 1)
        for layer in (self.fine, self.map, self.gate):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def forward(self, face: Tensor) -> dict[str, Tensor]:
        """Scores of aligned faces.

        Args:
            face: (n, 3, SIDE, SIDE) RGB, 0..255.

        Returns:
            ``score`` (n,) log-odds of blending, ``map`` (n, CELLS, CELLS) log-odds by cell, ``embedding`` (n, 256).
        """
        x = F.relu6(self._bn0(self._conv_stem((face - 127.0) / 128.0)))
        fine = x
        for i, block in enumerate(self._blocks):
            x = block(x)
            if i == FINE_BLOCK:
                fine = x
        x = self.mix(torch.cat([x, F.relu6(self.fine(fine))], 1))
        share = self.gate(x).flatten(2).softmax(-1)
        embedding = torch.cat([x.mean((2, 3)), (x.flatten(2) * share).sum(-1)], 1)
        cells = self.map(x)
        flat = cells.flatten(1)
        told = torch.stack([flat.topk(TOP, 1).values.mean(1), flat.mean(1)], 1)
        return {
            "score": self.head(torch.cat([self.drop(embedding), told], 1))[:, 0],
            "map": cells[:, 0],
            "embedding": embedding,
        }

    def load_backbone(self, path: Path) -> None:
        """ImageNet weights of EfficientNet-lite0 (a torch state dict); the blocks that are cut off are left out."""
        weights = torch.load(path, map_location="cpu", weights_only=True)
        own = self.state_dict()
        self.load_state_dict({k: v for k, v in weights.items() if k in own}, strict=False)


class Exported(nn.Module):
    """What ships: one face in the layout of a picture, and how far it lies from the training faces."""

    mean: Tensor
    whitening: Tensor

    def __init__(self, net: FaceSwapNet, mean: Tensor, whitening: Tensor) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", mean)
        self.register_buffer("whitening", whitening)

    def forward(self, face: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(1, SIDE, SIDE, 3) RGB 0..255 to ``score`` (1,), ``map`` (1, CELLS, CELLS) and ``distance`` (1,).

        The distance is Mahalanobis', scaled so that training faces lie at about 1.
        """
        out = self.net(face.permute(0, 3, 1, 2))
        distance = ((out["embedding"] - self.mean) @ self.whitening).square().sum(-1).sqrt()
        return out["score"], out["map"], distance


class FaceProbe(nn.Module):
    """(1, blocks, 768) class tokens of an aligned face to log-odds (1,) that a part of it was blended in."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, tokens: Tensor) -> Tensor:
        """Score."""
        score: Tensor = self.head(self.head.standardise(tokens.flatten(1)))[0]
        return score
