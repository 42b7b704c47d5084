"""How weights are stored in an ONNX file: int8 (one scale a channel), int4 (one every 32), float16, or as they are.

Whatever the form, they are brought back to float32 before they are used (DequantizeLinear, Cast), so a small file gives
the numbers of the ordinary float32 graph. Buffers of the module (windows, filter banks, sines) stay exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Form = Literal["int4", "int8", "float16", "float32"]
LEAST_VALUES = 1024
GROUP = 32
"""Inputs of an output channel that share a scale in ``int4``."""
DIVISORS = (7.0, 7.6, 8.25, 9.0, 10.0, 8.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0)
"""A group's largest value is one of these many steps: more than seven cut it where the rest gains by it, the whole
numbers find the step of a group that was rounded before."""
OPSET_FOR_INT4, IR_FOR_INT4 = 21, 10


def store_weights(graph: Any, form: Form, exact: Iterable[NDArray[np.float32]] = ()) -> tuple[Any, Any]:
    """Two ONNX models: one with its weights in ``form``, and one with the same values expanded to float32.

    Args:
        graph: a float32 ONNX model; it is not changed.
        form: ``int8`` (weights of convolutions and matrix products; other tables as float16), ``int4`` (the same, in
            groups of `GROUP` inputs; weights whose inputs do not divide so as int8), ``float16``, ``float32``.
        exact: arrays that stay float32, also where the graph holds them transposed.
    """
    stored, expanded = (onnx.ModelProto.FromString(graph.SerializeToString()) for _ in range(2))
    keep = {_key(form_) for array in exact for form_ in (array, array.T)}
    axes = _output_axes(graph)
    nodes: list[Any] = []
    scales: list[Any] = []
    for place, tensor in enumerate(graph.graph.initializer):
        values = numpy_helper.to_array(tensor)
        if form == "float32" or values.dtype != np.float32 or values.size < LEAST_VALUES or values.ndim < 2:
            continue
        if _key(values) in keep:
            continue
        made = _stored(tensor.name, values, form, axes.get(tensor.name))
        if not np.isfinite(made.again).all():
            continue
        nodes += made.nodes
        scales += made.scales
        stored.graph.initializer[place].CopyFrom(made.small)
        expanded.graph.initializer[place].CopyFrom(numpy_helper.from_array(made.again, tensor.name))
    stored.graph.initializer.extend(scales)
    rest = list(graph.graph.node)
    del stored.graph.node[:]
    stored.graph.node.extend([*nodes, *rest])
    if form == "int4":
        stored.ir_version = IR_FOR_INT4
        stored.opset_import[0].version = OPSET_FOR_INT4
    onnx.checker.check_model(stored)
    return stored, expanded


@dataclass(frozen=True)
class _Made:
    """``small``: what is stored; ``again``: the same in float32; ``nodes``: what makes one of the other."""

    small: Any
    again: NDArray[np.float32]
    nodes: list[Any]
    scales: list[Any]


def _stored(name: str, values: NDArray[np.float32], form: Form, axis: int | None) -> _Made:
    if axis is not None and form == "int4" and values.size // values.shape[axis] % GROUP == 0:
        return _four_bits(name, values, axis)
    if axis is not None and form in ("int4", "int8"):
        small, scale = to_int8(values, axis)
        names = [f"{name}.int8", f"{name}.scale"]
        node = helper.make_node("DequantizeLinear", names, [name], axis=axis)
        again = small.astype(np.float32) * _along(scale, values.ndim, axis)
        return _Made(
            numpy_helper.from_array(small, names[0]), again, [node], [numpy_helper.from_array(scale, names[1])]
        )
    half = values.astype(np.float16)
    node = helper.make_node("Cast", [f"{name}.float16"], [name], to=TensorProto.FLOAT)
    return _Made(numpy_helper.from_array(half, f"{name}.float16"), half.astype(np.float32), [node], [])


def _four_bits(name: str, values: NDArray[np.float32], axis: int) -> _Made:
    """Rows of `GROUP` inputs in four bits, their float16 scales beside them, brought back and reshaped by the graph.

    A weight of a matrix product stays as it lies, (inputs, outputs); one of a convolution is (outputs, inputs * size).
    """
    flat = values if axis == values.ndim - 1 else values.reshape(len(values), -1)
    along = 0 if axis == values.ndim - 1 else 1
    small, scale = to_int4(flat, along)
    packed = helper.make_tensor(f"{name}.int4", TensorProto.INT4, small.shape, _packed(small), raw=True)
    scales = [numpy_helper.from_array(scale, f"{name}.scale16")]
    nodes = [helper.make_node("Cast", [f"{name}.scale16"], [f"{name}.scale"], to=TensorProto.FLOAT)]
    plain = name if flat.shape == values.shape else f"{name}.flat"
    parts = [f"{name}.int4", f"{name}.scale"]
    nodes.append(helper.make_node("DequantizeLinear", parts, [plain], axis=along, block_size=GROUP))
    if plain != name:
        scales.append(numpy_helper.from_array(np.asarray(values.shape, np.int64), f"{name}.shape"))
        nodes.append(helper.make_node("Reshape", [plain, f"{name}.shape"], [name]))
    return _Made(packed, from_int4(small, scale, along).reshape(values.shape), nodes, scales)


def round_weights(module: Any, form: Form) -> None:
    """Give a torch module's linear and convolutional weights the values that `store_weights` will keep of them.

    What is fitted on the outputs of a rounded module fits what ships.
    """
    import torch

    for part in module.modules():
        if (
            isinstance(part, torch.nn.Linear | torch.nn.Conv1d | torch.nn.Conv2d)
            and part.weight.numel() >= LEAST_VALUES
        ):
            values = part.weight.detach().cpu().numpy()
            if isinstance(part, torch.nn.Linear):
                again = _stored("", np.ascontiguousarray(values.T), form, 1).again.T
            else:
                again = _stored("", values, form, 0).again
            part.weight.data = torch.from_numpy(np.array(again))


def to_int4(values: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """(values -8..7, scale of each `GROUP` along ``axis``) of a table; one that was rounded so comes back as it is."""
    rows = np.moveaxis(values, axis, -1)
    groups = rows.reshape(-1, GROUP)
    step = best_step(groups)
    small = _whole(groups, step).astype(np.int8).reshape(rows.shape)
    scale = step.reshape(*rows.shape[:-1], -1)
    return np.ascontiguousarray(np.moveaxis(small, -1, axis)), np.ascontiguousarray(np.moveaxis(scale, -1, axis))


def best_step(groups: NDArray[np.float32]) -> NDArray[np.float16]:
    """(n, 1) steps, each the one of a few with which four bits come nearest to a row of (n, `GROUP`)."""
    largest = np.abs(groups).max(-1, keepdims=True)
    least = np.full(largest.shape, np.inf, np.float32)
    best = np.ones(largest.shape, np.float16)
    for divisor in DIVISORS:
        step = (largest / np.float32(divisor)).astype(np.float16)
        step[step == 0] = 1
        error = np.square(_whole(groups, step) * step.astype(np.float32) - groups).sum(-1, keepdims=True)
        best = np.where(error < least, step, best)
        least = np.minimum(error, least)
    return best


def _whole(groups: NDArray[np.float32], step: NDArray[np.float16]) -> NDArray[np.float32]:
    return np.asarray(np.clip(np.rint(groups / step.astype(np.float32)), -8, 7))


def from_int4(small: NDArray[np.int8], scale: NDArray[np.float16], axis: int) -> NDArray[np.float32]:
    """The table that `to_int4` rounded."""
    return np.asarray(small * np.repeat(scale.astype(np.float32), GROUP, axis), np.float32)


def _packed(small: NDArray[np.int8]) -> bytes:
    """Two numbers a byte, the first in the low half."""
    halves = small.ravel().view(np.uint8) & 15
    return (halves[0::2] | (halves[1::2] << 4)).tobytes()


def to_int8(values: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """(int8 values -127..127, float32 scale of each channel along ``axis``); nearest value, zero stays zero."""
    others = tuple(i for i in range(values.ndim) if i != axis)
    scale = (np.abs(values).max(others) / 127).astype(np.float32)
    scale[scale == 0] = 1.0
    return np.rint(values / _along(scale, values.ndim, axis)).astype(np.int8), scale


def _along(scale: NDArray[np.float32], ndim: int, axis: int) -> NDArray[np.float32]:
    """The scale shaped so that it multiplies along ``axis``."""
    shape = [1] * ndim
    shape[axis] = -1
    return scale.reshape(shape)


def _output_axes(graph: Any) -> dict[str, int]:
    """Weight's name -> its output-channel axis, where every user is a convolution or a product with it."""
    dimensions = {tensor.name: len(tensor.dims) for tensor in graph.graph.initializer}
    found: dict[str, set[int | None]] = {}
    for node in graph.graph.node:
        for place, name in enumerate(node.input):
            if name in dimensions:
                found.setdefault(name, set()).add(_axis(node, place, dimensions[name]))
    one = {name: next(iter(axes)) for name, axes in found.items() if len(axes) == 1}
    return {name: axis for name, axis in one.items() if axis is not None}


def _axis(node: Any, place: int, ndim: int) -> int | None:
    if place != 1:
        return None
    if node.op_type == "Gemm":
        return 0 if any(a.name == "transB" and a.i for a in node.attribute) else 1
    return {"Conv": 0, "ConvTranspose": 1, "MatMul": ndim - 1}.get(node.op_type)


def _key(values: NDArray[np.float32]) -> tuple[tuple[int, ...], bytes]:
    return values.shape, np.ascontiguousarray(values, np.float32).tobytes()
