"""Linear answers on the features of networks that are not tuned: main directions, and weighted logistic regression."""

from __future__ import annotations

import torch
from torch import Tensor

ITERATIONS = 60


def principal(z: Tensor, parts: int) -> Tensor:
    """(width, parts) axes of the largest variance of standardised (n, width) features."""
    axes: Tensor = torch.pca_lowrank(z, min(parts, *z.shape), center=False)[2]
    return axes


def logistic(x: Tensor, targets: Tensor, weight: Tensor, decay: float, steps: int = ITERATIONS) -> Tensor:
    """(width + 1, k) weights and biases of ``k`` weighted logistic regressions, the last row the biases.

    Args:
        x: (n, width) features.
        targets: (n, k), 0 or 1.
        weight: (n,), any scale.
        decay: strength of the ridge penalty.
        steps: iterations of L-BFGS.
    """
    share = (weight / weight.sum()).float()
    x = torch.cat([x, torch.ones(len(x), 1)], 1)
    found = torch.zeros(x.shape[1], targets.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([found], max_iter=steps, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        each = torch.nn.functional.binary_cross_entropy_with_logits(x @ found, targets, reduction="none")
        total = (each.sum(1) * share).sum() + decay / 2 * found[:-1].square().sum()
        total.backward()
        return total

    optimiser.step(loss)
    return found.detach()
