"""Weights rounded to four bits so that a network's outputs, rather than its weights, stay as they were.

GPTQ (Frantar, Ashkboos, Hoefler, Alistarh 2023): inputs are rounded one after the other, and what each rounding changes
in the output is made up for by the inputs that are still to come, as far as what the layer sees lets them.
"""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unmask_lab.train.stored import GROUP, LEAST_VALUES, best_step, round_weights

DAMPING = 0.01
"""Of the mean square of a layer's inputs, added to each: inputs that never vary must not take over."""
MOST_ROWS = 8000


def round_to_four_bits(net: nn.Module, run: Any, seed: int = 0) -> None:
    """Round all linear and convolutional weights of ``net``, first to last; each sees what the rounded before it give.

    Args:
        net: changed in place. Weights whose inputs do not divide by `GROUP` get 8 bits, as `store_weights` keeps them.
        run: called without arguments, it sends material through ``net``, in one batch.
        seed: of the choice among what a layer saw, where that is more than `MOST_ROWS`.
    """
    for part in _in_order(net, run):
        if part.weight[0].numel() % GROUP:
            round_weights(part, "int4")
            continue
        seen = _inputs(part, run, seed)
        values = part.weight.detach().flatten(1).double().numpy()
        part.weight.data = torch.from_numpy(_rounded(values, seen).reshape(part.weight.shape))


def _in_order(net: nn.Module, run: Any) -> list[Any]:
    """The layers with weights worth rounding, as they are called."""
    order: list[Any] = []
    kinds = (nn.Linear, nn.Conv1d)
    hooks = [
        part.register_forward_pre_hook(lambda part, _: order.append(part) if part not in order else None)
        for part in net.modules()
        if isinstance(part, kinds) and part.weight.numel() >= LEAST_VALUES
    ]
    _quietly(run, hooks)
    return order


class _SeenError(Exception):
    """The layer has seen its inputs: what comes after it need not be computed."""


def _inputs(part: Any, run: Any, seed: int) -> NDArray[np.float64]:
    """(inputs, inputs) mean products of what a layer sees in its first call."""
    rows: list[Tensor] = []

    def keep(part: Any, given: tuple[Tensor, ...]) -> None:
        x = given[0].float()
        if isinstance(part, nn.Conv1d):
            padded = nn.functional.pad(x, (int(part.padding[0]),) * 2)
            x = padded.unfold(2, int(part.kernel_size[0]), int(part.stride[0])).permute(0, 2, 1, 3).flatten(2)
        rows.append(x.reshape(-1, x.shape[-1]))
        raise _SeenError

    with contextlib.suppress(_SeenError):
        _quietly(run, [part.register_forward_pre_hook(keep)])
    seen = torch.cat(rows).numpy()
    if len(seen) > MOST_ROWS:
        seen = seen[np.random.default_rng(seed).choice(len(seen), MOST_ROWS, replace=False)]
    return np.asarray(seen.T @ seen / len(seen), np.float64)


def _quietly(run: Any, hooks: list[Any]) -> None:
    try:
        with torch.no_grad():
            run()
    finally:
        for hook in hooks:
            hook.remove()


def _rounded(values: NDArray[np.float64], products: NDArray[np.float64]) -> NDArray[np.float32]:
    """(outputs, inputs) rounded in groups of `GROUP` inputs."""
    left, out = values.copy(), np.zeros_like(values)
    products = products + np.eye(len(products)) * (DAMPING * np.trace(products) / len(products))
    upper = np.linalg.cholesky(np.linalg.inv(products)).T
    for first in range(0, left.shape[1], GROUP):
        last = first + GROUP
        step = best_step(left[:, first:last].astype(np.float32)).astype(np.float64)
        errors = np.zeros((len(left), GROUP))
        for at in range(first, last):
            out[:, at] = np.clip(np.rint(left[:, at] / step[:, 0]), -8, 7) * step[:, 0]
            error = (left[:, at] - out[:, at]) / upper[at, at]
            left[:, at + 1 : last] -= np.outer(error, upper[at, at + 1 : last])
            errors[:, at - first] = error
        left[:, last:] -= errors @ upper[first:last, last:]
    return out.astype(np.float32)
