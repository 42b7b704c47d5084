"""Networks of `image.synthetic`: heads on CLIP's class tokens, and a small patch network that ships.

Both give a score (log-odds of a generated picture), log-odds of the family, and a distance from the training material
that is 1 where one in a hundred of it lies.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unmask_lab.nets.lite import Lite


class Distance(nn.Module):
    """Mahalanobis distance in the space of the largest principal components (Lee et al. 2018)."""

    def __init__(self, width: int, parts: int = 64) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("axes", torch.zeros(width, parts))
        self.register_buffer("scale", torch.ones(()))

    def fit(self, x: Tensor) -> None:
        """Learn from standardised (n, width) features; one in a hundred of them then lies beyond 1."""
        self.centre.copy_(x.mean(0))
        centred = x - self.centre
        parts = min(self.axes.shape[1], *x.shape)
        _, spread, axes = torch.pca_lowrank(centred, parts, center=False)
        self.axes.zero_()
        self.axes[:, :parts] = axes / (spread.square() / len(x)).clamp(min=1e-6).sqrt()
        self.scale.fill_(1.0)
        self.scale.fill_(float(self(x).quantile(0.99)))

    def forward(self, x: Tensor) -> Tensor:
        """(n, width) to (n,)."""
        return ((x - self.centre) @ self.axes).square().mean(1).sqrt() / self.scale


class Head(nn.Module):
    """Standardised features to a score and family log-odds, linear in both."""

    def __init__(self, width: int, families: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        self.linear = nn.Linear(width, 1 + families)

    def standardise(self, x: Tensor) -> Tensor:
        """(n, width) in units of the training material."""
        return (x - self.mean) / self.deviation

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(n, width) standardised to (n,) and (n, families)."""
        out = self.linear(x)
        return out[:, 0], out[:, 1:]


class TokenProbe(nn.Module):
    """(1, blocks, 768) class tokens to score (1,), families (1, f) and distance (1,)."""

    def __init__(self, head: Head, distance: Distance) -> None:
        super().__init__()
        self.head, self.distance = head, distance

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Score, families, distance."""
        x = self.head.standardise(tokens.flatten(1))
        score, families = self.head(x)
        return score, families, self.distance(x)


class Small(nn.Module):
    """(n, 3, 224, 224) of 0..255 RGB to the score as a whole picture, as a patch, families and distance.

    Mean and deviation over the places of each of the ``stages`` (numbers from 0) of the backbone.
    """

    def __init__(self, trunk: Lite, stages: Sequence[int], whole: Head, patch: Head, distance: Distance) -> None:
        super().__init__()
        self.trunk, self.stages = trunk, tuple(stages)
        self.whole, self.patch, self.distance = whole, patch, distance

    def forward(self, view: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Whole, patch, families, distance."""
        x = pooled([self.trunk(view)[i] for i in self.stages])
        as_patch = self.patch.standardise(x)
        whole, _ = self.whole(self.whole.standardise(x))
        patch, families = self.patch(as_patch)
        return whole, patch, families, self.distance(as_patch)


def pooled(maps: Sequence[Tensor]) -> Tensor:
    """(n, 2 * channels of all maps): mean and deviation over the places of each map, map by map."""
    parts = []
    for one in maps:
        mean = one.mean((2, 3))
        places = one.shape[2] * one.shape[3]
        spread = (one - mean[:, :, None, None]).square().sum((2, 3)) / (places - 1)
        parts += [mean, (spread + 1e-12).sqrt()]
    return torch.cat(parts, 1)
