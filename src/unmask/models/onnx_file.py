"""The little of the ONNX file format that unfolding a quantised network needs, without the onnx package.

An ONNX file is one protocol-buffer message. Messages are read as flat lists of fields and written field by field;
what is not changed is copied byte for byte. Field numbers are those of onnx.proto (ONNX 1.x, IR version 7) and the
encoding is that of the Protocol Buffers documentation, "Encoding".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask.errors import ModelError

VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5
FLOAT, INT8, INT64 = 1, 3, 7
NUMBERS: dict[int, np.dtype[Any]] = {FLOAT: np.dtype("<f4"), INT8: np.dtype("i1")}
MODEL_GRAPH = 7
GRAPH_NODE, GRAPH_NAME, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT = 1, 2, 5, 11, 12
NODE_INPUT, NODE_OUTPUT, NODE_NAME, NODE_OP, NODE_ATTRIBUTE = 1, 2, 3, 4, 5
TENSOR_DIMS, TENSOR_TYPE, TENSOR_FLOATS, TENSOR_INTS, TENSOR_NAME, TENSOR_RAW = 1, 2, 4, 5, 8, 9
TENSOR_EXTERNAL, TENSOR_LOCATION = 13, 14
ATTRIBUTE_NAME, ATTRIBUTE_INT, ATTRIBUTE_TYPE, ATTRIBUTE_IS_INT = 1, 3, 20, 2

Value = int | memoryview


def fields(data: bytes | memoryview) -> Iterator[tuple[int, Value]]:
    """(field number, value) of one message, in file order; strings, messages and fixed numbers stay bytes.

    Raises:
        ModelError: ``model.unreadable``, the bytes are no such message.
    """
    view, at = memoryview(data), 0
    while at < len(view):
        key, at = _varint(view, at)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = _varint(view, at)
            yield number, value
            continue
        if wire == DELIMITED:
            length, at = _varint(view, at)
        elif wire in (FIXED32, FIXED64):
            length = 4 if wire == FIXED32 else 8
        else:
            raise _unreadable()
        if at + length > len(view):
            raise _unreadable()
        yield number, view[at : at + length]
        at += length


def encoded(number: int, value: int | bytes | memoryview) -> bytes:
    """One field: a number as a varint, bytes with their length before them."""
    if isinstance(value, int):
        return _key(number, VARINT) + _number(value)
    return _key(number, DELIMITED) + _number(len(value)) + bytes(value)


def strings(number: int, values: Iterable[str]) -> bytes:
    """A repeated field of strings."""
    return b"".join(encoded(number, value.encode()) for value in values)


@dataclass(frozen=True)
class Node:
    """One operation: its kind, the names of the values it reads and makes, and its bytes."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    data: bytes


def read_node(data: memoryview) -> Node:
    """A ``NodeProto``."""
    inputs, outputs, op = [], [], ""
    for number, value in fields(data):
        if number == NODE_INPUT:
            inputs.append(text(value))
        elif number == NODE_OUTPUT:
            outputs.append(text(value))
        elif number == NODE_OP:
            op = text(value)
    return Node(op, tuple(inputs), tuple(outputs), bytes(data))


def make_node(op: str, inputs: Iterable[str], output: str, **attributes: int) -> Node:
    """A node with one output and whole-number attributes."""
    inputs = tuple(inputs)
    data = strings(NODE_INPUT, inputs) + strings(NODE_OUTPUT, (output,)) + strings(NODE_NAME, (f"{output}_node",))
    data += strings(NODE_OP, (op,))
    for name, value in attributes.items():
        attribute = strings(ATTRIBUTE_NAME, (name,)) + encoded(ATTRIBUTE_INT, value)
        data += encoded(NODE_ATTRIBUTE, attribute + encoded(ATTRIBUTE_TYPE, ATTRIBUTE_IS_INT))
    return Node(op, inputs, (output,), data)


@dataclass(frozen=True)
class Weights:
    """One constant array of the graph as it lies in the file."""

    name: str
    kind: int
    shape: tuple[int, ...]
    data: memoryview

    def stored(self) -> NDArray[Any]:
        """The values as they are, 8-bit whole numbers or floats.

        Raises:
            ModelError: another kind of number, or not as many as the shape says.
        """
        raw, floats, ints = b"", b"", b""
        for number, value in fields(self.data):
            if number == TENSOR_RAW:
                raw = bytes(_bytes(value))
            elif number == TENSOR_FLOATS:
                floats += bytes(_bytes(value))
            elif number == TENSOR_INTS:
                ints += bytes([value & 0xFF]) if isinstance(value, int) else _packed_bytes(value)
        if self.kind not in NUMBERS:
            raise _unreadable()
        values = np.frombuffer(raw or (floats if self.kind == FLOAT else ints), NUMBERS[self.kind])
        if values.size != int(np.prod(self.shape)):
            raise _unreadable()
        return values.reshape(self.shape)


def read_weights(data: memoryview) -> Weights:
    """A ``TensorProto``; its values are looked at only when asked for."""
    shape: list[int] = []
    kind, name = 0, ""
    for number, value in fields(data):
        if number == TENSOR_DIMS:
            shape += [value] if isinstance(value, int) else list(_varints(value))
        elif number == TENSOR_TYPE and isinstance(value, int):
            kind = value
        elif number == TENSOR_NAME:
            name = text(value)
    return Weights(name, kind, tuple(shape), data)


def raw_tensor(name: str, kind: int, shape: tuple[int, ...], raw: bytes) -> bytes:
    """A ``TensorProto`` that holds its values."""
    head = b"".join(encoded(TENSOR_DIMS, n) for n in shape) + encoded(TENSOR_TYPE, kind)
    return head + strings(TENSOR_NAME, (name,)) + encoded(TENSOR_RAW, raw)


def external_tensor(name: str, kind: int, shape: tuple[int, ...], file: str, offset: int, length: int) -> bytes:
    """A ``TensorProto`` whose values lie in another file of the same folder."""
    head = b"".join(encoded(TENSOR_DIMS, n) for n in shape) + encoded(TENSOR_TYPE, kind) + strings(TENSOR_NAME, (name,))
    entries = (("location", file), ("offset", str(offset)), ("length", str(length)))
    places = b"".join(encoded(TENSOR_EXTERNAL, strings(1, (key,)) + strings(2, (value,))) for key, value in entries)
    return head + places + encoded(TENSOR_LOCATION, 1)


def float_value(name: str, shape: tuple[int, ...]) -> bytes:
    """A ``ValueInfoProto``: a float32 input or output of a fixed shape."""
    dims = b"".join(encoded(1, encoded(1, n)) for n in shape)
    return strings(1, (name,)) + encoded(2, encoded(1, encoded(1, FLOAT) + encoded(2, dims)))


def text(value: Value) -> str:
    """A field that is a name."""
    try:
        return str(_bytes(value), "utf-8")
    except UnicodeDecodeError as error:
        raise _unreadable() from error


def message(value: Value) -> memoryview:
    """A field that is a message."""
    return _bytes(value)


def _bytes(value: Value) -> memoryview:
    if isinstance(value, int):
        raise _unreadable()
    return value


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while at < len(view) and shift < 64:
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise _unreadable()


def _varints(view: memoryview) -> Iterator[int]:
    at = 0
    while at < len(view):
        value, at = _varint(view, at)
        yield value


def _packed_bytes(view: memoryview) -> bytes:
    """Packed 32-bit numbers that stand for 8-bit ones; negative ones are written in ten bytes."""
    return bytes(value & 0xFF for value in _varints(view))


def _key(number: int, wire: int) -> bytes:
    return _number(number << 3 | wire)


def _number(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _unreadable() -> ModelError:
    return ModelError("model.unreadable", "The file is no ONNX network of the form that is expected.")
