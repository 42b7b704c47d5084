"""The network of `voice.synthetic`: a linear answer on what the shallow layers of two speech recognisers do over time.

Whisper reads a log-mel spectrogram, Moonshine the waveform. Of every channel of their first layers three numbers are
kept: the mean over the clip, the deviation, and the change from one frame to the next, because a machine's voice moves
more evenly than a throat. The networks themselves stay untouched: on little data tuning them learns the sources.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unmask_lab.nets.moonshine import Moonshine
from unmask_lab.nets.whisper import LogMel, Tower

LAYERS = 4
FRAMES = 100
"""Positions of Whisper that are kept: two seconds."""
DIRECTIONS = 32
_SMALLEST = 1e-6
Array = NDArray[np.float32]


class VoiceNet(nn.Module):
    """(batch, samples) at 16 kHz to log-odds of synthesis, a distance and Whisper's pooled layers.

    ``distance``: how unlike the training material Whisper's layers are; 1 is what one training clip in 200 exceeds.
    """

    def __init__(self, tower: Tower, other: Moonshine) -> None:
        super().__init__()
        self.mel, self.tower, self.other = LogMel(), tower, other
        tower.positions = nn.Parameter(tower.positions[:FRAMES].clone(), requires_grad=False)
        self.seen = 2 * len(tower.blocks) * tower.conv1.out_channels
        width = 3 * (self.seen // 2 + len(other.blocks) * other.conv1.out_channels)
        self.answer = nn.Linear(width, 1)
        for name, size, start in (("shift", width, 0.0), ("spread", width, 1.0), ("centre", self.seen, 0.0)):
            self.register_buffer(name, torch.full((size,), start))
        self.register_buffer("scale", torch.ones(self.seen))
        self.register_buffer("directions", torch.zeros(self.seen, DIRECTIONS))
        self.register_buffer("variances", torch.ones(DIRECTIONS))
        self.register_buffer("limits", torch.ones(2))

    def pool(self, wave: Tensor) -> Tensor:
        """(batch, samples) to (batch, width): Whisper's means and deviations, Moonshine's, then the changes of both."""
        parts = [torch.cat(layers[1:], -1).float() for layers in (self.tower(self.mel(wave)), self.other(wave))]
        states = [part for x in parts for part in (x.mean(1), _root(x - x.mean(1, keepdim=True)))]
        return torch.cat([*states, *(_root(x[:, 1:] - x[:, :-1]) for x in parts)], 1)

    def forward(self, wave: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(batch, samples) to ``score`` and ``distance``, (batch,) each, and ``layers``, Whisper's share."""
        pooled = self.pool(wave)
        return *self.answers(pooled), pooled[:, : self.seen]

    def answers(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """``score`` and ``distance``, (batch,) each, of (batch, width) pooled layers."""
        even = (pooled - self.shift) / self.spread
        # Written as a sum, so that its few weights are stored as they are when the others become small.
        return (even * self.answer.weight[0]).sum(1) + self.answer.bias, self.distance(pooled)

    def distance(self, pooled: Tensor) -> Tensor:
        """Mahalanobis distance along the main directions of the training material, and beside them, 1 at the limit."""
        even = (pooled[:, : self.seen] - self.centre) / self.scale
        along = (even @ self.directions).square()
        beside = (even.square().sum(1) - along.sum(1)) / even.shape[1]
        inside = (along / self.variances).mean(1)
        return (inside + beside / self.limits[0]).clamp(min=0).sqrt() / self.limits[1]


def _root(x: Tensor) -> Tensor:
    """(batch, frames, channels) to (batch, channels): root of the mean square over time."""
    return x.square().mean(1).clamp(min=_SMALLEST).sqrt()


def fit_answer(net: VoiceNet, pooled: Array, truth: Array, weight: Array) -> None:
    """Answer as a weighted logistic regression on (n, width) ``pooled`` does; ``truth`` and ``weight`` are (n,)."""
    shift, spread = pooled.mean(0), pooled.std(0) + 1e-4
    direction, bias = linear_probe((pooled - shift) / spread, truth, weight)
    with torch.no_grad():
        net.shift.copy_(torch.from_numpy(shift))
        net.spread.copy_(torch.from_numpy(spread))
        net.answer.weight.copy_(direction[None])
        net.answer.bias.copy_(bias)


def linear_probe(
    features: Array, truth: Array, weight: Array, strength: float = 4e-4, rounds: int = 50
) -> tuple[Tensor, Tensor]:
    """Weighted logistic regression with a ridge: (width,) direction and (1,) bias.

    Args:
        features: (n, width), each column of mean 0 and deviation 1.
        truth: (n,) 0 or 1.
        weight: (n,), of any mean.
        strength: of the data against the ridge, as scikit-learn's C.
        rounds: of L-BFGS.
    """
    x, y = torch.from_numpy(features), torch.from_numpy(truth).float()
    share = torch.from_numpy(weight / weight.mean()).float()
    direction = torch.zeros(x.shape[1], requires_grad=True)
    bias = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.LBFGS([direction, bias], max_iter=rounds, line_search_fn="strong_wolfe")

    def cost() -> Tensor:
        optimiser.zero_grad()
        losses = nn.functional.binary_cross_entropy_with_logits(x @ direction + bias, y, reduction="none")
        value: Tensor = strength * (share * losses).sum() + 0.5 * direction.square().sum()
        value.backward()
        return value

    optimiser.step(cost)
    return direction.detach(), bias.detach()


def fit_drift(net: VoiceNet, pooled: Array, share: float = 0.995) -> None:
    """Set the distance from (n, width) pooled layers of the training material; ``share`` of them lie below 1."""
    x = torch.from_numpy(np.ascontiguousarray(pooled[:, : net.seen]))
    with torch.no_grad():
        net.centre.copy_(x.mean(0))
        net.scale.copy_(x.std(0) + 1e-4)
        even = (x - net.centre) / net.scale
        _, lengths, vectors = torch.pca_lowrank(even, DIRECTIONS, center=False, niter=4)
        net.directions.copy_(vectors)
        net.variances.copy_(lengths.square() / len(x))
        beside = (even.square().sum(1) - (even @ vectors).square().sum(1)) / even.shape[1]
        net.limits.copy_(torch.tensor([float(beside.mean()), 1.0]))
        net.limits[1] = torch.quantile(net.distance(x), share)
