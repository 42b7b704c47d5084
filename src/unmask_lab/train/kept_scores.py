"""Keeps what an earlier version of the models of `image.synthetic` scores, where only the naming of families is new.

Score and distance stay what they were to the bit, so calibrations, thresholds and measured error rates stay true.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import numpy_helper

from unmask_lab.errors import LabError
from unmask_lab.nets.synthetic import Distance, Head

Weights = Mapping[str, NDArray[np.generic]]


def keep_scores(heads: Mapping[str, Head], distance: Distance, model: Path) -> None:
    """Give ``heads`` (by their names in the graph) and ``distance`` the numbers of a stored ``model``.

    The rows that name families stay: they were fitted on the same standardised features.

    Raises:
        LabError: ``train.file``, no such model, or its features are not standardised alike.
    """
    stored = _weights(model)
    with torch.no_grad():
        for name, head in heads.items():
            for part in ("mean", "deviation"):
                there, here = _tensor(stored, f"{name}.{part}", model), getattr(head, part)
                if there.shape != here.shape or not torch.allclose(there, here, rtol=1e-3, atol=1e-3):
                    raise LabError("train.file", f"{model} knows other pictures: its scores cannot be kept.")
                here.copy_(there)
            head.linear.weight[0] = _tensor(stored, f"{name}.linear.weight", model)[0]
            head.linear.bias[0] = _tensor(stored, f"{name}.linear.bias", model)[0]
        for part in ("centre", "axes", "scale"):
            getattr(distance, part).copy_(_tensor(stored, f"distance.{part}", model))


def _weights(model: Path) -> Weights:
    try:
        graph = onnx.load(str(model / "model.onnx")).graph
    except (OSError, ValueError, DecodeError) as error:
        raise LabError("train.file", f"{model} holds no model whose scores could be kept ({error}).") from error
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def _tensor(stored: Weights, name: str, model: Path) -> torch.Tensor:
    values = stored.get(name, stored.get(f"{name}.float16"))
    if values is None:
        raise LabError("train.file", f"{model} has no {name}: its scores cannot be kept.")
    return torch.from_numpy(np.array(values, np.float32))
