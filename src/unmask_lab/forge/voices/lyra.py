"""A round trip through Lyra v2, a neural codec (SoundStream: Zeghidour et al. 2021), at 3.2, 6 or 9.2 kbit/s."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from unmask_lab.forge.family import FamilyCard, VoiceJob, VoiceMade, Wave
from unmask_lab.forge.speech import fitted, levelled

NAMES = ("lyra_soundstream_encoder.tflite", "lyra_quantizer.tflite", "lyra_lyragan.tflite")
CARD = FamilyCard(
    id="lyra",
    makes="the parent coded and decoded by Lyra v2 with 16, 30 or 46 quantizers",
    licence="Apache-2.0 (google/lyra)",
    weights=NAMES,
    packages=("ai_edge_litert",),
    count=260,
)
FRAME = 320
QUANTIZERS = {16: "3.2", 30: "6", 46: "9.2"}


def forge(job: VoiceJob) -> Iterator[VoiceMade]:
    """The whole clip."""
    quantizers = int(job.rng.choice(list(QUANTIZERS)))
    yield VoiceMade(coded(job.wave, quantizers, job.weights), f"Lyra v2 {QUANTIZERS[quantizers]} kbit/s")


def coded(wave: Wave, quantizers: int, weights: Path) -> Wave:
    """Encode and decode frame by frame, from silence; the same length and level."""
    encoder, quantizer, decoder = _nets(weights)
    encode, look_up = (quantizer.get_signature_runner(name) for name in ("encode", "decode"))
    level = 0.5 / (np.abs(wave).max() + 1e-9)
    frames = fitted(wave * level, -(-wave.size // FRAME) * FRAME).reshape(-1, 1, FRAME)
    out = []
    for frame in frames:
        codes = encode(input_frames=_run(encoder, frame), num_quantizers=np.int32(quantizers))["output_0"]
        out.append(_run(decoder, look_up(encoding_indices=codes)["output_0"])[0])
    return levelled(fitted(np.concatenate(out), wave.size), wave)


def _run(net: Any, value: np.ndarray) -> np.ndarray:
    net.set_tensor(net.get_input_details()[0]["index"], value.astype(np.float32))
    net.invoke()
    return np.asarray(net.get_tensor(net.get_output_details()[0]["index"]))


def _nets(weights: Path) -> tuple[Any, ...]:
    # LiteRT, because OpenVINO does not read the streaming networks' state (resource variables). New for every clip: it
    # takes 2 ms, and `reset_all_variables` leaves the state of these networks as it was.
    interpreter = importlib.import_module("ai_edge_litert.interpreter").Interpreter
    nets = []
    for name in NAMES:
        net = interpreter(str(weights / name), num_threads=1)
        net.allocate_tensors()
        nets.append(net)
    return tuple(nets)
