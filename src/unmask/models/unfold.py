"""Unfolds a dynamically quantised network into one that computes in float32.

Dynamic quantisation multiplies 8-bit inputs, rounded anew for each picture, with 8-bit weights (``MatMulInteger``).
Its result depends on the processor: without VNNI the products saturate silently. Here each of these multiplications
becomes an ordinary one with the same weights in float32, so that every machine computes the same. The weights stay
8-bit numbers in the file and in memory, a quarter of the room; the graph makes them ``(q - zero) * scale``, one
subtraction and one multiplication that round alike everywhere, when it multiplies. The unfolded file has the same hash
wherever it is made.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from unmask.errors import ModelError
from unmask.models import onnx_file as onnx
from unmask.models.onnx_file import Node, Weights

ALIGNMENT = 64
EXTERNAL_FROM = 1024  # bytes; smaller arrays stay in the graph's file


class Graph:
    """A network's parts by name; what is not known is kept as it is."""

    def __init__(self, data: memoryview) -> None:
        self.head = b""
        self.nodes: list[Node] = []
        self.weights: dict[str, Weights] = {}
        self.inputs: list[str] = []
        graph: memoryview | None = None
        for number, value in onnx.fields(data):
            if number == onnx.MODEL_GRAPH:
                graph = onnx.message(value)
            else:
                self.head += onnx.encoded(number, value if isinstance(value, int) else bytes(value))
        for number, value in onnx.fields(graph or b""):
            if number == onnx.GRAPH_NODE:
                self.nodes.append(onnx.read_node(onnx.message(value)))
            elif number == onnx.GRAPH_INITIALIZER:
                weights = onnx.read_weights(onnx.message(value))
                self.weights[weights.name] = weights
            elif number == onnx.GRAPH_INPUT:
                self.inputs.append(next(onnx.text(v) for n, v in onnx.fields(onnx.message(value)) if n == 1))
        self.maker = {output: node for node in self.nodes for output in node.outputs}

    def readers(self, name: str) -> list[Node]:
        """The nodes that read a value."""
        return [node for node in self.nodes if name in node.inputs]


def unfold(source: Path, target: Path, tokens: Mapping[str, str], shape: tuple[int, ...], name: str = "pixels") -> None:
    """Write ``target`` (graph) and ``target`` with ``.bin`` (weights): one input, one token of each output.

    Args:
        source: a dynamically quantised ONNX file with one input.
        target: an ``.onnx`` path; both files are made anew.
        tokens: output name -> value of shape (1, tokens, width) in the graph whose first token it shall be. What none
            of these needs is left out.
        shape: of the one input, which is called ``name``.
        name: of the input.

    Raises:
        ModelError: ``model.unreadable``, the file is not of this form. OSError: no room.
    """
    with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        _unfold(memoryview(mapped[:]), target, tokens, shape, name)


def _unfold(data: memoryview, target: Path, tokens: Mapping[str, str], shape: tuple[int, ...], name: str) -> None:
    graph = Graph(data)
    if len(graph.inputs) != 1 or not set(tokens.values()) <= set(graph.maker):
        raise ModelError("model.unreadable", f"The network in {target.name} is not the one that is expected.")
    nodes = _replaced(graph)
    nodes.insert(0, onnx.make_node("Identity", (name,), graph.inputs[0]))
    nodes += [onnx.make_node("Gather", (value, "first_token"), output, axis=1) for output, value in tokens.items()]
    nodes = _needed(nodes, tokens)
    width = {output: _width(graph, value) for output, value in tokens.items()}
    read = {i for node in nodes for i in node.inputs}
    with target.with_suffix(".bin").open("wb") as store:
        parts = [onnx.encoded(onnx.GRAPH_NODE, node.data) for node in nodes]
        parts.append(onnx.encoded(onnx.GRAPH_NAME, target.stem.encode()))
        first = onnx.raw_tensor("first_token", onnx.INT64, (), bytes(8))
        parts.append(onnx.encoded(onnx.GRAPH_INITIALIZER, first))
        for weights in graph.weights.values():
            if weights.name in read:
                parts.append(onnx.encoded(onnx.GRAPH_INITIALIZER, _stored(weights, store)))
    parts.append(onnx.encoded(onnx.GRAPH_INPUT, onnx.float_value(name, shape)))
    parts += [onnx.encoded(onnx.GRAPH_OUTPUT, onnx.float_value(o, (shape[0], width[o]))) for o in tokens]
    target.write_bytes(graph.head + onnx.encoded(onnx.MODEL_GRAPH, b"".join(parts)))


def _replaced(graph: Graph) -> list[Node]:
    """All nodes, each quantised multiplication as an ordinary one of weights that are made float32 before it."""
    instead: dict[str, list[Node]] = {}
    for node in graph.nodes:
        if node.op == "MatMulInteger":
            instead |= _multiplication(graph, node)
    return [new for node in graph.nodes for new in instead.get(node.outputs[0], [node])]


def _multiplication(graph: Graph, node: Node) -> dict[str, list[Node]]:
    """``DynamicQuantizeLinear, MatMulInteger, Cast, Mul`` as one ``MatMul``, by the name of what it makes.

    The scale is itself a product of the input's scale and the weights' scales; only the latter stay.
    """
    try:
        quantised, weights = graph.maker[node.inputs[0]], graph.weights[node.inputs[1]]
        zero = graph.weights[node.inputs[3]]
        (cast,) = graph.readers(node.outputs[0])
        (scaled,) = graph.readers(cast.outputs[0])
        product = graph.maker[next(i for i in scaled.inputs if i != cast.outputs[0])]
        scale = graph.weights[next(i for i in product.inputs if i in graph.weights)]
    except (KeyError, IndexError, StopIteration, ValueError) as error:
        raise ModelError("model.unreadable", f"A multiplication of another form: {node.outputs}.") from error
    if (quantised.op, cast.op, scaled.op, product.op) != ("DynamicQuantizeLinear", "Cast", "Mul", "Mul"):
        raise ModelError("model.unreadable", f"A multiplication of another form: {node.outputs}.")
    output = scaled.outputs[0]
    made, multiply = _floats(weights.name, zero.name, scale.name)
    return {output: [*made, onnx.make_node("MatMul", (quantised.inputs[0], multiply), output)]}


def _floats(weights: str, zero: str, scale: str) -> tuple[list[Node], str]:
    """Nodes that make ``(weights - zero) * scale`` in float32, and the name of what comes out.

    OpenVINO knows this form: it keeps the 8-bit numbers and makes float32 of them inside the multiplication.
    """
    cast, moved, out = (f"{weights}_{name}" for name in ("float", "moved", "float32"))
    nodes = [onnx.make_node("Cast", (weights,), cast, to=onnx.FLOAT)]
    nodes.append(onnx.make_node("Cast", (zero,), f"{zero}_of_{weights}", to=onnx.FLOAT))
    nodes.append(onnx.make_node("Sub", (cast, f"{zero}_of_{weights}"), moved))
    return [*nodes, onnx.make_node("Mul", (moved, scale), out)], out


def _needed(nodes: list[Node], outputs: Iterable[str]) -> list[Node]:
    """The nodes that the outputs rest on, in their order."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted & set(node.outputs):
            wanted |= set(node.inputs)
            kept.append(node)
    return kept[::-1]


def _width(graph: Graph, value: str) -> int:
    """Numbers of a token: the length of a bias on its way."""
    seen, todo = set(), [value]
    while todo:
        name = todo.pop(0)
        node = graph.maker.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        for i in node.inputs:
            if node.op == "Add" and i in graph.weights and len(graph.weights[i].shape) == 1:
                return graph.weights[i].shape[0]
        todo += node.inputs
    raise ModelError("model.unreadable", f"The value {value} has no width.")


def _stored(weights: Weights, store: IO[bytes]) -> bytes:
    if weights.kind in onnx.NUMBERS and np.prod(weights.shape) * onnx.NUMBERS[weights.kind].itemsize >= EXTERNAL_FROM:
        return _external(weights.name, weights.kind, weights.stored(), store)
    return bytes(weights.data)


def _external(name: str, kind: int, array: NDArray[Any], store: IO[bytes]) -> bytes:
    store.write(bytes(-store.tell() % ALIGNMENT))
    offset = store.tell()
    store.write(np.ascontiguousarray(array).data)
    return onnx.external_tensor(name, kind, array.shape, Path(store.name).name, offset, array.nbytes)
