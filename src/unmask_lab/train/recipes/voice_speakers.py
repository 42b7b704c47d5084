"""`voice.speakers`: a linear reading of who speaks from what `voice.synthetic` computes anyway.

1. The kit's recorded clips of up to two seconds whose path names the speaker, each as it is and through one way of the
   world (telephone, Opus, or `unmask_lab.launder.audio.launder`, in turn), become the pooled layers of
   ``voice-synthetic-2`` (its output ``layers``).
2. The teacher is Resemblyzer's GE2E network (Wan et al. 2018; Apache-2.0): its 256 numbers for the clip as it is. A
   ridge regression learns them from the layers, of both copies alike, so that a telephone changes little.
3. The answer's 64 main directions are kept, each divided by the fourth root of its spread.
4. What is quoted is measured with half of the speakers left out; what ships has seen all.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn

from unmask.detectors.voice_synthetic.windows import MODEL, SIZE
from unmask.models.runtime import open_model
from unmask.models.store import find_model, reference_input
from unmask.voices.neutral import RATE, band, level
from unmask_lab.launder import audio as launder
from unmask_lab.nets.whisper import mel_filters
from unmask_lab.train.export import export
from unmask_lab.train.options import TrainOptions
from unmask_lab.train.recipes.voice_synthetic import read_wave
from unmask_lab.train.speakers_card import CARD

STRENGTH = 3000.0
WIDTH = 64
FLATTEN = 0.25
Floats = NDArray[np.float32]


class Reading(nn.Module):
    """(1, 4096) pooled layers to (1, 64), of length 1: near for one speaker, far for two."""

    def __init__(self, centre: Floats, scale: Floats, weights: Floats) -> None:
        super().__init__()
        self.register_buffer("centre", torch.from_numpy(centre))
        self.register_buffer("scale", torch.from_numpy(scale))
        self.read = nn.Linear(weights.shape[0], weights.shape[1], bias=False)
        with torch.no_grad():
            self.read.weight.copy_(torch.from_numpy(np.ascontiguousarray(weights.T)))

    def forward(self, layers: Tensor) -> Tensor:
        """The speaker's place."""
        even: Tensor = self.read((layers - self.centre) / self.scale)
        return even / even.square().sum(1, keepdim=True).sqrt().clamp(min=1e-6)


class Teacher:
    """GE2E: (samples,) at 16 kHz to (256,). The weights are read without running what a pickle may hold."""

    def __init__(self, path: Path) -> None:
        state = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
        self.lstm, self.last = nn.LSTM(40, 256, 3, batch_first=True), nn.Linear(256, 256)
        for name, part in (("lstm.", self.lstm), ("linear.", self.last)):
            part.load_state_dict({k[len(name) :]: v for k, v in state.items() if k.startswith(name)})
        self.mel = torch.from_numpy(mel_filters(bands=40))

    def __call__(self, wave: Floats) -> Floats:
        """The speaker's numbers; not a log, and at -30 dB below full scale, as this network was trained."""
        with torch.no_grad():
            return self._answer(wave)

    def _answer(self, wave: Floats) -> Floats:
        x = torch.from_numpy(np.ascontiguousarray(wave, np.float32))
        x = x * (10**-1.5 / (x.square().mean().sqrt() + 1e-6))
        window = torch.hann_window(400)
        bins = torch.stft(x, 400, 160, window=window, pad_mode="constant", return_complex=True).abs().square()
        hidden = self.lstm((self.mel @ bins).T[None])[1][0][-1]
        out = torch.relu(self.last(hidden))[0]
        return np.asarray((out / (out.norm() + 1e-9)).numpy(), np.float32)


def speaker_of(source: str, path: str) -> str | None:
    """Who speaks, where a file's path at its source says so (VCTK, AISHELL-3 and LibriSpeech numbers and the like)."""
    for place, form, name in _FORMS:
        if source.endswith(place) and (found := re.search(form, path)):
            return name + (found[found.lastindex or 0].lstrip("0") or "0")
    return None


_LIBRI = r"(?:^|/)(?:[a-z0-9]+_)*?(\d{2,5})_\d{4,6}(?:_\d{6}_\d{6})?[^/]*$"
_FORMS = (
    ("", r".*(?<![a-zA-Z0-9])[pP](\d{3})(?=[_/\-.])", "vctk"),
    ("", r"SSB(\d{4})", "aishell"),
    ("SpeakerRecognition", r"^[^/]*/[^/]*/([^/]*)/", "phone"),
    ("URDU-Dataset", r"([^/_]*)_[^/]*$", "urdu"),
    ("voice-emotion-analysis", r"/(\d\d)[^/]*$", "actor"),
    ("CodeAlpha_Emotion-Recognition-from-Speech", r"(\d\d)\.wav$", "other-actor"),
    ("Resemblyzer", r"(\d+)-\d+-\d+\.flac$", "libri"),
    ("deep-speaker", r"/(\d+)-\d+-\d+", "libri"),
    ("ZeroSpeech", r"/([^/_]*)_[^/]*$", "zero"),
    ("dariadiatlova.github.io", r"/(\d+)_[^/]*$", "daria"),
    ("YourTTS", r"MLS-PT/(\d+)/", "mls"),
    ("CycleGAN-VC2", r"^[^/]*/([^/]*)/", "jack"),
    ("vocos", r"/([fm]\d+)_[^/]*$", "daps"),
    ("snac", r"/([fm]\d+)_[^/]*$", "daps"),
    ("dataset-voice-kerstin", r"^", "kerstin"),
    ("speechbrain", r"/(spk\d+)_", "brain"),
    ("Parkinson-Patient-Speech-Dataset", r"([A-Za-z]+)\d+\.wav$", "patient"),
    ("wavenet_vocoder", r"^audio/(slt)/", "arctic"),
    ("diffwave.github.io", r"LJ\d", "lj"),
    ("", r"(?:^|/)(?:lj_\d\d_gt|mixture_lj|LJ\d{3}-\d{4})", "lj"),
    ("", _LIBRI, "libri"),
)


def named_clips(kit: Path) -> list[tuple[str, str]]:
    """(path, speaker) of the recorded clips whose source tells who speaks."""
    with (kit / "manifest-audio.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] == "real"]
    return [(row["path"], who) for row in rows if (who := speaker_of(row["source_repository"], row["source_path"]))]


def ways(i: int, wave: Floats, rng: Generator) -> Floats:
    """One way through the world, in turn."""
    steps: tuple[Callable[[], Floats], ...] = (
        lambda: launder.telephone(wave, rng),
        lambda: launder.through_codec(wave, "libopus", int(rng.choice([12, 16, 24])) * 1000),
        lambda: launder.launder(wave, rng),
    )
    return steps[i % len(steps)]()


def layers_of(wave: Floats) -> Floats:
    """(4096,) as the product computes it for one window; a clip that ends early is repeated."""
    window = level(band(np.resize(wave, SIZE)))
    return np.asarray(open_model(MODEL).run({"wave": window[None]})["layers"][0], np.float32)


def fit(layers: Floats, wanted: Floats) -> Reading:
    """The reading that gives ``wanted`` (n, 256) from ``layers`` (n, copies, 4096)."""
    copies = layers.shape[1]
    x = layers.transpose(1, 0, 2).reshape(-1, layers.shape[2]).astype(np.float64)
    y = np.tile(wanted, (copies, 1)).astype(np.float64)
    centre, scale = x.mean(0), x.std(0) + 1e-4
    even, shift = (x - centre) / scale, y.mean(0)
    weights = even.T @ np.linalg.solve(even @ even.T + STRENGTH * np.eye(len(even)), y - shift)
    _, lengths, directions = np.linalg.svd(y - shift, full_matrices=False)
    kept = weights @ directions[:WIDTH].T * lengths[:WIDTH] ** -FLATTEN
    return Reading(*(np.asarray(a, np.float32) for a in (centre, scale, kept)))


def train(options: TrainOptions) -> None:
    """Needs ``--with teacher=pretrained.pt`` (in the wheel of resemblyzer 0.1.4) and the kit; ``--export`` writes."""
    teacher, kit = Teacher(options.need("teacher", "Resemblyzer's weights (pretrained.pt)")), options.need_kit()
    named = named_clips(kit)
    layers, wanted = [], []
    for i, (path, _) in enumerate(named):
        wave = np.resize(read_wave(kit / path)[: 2 * RATE], SIZE)
        copy = ways(i, wave, np.random.default_rng([options.seed, i]))
        layers.append(np.stack([layers_of(wave), layers_of(copy)]))
        wanted.append(teacher(wave))
    options.folder.mkdir(parents=True, exist_ok=True)
    who = np.asarray([speaker for _, speaker in named])
    np.savez(options.folder / "speakers.npz", layers=np.stack(layers), wanted=np.stack(wanted), who=who)
    if options.export is not None:
        write_model(fit(np.stack(layers), np.stack(wanted)), options)


def write_model(net: Reading, options: TrainOptions) -> None:
    """The model folder; its reference is that of the voice network, a made tone."""
    assert options.export is not None
    voice = find_model(MODEL)
    layers = open_model(MODEL).infer(reference_input(voice))["layers"]
    name, _, version = options.export.name.rpartition("-")
    card: dict[str, Any] = CARD | {"id": name, "version": version}
    inputs: dict[str, Tensor] = {"layers": torch.from_numpy(layers)}
    outputs: Sequence[str] = ("place",)
    export(net, inputs, outputs, options.export, card, weights="int8", replace=options.replace)
