"""A tiny training run, also as a process of its own that a test can kill: FOLDER STEPS [STEP at which to hang]."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from unmask_lab.train.loop import Trainer, cosine

STEPS, EVERY, SEED = 40, 10, 3


def net() -> Any:
    torch.manual_seed(0)
    layers = [torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Dropout(0.2)]
    return torch.nn.Sequential(*layers, torch.nn.Linear(8, 1))


def batch(step: int) -> Any:
    x = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
    return x, (x[:, 0] > 0).float()


def loss(model: Any, tensors: Any) -> Any:
    return F.binary_cross_entropy_with_logits(model(tensors[0])[:, 0], tensors[1])


def validate(model: Any) -> dict[str, float]:
    x, wanted = batch(10_000)
    given = model(x)[:, 0]
    right = ((given > 0) == (wanted > 0)).float().mean()
    return {"right": float(right), "loss": float(F.binary_cross_entropy_with_logits(given, wanted))}


def trainer(folder: Path, seed: int = SEED, rate: float = 0.02, model: Any = None) -> Trainer:
    model = net() if model is None else model
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
    return Trainer(folder, model, optimiser, seed=seed, schedule=cosine(STEPS, 5), ema=0.9, amp=False)


def run(folder: Path, steps: int = STEPS, hang_at: int = -1) -> Path:
    def slow(step: int) -> Any:
        if step == hang_at:
            print("hanging", flush=True)
            time.sleep(600)
        return batch(step)

    return trainer(folder).run(slow, loss, validate, steps=steps, every=EVERY, keep="-loss")


if __name__ == "__main__":
    torch.set_num_threads(1)
    run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else -1)
