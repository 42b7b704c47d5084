"""The training loop that every recipe uses: resumable, averaged weights, early stop, checkpoints that survive a crash.

A step is a pure function of the seed, the step's number and the state before it: the batch is made from the step's
number, and the random generators are set anew at each step. So a run that was killed and started again ends with the
same weights as one that was not (on the same machine, with the same number of threads).

In the run's folder: ``log.jsonl`` (a line a validation), ``last.pt`` (all that is needed to go on) and ``best.pt`` (the
averaged weights of the best validation, read with `load_weights`).
"""

from __future__ import annotations

import contextlib
import copy
import fcntl
import io
import json
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unmask_lab.errors import LabError, disk_error
from unmask_lab.files import write_whole

Batch = Callable[[int], Any]
Loss = Callable[[Any, Any], Any]
Validate = Callable[[Any], Mapping[str, float]]


def cosine(steps: int, warmup: int = 0, last: float = 0.0) -> Callable[[int], float]:
    """A schedule: linear rise over ``warmup`` steps, then half a cosine down to ``last`` (share of the full rate)."""

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        done = min(1.0, (step - warmup) / max(1, steps - warmup))
        return last + (1 - last) * 0.5 * (1 + math.cos(math.pi * done))

    return factor


class Trainer:
    """Trains ``model`` in ``folder``; a folder that holds ``last.pt`` of the same run is continued.

    Args:
        folder: the run's folder, made where it is missing.
        model: a torch module; it is moved to ``device``.
        optimiser: over the model's parameters; its groups' rates are the full rates.
        seed: of everything random in the run.
        schedule: step -> factor on the full rates, for example `cosine`.
        ema: decay of the averaged weights a step (0: no averaging). The first steps average over fewer.
        device: ``cpu`` or ``cuda``.
        amp: bfloat16 in forward passes where the device computes it natively, float32 elsewhere.
        clip: largest norm of the gradient.
    """

    def __init__(
        self,
        folder: Path,
        model: Any,
        optimiser: Any,
        *,
        seed: int,
        schedule: Callable[[int], float],
        ema: float = 0.998,
        device: str = "cpu",
        amp: bool = True,
        clip: float = 1.0,
    ) -> None:
        self.folder = Path(folder)
        self.model = model.to(device)
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.optimiser = optimiser
        self.seed, self.schedule, self.ema, self.clip = seed, schedule, ema, clip
        self.device, self.amp = device, amp and native_bfloat16(device)
        self.step = 0
        self.best: float | None = None
        self.waited = 0
        self._rates = [group["lr"] for group in optimiser.param_groups]

    def run(
        self,
        batch: Batch,
        loss: Loss,
        validate: Validate,
        *,
        steps: int,
        every: int,
        keep: str,
        patience: int | None = None,
    ) -> Path:
        """Train to ``steps`` and return the path of ``best.pt``.

        Args:
            batch: step -> tensors (a tensor, or tuples, lists and dicts of them); a pure function of seed and step.
            loss: (model, tensors) -> scalar tensor.
            validate: averaged model in evaluation mode -> figures; called without gradients.
            steps: how many steps in all, those of an earlier part of the run included.
            every: validate and save after so many steps.
            keep: the figure whose largest value is kept as ``best.pt``; ``-name`` keeps the smallest, ``step`` the
                newest state (where nothing may be chosen by validation).
            patience: stop after so many validations without a better one.

        Raises:
            LabError: ``train.nan`` (a loss, gradient or figure that is not a number), ``train.other_run`` (the folder
                holds a run of another model or seed), ``train.busy``, ``train.checkpoint``, ``train.figure``,
                ``disk.full``, ``disk.write``. The last good checkpoint is always kept.
        """
        with self._alone():
            self._resume()
            losses: list[float] = []
            since = time.monotonic()
            while self.step < steps and not (patience is not None and self.waited >= patience):
                losses.append(self._advance(batch, loss))
                if self.step % every == 0 or self.step == steps:
                    figures = self._validate(validate, keep)
                    seconds = time.monotonic() - since
                    self._log({"loss": float(np.mean(losses)), "seconds": round(seconds, 1), **figures})
                    losses, since = [], time.monotonic()
            if self.best is None:
                raise LabError("train.steps", f"No step was asked for (steps={steps}), so there is nothing to keep.")
        return self.folder / "best.pt"

    def _advance(self, batch: Batch, loss: Loss) -> float:
        """One step; returns the loss."""
        seed_all(self.seed, self.step)
        for group, rate in zip(self.optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * self.schedule(self.step)
        self.model.train()
        tensors = to_device(batch(self.step), self.device)
        with torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=self.amp):
            value = loss(self.model, tensors)
        self._must_be_finite("loss", float(value.detach()))
        self.optimiser.zero_grad(set_to_none=True)
        value.backward()
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.clip)
        self._must_be_finite("gradient", float(norm))
        self.optimiser.step()
        self.step += 1
        self._blend()
        return float(value.detach())

    def _blend(self) -> None:
        """Move the averaged weights a little towards the present ones."""
        decay = min(self.ema, (1 + self.step) / (10 + self.step))
        now = self.model.state_dict()
        with torch.no_grad():
            for name, mean in self.average.state_dict().items():
                if mean.is_floating_point() and self.ema:
                    mean.lerp_(now[name].to(mean.dtype), 1 - decay)
                else:
                    mean.copy_(now[name])

    def _validate(self, validate: Validate, keep: str) -> dict[str, float]:
        """Validate, keep the best, save; returns the figures."""
        self.average.eval()
        seed_all(self.seed, -1)
        with torch.no_grad():
            # Plain names and numbers: a checkpoint that holds NumPy's is refused by torch's safe reader.
            figures = {str(name): float(value) for name, value in validate(self.average).items()}
        figures.setdefault("step", float(self.step))
        name = keep.removeprefix("-")
        if name not in figures:
            raise LabError("train.figure", f"Validation gives {', '.join(figures)}, but {name!r} is to be kept.")
        self._must_be_finite(f"figure {name}", figures[name])
        value = -figures[name] if keep.startswith("-") else figures[name]
        if self.best is None or value > self.best:
            self.best, self.waited = value, 0
            self._save("best.pt", {"model": self.average.state_dict(), "step": self.step, "figures": figures})
        else:
            self.waited += 1
        self._save("last.pt", self._state())
        return figures

    def _state(self) -> dict[str, Any]:
        return {
            "run": self._fingerprint(),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "best": self.best,
            "waited": self.waited,
        }

    def _fingerprint(self) -> str:
        """What must be the same for a run to be continued: the seed and the model's shapes."""
        shapes = {name: list(value.shape) for name, value in self.model.state_dict().items()}
        return json.dumps({"seed": self.seed, "ema": self.ema, "shapes": shapes}, sort_keys=True)

    def _resume(self) -> None:
        path = self.folder / "last.pt"
        if not path.exists():
            return
        state = read_checkpoint(path, self.device)
        if state.get("run") != self._fingerprint():
            raise LabError(
                "train.other_run",
                f"{self.folder} holds a run of another model or seed. Choose another folder, or move that one away.",
            )
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.best, self.waited = state["step"], state["best"], state["waited"]
        self._cut_log()

    def _save(self, name: str, state: Mapping[str, Any]) -> None:
        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        write_whole(self.folder / name, buffer.getvalue())

    def _cut_log(self) -> None:
        """Drop lines of steps that will be made again, and a line that was cut off."""
        path = self.folder / "log.jsonl"
        kept = []
        for line in path.read_text("utf-8").splitlines() if path.exists() else []:
            with contextlib.suppress(ValueError):
                if json.loads(line)["step"] <= self.step:
                    kept.append(line + "\n")
        write_whole(path, "".join(kept).encode())

    def _log(self, figures: Mapping[str, float]) -> None:
        entry = {"step": self.step, "rate": self.schedule(self.step - 1), "best": abs(self.best or 0.0)}
        entry |= {name: value for name, value in figures.items() if name != "step"}
        line = json.dumps({k: round(v, 6) if isinstance(v, float) else v for k, v in entry.items()})
        path = self.folder / "log.jsonl"
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise disk_error(path, error) from error
        print(line, flush=True)

    def _must_be_finite(self, what: str, value: float) -> None:
        if not math.isfinite(value):
            kept = "last.pt holds the last good state" if (self.folder / "last.pt").exists() else "nothing was saved"
            raise LabError(
                "train.nan",
                f"The {what} at step {self.step} is {value}, so training stops; {kept}. "
                "Lower the rate, or look at the batch of this step.",
            )

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Only one process trains in a folder."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / ".lock").open("w")
        except OSError as error:
            raise disk_error(self.folder, error) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise LabError("train.busy", f"Another process trains in {self.folder}.") from error
            for left in self.folder.glob(".*.pt.*"):
                left.unlink()  # half-written when an earlier process was killed
            yield


def native_bfloat16(device: str) -> bool:
    """Whether the device computes bfloat16 itself; where it does not, bfloat16 can be fifty times slower."""
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported())
    return not _cpu_flags().isdisjoint({"avx512_bf16", "amx_bf16", "bf16"})


def _cpu_flags() -> set[str]:
    """The processor's features as Linux names them; empty elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return set()
    lines = (line.partition(":")[2] for line in text.splitlines() if line.lower().startswith(("flags", "features")))
    return set(next(iter(lines), "").split())


def seed_all(seed: int, step: int) -> None:
    """Set every random generator from the seed and the step; a step of -1 is validation."""
    state = int(np.random.SeedSequence([seed, step + 1]).generate_state(1)[0])
    torch.manual_seed(state)
    np.random.seed(state)
    random.seed(state)


def to_device(tensors: Any, device: str) -> Any:
    """Tensors, or tuples, lists and dicts of them, on the device; anything else as it is."""
    if isinstance(tensors, torch.Tensor):
        return tensors.to(device, non_blocking=True)
    if isinstance(tensors, dict):
        return {key: to_device(value, device) for key, value in tensors.items()}
    if isinstance(tensors, list | tuple):
        return type(tensors)(to_device(value, device) for value in tensors)
    return tensors


def read_checkpoint(path: Path, device: str = "cpu") -> dict[str, Any]:
    """A checkpoint's content; tensors and plain values only, never code.

    Raises:
        LabError: ``train.checkpoint``, missing or damaged.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise LabError(
            "train.checkpoint",
            f"{path} cannot be read ({type(error).__name__}): remove it to start anew, or restore it from a copy.",
        ) from error
    if not isinstance(state, dict) or "model" not in state:
        raise LabError("train.checkpoint", f"{path} is not a checkpoint of this laboratory.")
    return state


def load_weights(path: Path, model: Any) -> dict[str, float]:
    """Put the averaged weights of ``best.pt`` into ``model`` and return its validation figures.

    Raises:
        LabError: ``train.checkpoint``, missing, damaged or of another model.
    """
    state = read_checkpoint(path)
    try:
        model.load_state_dict(state["model"])
    except RuntimeError as error:
        raise LabError("train.checkpoint", f"{path} belongs to another model: {str(error).splitlines()[-1]}") from error
    return dict(state.get("figures", {}))
