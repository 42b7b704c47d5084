"""Tacotron 2 (Shen et al. 2018) with a vector for the speaker: autoregressive, one mel frame after the other.

Written for weights that are pickled as whole modules: `parameters_of` takes the numbers out of such a file and runs
none of its code.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

Parameters = Mapping[str, Tensor]
DROPPED = 0.5
"""The pre-net drops this share of its values while it speaks, too: that is what makes two readings differ."""
STOP = 0.8
MOST_FRAMES = 300


def parameters_of(path: Path) -> dict[str, Tensor]:
    """The parameters of a pickled module; its own classes are replaced by empty ones, so that none of its code runs.

    Raises:
        pickle.UnpicklingError: the file asks for something that is neither torch's nor a module.
    """
    allowed: list[object] = []
    for name in torch.serialization.get_unsafe_globals_in_checkpoint(path):
        home, _, kind = name.rpartition(".")
        own = not name.startswith("torch.nn.")
        allowed.append((type(kind, (nn.Module,), {}), name) if own else getattr(importlib.import_module(home), kind))
    with torch.serialization.safe_globals(allowed):
        module = torch.load(path, map_location="cpu", weights_only=True)
    return {name: value.float() for name, value in module.state_dict().items()}


def spoken(p: Parameters, symbols: list[int], speaker: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """The mel spectrogram (1, bands, frames), logarithms of magnitudes. ``speaker``: (1, size of the vector)."""
    draw = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        mel = _decoded(p, _encoded(p, torch.tensor([symbols]), torch.from_numpy(speaker)), draw)
        return np.asarray(mel + _convolved(p, "postnet", mel, torch.tanh, last=False))


def _encoded(p: Parameters, symbols: Tensor, speaker: Tensor) -> Tensor:
    """What the text and the speaker say, (1, symbols, size)."""
    x = functional.embedding(symbols, p["embedding.weight"]).transpose(1, 2)
    x = _convolved(p, "encoder", x, torch.relu, last=True).transpose(1, 2)
    lstm = nn.LSTM(x.shape[2], x.shape[2] // 2, 1, batch_first=True, bidirectional=True)
    lstm.load_state_dict({name.removeprefix("encoder.lstm."): p[name] for name in p if name.startswith("encoder.lstm")})
    voice = functional.linear(speaker, p["speaker_embedding.weight"], p["speaker_embedding.bias"])
    return torch.cat([lstm(x)[0], voice[:, None].expand(-1, x.shape[1], -1)], 2)


def _convolved(p: Parameters, part: str, x: Tensor, bend: object, last: bool) -> Tensor:
    """Convolutions with batch norm; ``last``: the last is bent, too."""
    count = sum(name.startswith(f"{part}.convolutions") and name.endswith("conv.weight") for name in p)
    for i in range(count):
        at = f"{part}.convolutions.{i}"
        weight = p[f"{at}.0.conv.weight"]
        x = functional.conv1d(x, weight, p[f"{at}.0.conv.bias"], padding=weight.shape[2] // 2)
        mean, spread = p[f"{at}.1.running_mean"], p[f"{at}.1.running_var"]
        x = functional.batch_norm(x, mean, spread, p[f"{at}.1.weight"], p[f"{at}.1.bias"])
        x = bend(x) if last or i < count - 1 else x  # type: ignore[operator]
    return x


def _decoded(p: Parameters, memory: Tensor, draw: torch.Generator) -> Tensor:
    """Frames until the gate says stop."""
    listen, speak = _cell(p, "decoder.attention_rnn"), _cell(p, "decoder.decoder_rnn")
    keys = functional.linear(memory, _weight(p, "attention_layer.memory_layer"))
    context, focus = memory.new_zeros(1, memory.shape[2]), memory.new_zeros(2, 1, memory.shape[1])
    heard, said = ((memory.new_zeros(1, cell.hidden_size),) * 2 for cell in (listen, speak))
    frame = memory.new_zeros(1, _weight(p, "linear_projection").shape[0])
    frames: list[Tensor] = []
    for _ in range(MOST_FRAMES):
        heard = listen(torch.cat([_prenet(p, frame, draw), context], 1), heard)
        now = _attended(p, heard[0], keys, focus)
        focus = torch.stack([now, focus[1] + now])
        context = (now[:, None] @ memory)[:, 0]
        said = speak(torch.cat([heard[0], context], 1), said)
        both = torch.cat([said[0], context], 1)
        frame = functional.linear(both, _weight(p, "linear_projection"), p[_LAST + ".bias"])
        frames.append(frame)
        gate = functional.linear(both, _weight(p, "gate_layer"), p["decoder.gate_layer.linear_layer.bias"])
        if torch.sigmoid(gate) > STOP:
            break
    return torch.stack(frames, 2)


_LAST = "decoder.linear_projection.linear_layer"


def _attended(p: Parameters, query: Tensor, keys: Tensor, focus: Tensor) -> Tensor:
    """Location-sensitive attention (Chorowski et al. 2015): (1, symbols), summing to one."""
    kernel = p["decoder.attention_layer.location_layer.location_conv.conv.weight"]
    place = functional.conv1d(focus.transpose(0, 1), kernel, padding=kernel.shape[2] // 2).transpose(1, 2)
    place = functional.linear(place, _weight(p, "attention_layer.location_layer.location_dense"))
    asked = functional.linear(query, _weight(p, "attention_layer.query_layer"))[:, None]
    energy = functional.linear(torch.tanh(asked + place + keys), _weight(p, "attention_layer.v"))
    return torch.softmax(energy[..., 0], 1)


def _prenet(p: Parameters, frame: Tensor, draw: torch.Generator) -> Tensor:
    for i in (0, 1):
        frame = torch.relu(functional.linear(frame, _weight(p, f"prenet.layers.{i}")))
        frame = frame * (torch.rand(frame.shape, generator=draw) >= DROPPED) / (1 - DROPPED)
    return frame


def _weight(p: Parameters, layer: str) -> Tensor:
    return p[f"decoder.{layer}.linear_layer.weight"]


def _cell(p: Parameters, name: str) -> nn.LSTMCell:
    weight = p[f"{name}.weight_ih"]
    cell = nn.LSTMCell(weight.shape[1], weight.shape[0] // 4)
    cell.load_state_dict({part: p[f"{name}.{part}"] for part in cell.state_dict()})
    return cell
