"""The voice network: Whisper's first encoder layers, attentive statistics over all of them, one linear answer.

The layers' outputs are joined frame by frame; an attention weighs the frames, and the weighted mean and deviation of
every channel (attentive statistics pooling, Okabe et al. 2018) are what the answer is linear in. So the network can
start as a logistic regression on the untouched layers, which is then tuned together with them (linear probing, then
fine-tuning: Kumar et al. 2022).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unmask_lab.nets.whisper import LogMel, Tower, load_tower

LAYERS = 4
FRAMES = 100
"""Positions that are kept: two seconds."""
ATTENTION = 64
DIRECTIONS = 32
_SMALLEST = 1e-6
Array = NDArray[np.float32]


class VoiceNet(nn.Module):
    """(batch, samples) at 16 kHz to log-odds of synthesis and, once `fit_drift` was called, a distance.

    ``distance``: how unlike the training material the pooled layers are; 1 is what one training clip in 200 exceeds.
    """

    def __init__(self, tower: Tower, layers: int = LAYERS, dropout: float = 0.2) -> None:
        super().__init__()
        width = layers * tower.conv1.out_channels
        self.mel = LogMel()
        self.tower = tower
        tower.positions = nn.Parameter(tower.positions[:FRAMES].clone(), requires_grad=False)
        self.attend = nn.Sequential(nn.Linear(width, ATTENTION), nn.Tanh(), nn.Linear(ATTENTION, 1))
        nn.init.zeros_(self.attend[2].weight)
        nn.init.zeros_(self.attend[2].bias)
        self.drop = nn.Dropout(dropout)
        self.answer = nn.Linear(2 * width, 1)
        for name, start in (("shift", 0.0), ("spread", 1.0), ("centre", 0.0), ("scale", 1.0)):
            self.register_buffer(name, torch.full((2 * width,), start))
        self.register_buffer("directions", torch.zeros(2 * width, DIRECTIONS))
        self.register_buffer("variances", torch.ones(DIRECTIONS))
        self.register_buffer("limits", torch.ones(2))

    def pool(self, mel: Tensor) -> Tensor:
        """(batch, 80, frames) to (batch, 2 * width): attentive mean and deviation of every channel."""
        x = torch.cat(self.tower(mel)[1:], -1).float()
        half = x.shape[-1]
        even = (x - self.shift[:half]) / (10 * self.spread[:half])
        weight = torch.softmax(self.attend(even).float(), 1)
        mean = (weight * x).sum(1)
        deviation = (weight * (x - mean[:, None]).square()).sum(1).clamp(min=_SMALLEST).sqrt()
        return torch.cat([mean, deviation], 1)

    def logit(self, mel: Tensor) -> Tensor:
        """(batch, 80, frames) to (batch,) log-odds; what training minimises over."""
        even: Tensor = (self.pool(mel) - self.shift) / self.spread
        return self.answer(self.drop(even)).float()[:, 0]

    def forward(self, wave: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(batch, samples) to ``score`` and ``distance``, (batch,) each, and ``layers``, what both rest on."""
        pooled = self.pool(self.mel(wave))
        return *self.answers(pooled), pooled

    def answers(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """``score`` and ``distance``, (batch,) each, of (batch, 2 * width) pooled layers."""
        even = (pooled - self.shift) / self.spread
        # Written as a sum, so that its few weights are stored as they are when the others become int8.
        return (even * self.answer.weight[0]).sum(1) + self.answer.bias, self.distance(pooled)

    def distance(self, pooled: Tensor) -> Tensor:
        """Mahalanobis distance along the main directions of the training material, and beside them, 1 at the limit."""
        even = (pooled - self.centre) / self.scale
        along = (even @ self.directions).square()
        beside = (even.square().sum(1) - along.sum(1)) / even.shape[1]
        inside = (along / self.variances).mean(1)
        return (inside + beside / self.limits[0]).clamp(min=0).sqrt() / self.limits[1]


def start_from(tower_file: Path, pooled: Array, truth: Array, weight: Array, layers: int = LAYERS) -> VoiceNet:
    """The network that answers as a weighted logistic regression on the untouched layers does.

    Args:
        tower_file: Whisper's weights, see `load_tower`.
        pooled: (n, 2 * width) plain mean and deviation of the layers' channels.
        truth: (n,) 0 or 1.
        weight: (n,) of each clip.
        layers: how many of the tower are kept.
    """
    net = VoiceNet(load_tower(tower_file, layers), layers)
    shift, spread = pooled.mean(0), pooled.std(0) + 1e-4
    direction, bias = linear_probe((pooled - shift) / spread, truth, weight)
    with torch.no_grad():
        net.shift.copy_(torch.from_numpy(shift))
        net.spread.copy_(torch.from_numpy(spread))
        net.answer.weight.copy_(direction[None])
        net.answer.bias.copy_(bias)
    return net


def linear_probe(
    features: Array, truth: Array, weight: Array, strength: float = 1e-3, rounds: int = 50
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


def rescaled(net: VoiceNet, shift: Tensor, spread: Tensor) -> VoiceNet:
    """The same function with another ``shift`` and ``spread``, (2 * width,) each: the layers behind them make up."""
    out = copy.deepcopy(net)
    first, half = out.attend[0], out.attend[0].in_features
    with torch.no_grad():
        for layer, size, ten in ((first, half, 10.0), (out.answer, 2 * half, 1.0)):
            moved = (shift[:size] - net.shift[:size]) / (ten * net.spread[:size])
            layer.bias.add_(layer.weight @ moved)
            layer.weight.mul_(spread[:size] / net.spread[:size])
        out.shift.copy_(shift)
        out.spread.copy_(spread)
    return out


def averaged(nets: Sequence[VoiceNet]) -> VoiceNet:
    """The mean of several networks' weights (a soup: Wortsman et al. 2022); they must share one start."""
    states = [rescaled(net, nets[0].shift, nets[0].spread).state_dict() for net in nets]
    out = copy.deepcopy(nets[0])
    out.load_state_dict({name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]})
    return out


def fit_drift(net: VoiceNet, pooled: Array, share: float = 0.995) -> None:
    """Set the distance from (n, 2 * width) pooled layers of the training material; ``share`` of them lie below 1."""
    x = torch.from_numpy(pooled)
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
