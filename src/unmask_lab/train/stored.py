"""How weights are stored in an ONNX file: int8 with a scale an output channel, float16, or as they are.

Whatever the form, they are brought back to float32 before they are used (DequantizeLinear, Cast), so a small file gives
the numbers of the ordinary float32 graph. Buffers of the module (windows, filter banks, sines) stay exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Form = Literal["int8", "float16", "float32"]
LEAST_VALUES = 1024


def store_weights(graph: Any, form: Form, exact: Iterable[NDArray[np.float32]] = ()) -> tuple[Any, Any]:
    """Two ONNX models: one with its weights in ``form``, and one with the same values expanded to float32.

    Args:
        graph: a float32 ONNX model; it is not changed.
        form: ``int8`` (weights of convolutions and matrix products; other tables as float16), ``float16``, ``float32``.
        exact: arrays that stay float32, also where the graph holds them transposed.
    """
    stored, expanded = (onnx.ModelProto.FromString(graph.SerializeToString()) for _ in range(2))
    keep = {_key(form_) for array in exact for form_ in (array, array.T)}
    axes = _output_axes(graph)
    nodes, scales = [], []
    for place, tensor in enumerate(graph.graph.initializer):
        values = numpy_helper.to_array(tensor)
        if form == "float32" or values.dtype != np.float32 or values.size < LEAST_VALUES or values.ndim < 2:
            continue
        if _key(values) in keep:
            continue
        axis = axes.get(tensor.name) if form == "int8" else None
        if axis is not None:
            small, scale = to_int8(values, axis)
            again = small.astype(np.float32) * _along(scale, values.ndim, axis)
            names = [f"{tensor.name}.int8", f"{tensor.name}.scale"]
            scales.append(numpy_helper.from_array(scale, names[1]))
            nodes.append(helper.make_node("DequantizeLinear", names, [tensor.name], axis=axis))
        else:
            small = values.astype(np.float16)
            again = small.astype(np.float32)
            if not np.isfinite(again).all():
                continue
            names = [f"{tensor.name}.float16"]
            nodes.append(helper.make_node("Cast", names, [tensor.name], to=TensorProto.FLOAT))
        stored.graph.initializer[place].CopyFrom(numpy_helper.from_array(small, names[0]))
        expanded.graph.initializer[place].CopyFrom(numpy_helper.from_array(again, tensor.name))
    stored.graph.initializer.extend(scales)
    rest = list(graph.graph.node)
    del stored.graph.node[:]
    stored.graph.node.extend([*nodes, *rest])
    onnx.checker.check_model(stored)
    return stored, expanded


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
