"""A tiny network that stands where CLIP's tower is expected: the mean colour, spread over the class tokens."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from unmask.models import onnx_file as onnx
from unmask.models.tower import BLOCKS

NAME = "clip-vit-b16-1"
SHAPE = (1, 3, 224, 224)
CARD = """
id = "clip-vit-b16"
version = "1"
title = "A stand-in"
task = "Serves a test."
licence = "CC0-1.0"
source = "made by a test"
trained_on = "nothing"
weights = "tower.onnx"
format = "onnx"
"""


def make_tower(home: Path, tokens: dict[str, np.ndarray], scale: float = 0.01, spoilt: bool = False) -> Path:
    """Write the model's folder below ``home``.

    ``tokens``: name -> (768,), what it says of a grey picture; ``scale``: how much colour changes that; ``spoilt``: its
    reference does not fit its numbers.
    """
    folder = home / NAME
    folder.mkdir(parents=True)
    weights = {f"cls{block}": np.random.default_rng(block).normal(0, scale, (3, 768)) for block in BLOCKS}
    offsets = {name: tokens.get(name, np.zeros(768)) for name in weights}
    (folder / "tower.onnx").write_bytes(_graph(weights, offsets))
    pixels = np.random.default_rng(1).normal(0, 1, SHAPE).astype(np.float16)
    arrays = {"in:pixels": pixels}
    for name, matrix in weights.items():
        out = (pixels.astype(np.float64).mean((2, 3)) @ matrix)[0] + offsets[name]
        arrays |= {f"at:{name}": np.arange(768), f"out:{name}": (out + spoilt).astype(np.float32)}
    np.savez_compressed(folder / "reference.npz", **arrays)
    (folder / "MODEL_CARD.md").write_text("A stand-in.\n")
    text = CARD
    for name in ("tower.onnx", "reference.npz"):
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        text += f'\n[[files]]\nname = "{name}"\nsha256 = "{digest}"\n'
    text += f'\n[[inputs]]\nname = "pixels"\nshape = {list(SHAPE)}\n'
    text += "".join(f'\n[[outputs]]\nname = "{name}"\nshape = [1, 768]\n' for name in weights)
    text += '\n[reference]\nfile = "reference.npz"\ntolerance = 0.01\n'
    (folder / "model.toml").write_text(text)
    return folder


def _graph(weights: dict[str, np.ndarray], offsets: dict[str, np.ndarray]) -> bytes:
    nodes = [
        onnx.make_node("GlobalAveragePool", ["pixels"], "pooled"),
        onnx.make_node("Flatten", ["pooled"], "mean", axis=1),
        *(onnx.make_node("MatMul", ["mean", f"{name}_w"], f"{name}_m") for name in weights),
        *(onnx.make_node("Add", [f"{name}_m", f"{name}_b"], name) for name in weights),
    ]
    graph = b"".join(onnx.encoded(onnx.GRAPH_NODE, node.data) for node in nodes)
    graph += onnx.strings(onnx.GRAPH_NAME, ["tower"])
    for name, matrix in weights.items():
        graph += _constant(f"{name}_w", matrix) + _constant(f"{name}_b", offsets[name][None])
    graph += onnx.encoded(onnx.GRAPH_INPUT, onnx.float_value("pixels", SHAPE))
    graph += b"".join(onnx.encoded(onnx.GRAPH_OUTPUT, onnx.float_value(name, (1, 768))) for name in weights)
    return onnx.encoded(1, 8) + onnx.encoded(onnx.MODEL_GRAPH, graph) + onnx.encoded(8, onnx.encoded(2, 13))


def _constant(name: str, values: np.ndarray) -> bytes:
    raw = values.astype("<f4").tobytes()
    return onnx.encoded(onnx.GRAPH_INITIALIZER, onnx.raw_tensor(name, onnx.FLOAT, values.shape, raw))
