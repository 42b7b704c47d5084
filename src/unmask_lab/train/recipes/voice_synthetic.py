"""`voice.synthetic`: a linear answer on statistics of two speech recognisers' shallow layers, sources left out in turn.

1. Every clip is cut to two seconds and brought to four variants: as it is, and through three random ways of the world
   (`unmask_lab.launder.audio`), all in the form in which the product gives voices to the network; the first is also
   sent through a telephone.
2. The layers' weights are rounded to the four bits in which they ship, so that what 96 clips give stays as it was;
   mean, deviation and change of the layers' channels are taken for each clip and way.
3. A ridge logistic regression on these, over all five ways alike. Sources count with the number of their clips to the
   power of .65. Voices that the lab made weigh a tenth of the kit's.
4. Each fold of whole sources is left out once; its clips are scored by an answer that has not seen them.
5. What ships is the same regression over all clips.

Tuned layers, hidden units, pairs of one source and other statistics lost or gave nothing (docs/evaluation-learned.md).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unmask.voices.neutral import RATE, neutral
from unmask_lab import manifest, scores
from unmask_lab.errors import LabError
from unmask_lab.kit import kinds_by_path
from unmask_lab.launder import audio as launder
from unmask_lab.manifest import Row
from unmask_lab.nets.moonshine import load_moonshine
from unmask_lab.nets.voice import LAYERS, VoiceNet, fit_answer, fit_drift
from unmask_lab.nets.whisper import load_tower
from unmask_lab.train.export import export
from unmask_lab.train.loop import native_bfloat16
from unmask_lab.train.options import TrainOptions
from unmask_lab.train.rounding import round_to_four_bits
from unmask_lab.train.voice_card import CARD

QUESTION = "voice.synthetic"
SAMPLES = 2 * RATE
VARIANTS = 4
WAYS = ("clean", "laundered:1", "laundered:2", "laundered:3", "telephone")
"""The variants in their order; the last is made from the first."""

MADE = ("classical_tts", "hibari", "kokoro", "piper", "hifigan", "source_filter")
MADE_SHARE = 0.1
"""Families of made voices that join the fit, and their weight against the kit's synthetic clips. Lyra, changed
voices and Griffin-Lim lowered the kit's autoregressive and diffusion speech and stay out."""

SOURCE_POWER = 0.35
THEIR_LAYERS = 3
"""Of Moonshine; the fourth gave next to nothing."""
ROUNDED_BY = 96
"""Clips whose outputs the rounding keeps."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Clips:
    """Clips in memory-mapped variants: ``waves`` (n, variants, samples) float16, ``lengths`` (n,) samples."""

    rows: Sequence[Row]
    waves: NDArray[np.float16]
    lengths: NDArray[np.int64]

    @property
    def truth(self) -> NDArray[np.int64]:
        """(n,) 1 where synthetic."""
        return np.asarray([int(row.positive) for row in self.rows])

    @property
    def source(self) -> NDArray[np.str_]:
        """(n,) sources."""
        return np.asarray([row.source for row in self.rows])

    @property
    def variants(self) -> int:
        """How many variants each clip has."""
        return int(self.waves.shape[1])

    def wave(self, i: int, variant: int) -> Floats:
        """(samples,) float32; clips that end early are repeated."""
        return np.resize(np.asarray(self.waves[i, variant, : self.lengths[i]], np.float32), SAMPLES)


# 1. Clips ---------------------------------------------------------------------------------------------


def read_wave(path: Path) -> Floats:
    """A file's sound, (samples,) at 16 kHz, mono. Raises `LabError` ``manifest.file``."""
    try:
        with av.open(str(path)) as container:
            resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
            parts = [p.to_ndarray()[0] for f in container.decode(audio=0) for p in resampler.resample(f)]
    except (OSError, ValueError, IndexError) as error:
        raise LabError("manifest.file", f"{path} cannot be decoded: {error}.") from error
    if not parts:
        raise LabError("manifest.file", f"{path} holds no sound.")
    return np.concatenate(parts).astype(np.float32)


def prepare(rows: Sequence[Row], root: Path, folder: Path) -> Clips:
    """Decode and launder every clip once; the arrays are kept in ``folder`` and taken from there the next time."""
    waves, lengths = folder / "waves.npy", folder / "lens.npy"
    if not (waves.is_file() and lengths.is_file()):
        folder.mkdir(parents=True, exist_ok=True)
        array = np.lib.format.open_memmap(waves, "w+", np.float16, (len(rows), VARIANTS, SAMPLES))
        sizes = np.zeros((len(rows), VARIANTS), np.int64)

        def one(i: int) -> None:
            wave = read_wave(root / rows[i].path)
            for v in range(VARIANTS):
                rng = np.random.default_rng([int(rows[i].sha256[:8], 16), v])
                clip = (neutral(wave) if v == 0 else launder.launder(wave, rng))[:SAMPLES]
                array[i, v, : clip.size] = clip
                sizes[i, v] = clip.size

        with ThreadPoolExecutor() as pool:
            list(pool.map(one, range(len(rows))))
        array.flush()
        np.save(lengths, sizes)
    clips = Clips(rows, np.load(waves, mmap_mode="r"), np.load(lengths).min(1))
    if len(clips.waves) != len(rows):
        raise LabError("train.cache", f"{waves} was made from {len(clips.waves)} clips, not {len(rows)}: remove it.")
    return clips


def read_forged(folder: Path, cache: Path) -> Clips:
    """Synthetic clips of the families `MADE` of a set that the lab forged. Raises `LabError` where it is none."""
    path = folder / "manifest.csv"
    names = {f.name for f in fields(Row)}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [Row(**{k: v for k, v in line.items() if k in names}) for line in csv.DictReader(file)]
    except (OSError, TypeError) as error:
        raise LabError("manifest.broken", f"{path} is no manifest of a forged set: {error}.") from error
    return prepare([r for r in rows if r.family in MADE and r.label == "synthetic"], folder, cache)


def usable(forged: Clips, clips: Clips, held: NDArray[np.int64]) -> NDArray[np.int64]:
    """Wholly synthetic forged clips that were not made from a held-out source."""
    left_out = set(clips.source[held])
    return np.flatnonzero([r.label == "synthetic" and r.source not in left_out for r in forged.rows])


def without(made: tuple[Clips, Floats] | None, clips: Clips, held: NDArray[np.int64]) -> tuple[Clips, Floats] | None:
    """The made clips and their layers, less those that were made from a held-out source."""
    if made is None:
        return None
    forged, layers = made
    keep = usable(forged, clips, held)
    rows = [forged.rows[i] for i in keep]
    return Clips(rows, forged.waves[keep], forged.lengths[keep]), layers[keep]


def pooled_layers(clips: Clips, net: VoiceNet, folder: Path) -> Floats:
    """(n, ways, width) what the network pools from the clips; kept in ``folder``, float16."""
    path = folder / "pooled.npy"
    if not path.is_file():
        np.save(path, all_pooled(net, clips, np.arange(len(clips.rows))))
    layers: Floats = np.load(path, mmap_mode="r")
    if layers.shape[:2] != (len(clips.rows), len(WAYS)):
        raise LabError("train.cache", f"{path} was made from other clips: remove it.")
    return layers


def all_pooled(net: VoiceNet, clips: Clips, rows: NDArray[np.int64]) -> Floats:
    """(n, ways, width) float16: what the network pools from the clips in every way."""
    net.eval()
    out = []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=native_bfloat16("cpu")):
        for way in WAYS:
            out.append(np.concatenate([net.pool(wave).half().numpy() for wave in _waves(clips, rows, way)]))
    return np.stack(out, 1)


def _waves(clips: Clips, rows: NDArray[np.int64], way: str, size: int = 32) -> Iterator[Tensor]:
    for first in range(0, len(rows), size):
        chosen = rows[first : first + size].tolist()
        waves = [clips.wave(i, WAYS.index(way) % VARIANTS) for i in chosen]
        if way == "telephone":
            waves = [
                neutral(launder.telephone(wave, np.random.default_rng([i, 11])))
                for wave, i in zip(waves, chosen, strict=True)
            ]
        yield torch.from_numpy(np.stack(waves))


# 2. The layers and the answer -----------------------------------------------------------------------------


def recognisers(options: TrainOptions, clips: Clips) -> VoiceNet:
    """Both recognisers' first layers, with the weights that ship, and no answer yet; kept in the cache."""
    tower = options.need("tower", "Whisper base's weights (CTranslate2 model.bin)")
    other = options.need("moonshine", "Moonshine base's encoder (encoder_model.ort)")
    net = VoiceNet(load_tower(tower, LAYERS), load_moonshine(other, THEIR_LAYERS))
    path = options.folder / "cache" / "rounded.pt"
    if path.is_file():
        net.load_state_dict(torch.load(path, weights_only=True))
        return net
    rng = np.random.default_rng(options.seed)
    chosen = rng.choice(len(clips.rows), min(ROUNDED_BY, len(clips.rows)), replace=False).tolist()
    waves = torch.from_numpy(np.stack([clips.wave(i, int(rng.integers(clips.variants))) for i in chosen]))
    net.eval()
    round_to_four_bits(net, lambda: net.pool(waves), options.seed)
    torch.save(net.state_dict(), path)
    return net


def source_weights(clips: Clips) -> Floats:
    """(n,) weight of a clip: its source's number of clips to the power of -`SOURCE_POWER`."""
    _, index, counts = np.unique(clips.source, return_inverse=True, return_counts=True)
    return np.asarray(counts[index] ** -SOURCE_POWER, np.float32)


def fit(
    net: VoiceNet, clips: Clips, layers: Floats, train: NDArray[np.int64], made: tuple[Clips, Floats] | None = None
) -> None:
    """The answer over all ways of the training clips, and the distance from them.

    ``made``: further synthetic clips and their layers; every family weighs alike, and all together `MADE_SHARE` of the
    kit's synthetic clips.
    """
    weight, truth = source_weights(clips)[train], clips.truth[train]
    pooled = layers[train]
    fit_drift(net, _a_way_each(pooled))
    if made is not None and len(made[0].rows):
        _, family, counts = np.unique([r.family for r in made[0].rows], return_inverse=True, return_counts=True)
        share = 1 / counts[family]
        share *= MADE_SHARE * weight[truth == 1].sum() / share.sum()
        weight = np.concatenate([weight, share])
        truth = np.concatenate([truth, np.ones(len(share), truth.dtype)])
        pooled = np.concatenate([pooled, made[1]])
    flat = pooled.astype(np.float32).transpose(1, 0, 2).reshape(-1, layers.shape[-1])
    times = len(WAYS)
    fit_answer(net, flat, np.tile(truth, times).astype(np.float32), np.tile(weight, times))


def _a_way_each(pooled: Floats) -> Floats:
    """(n, width) float32: of each clip one way, in turn."""
    return pooled[np.arange(len(pooled)), np.arange(len(pooled)) % len(WAYS)].astype(np.float32)


# 3. Scores --------------------------------------------------------------------------------------------


def answers(net: VoiceNet, pooled: Floats) -> tuple[Floats, Floats]:
    """Log-odds and distance, (n,) each, from (n, 2 * width) pooled layers."""
    net.eval()
    with torch.no_grad():
        score, distance = net.answers(torch.from_numpy(pooled).float())
    return score.numpy(), distance.numpy()


def table(
    net: VoiceNet, clips: Clips, pooled: Floats, held: NDArray[np.int64], fold: int, kinds: dict[str, str]
) -> list[scores.Score]:
    """Out-of-fold scores of the held-out clips in every way; ``pooled`` is theirs."""
    out = []
    for at, way in enumerate(WAYS):
        for i, raw, distance in zip(held, *answers(net, pooled[:, at]), strict=True):
            row = clips.rows[int(i)]
            out.append(
                scores.Score(
                    path=row.path,
                    question=QUESTION,
                    detector=QUESTION,
                    label=int(row.positive),
                    source=row.source,
                    generator=row.generator,
                    family=row.family,
                    kind=kinds.get(row.path, "") if not row.positive else "",
                    variant=way,
                    fold=fold,
                    raw=float(raw),
                    distance=float(distance),
                )
            )
    return out


# 4. From folds to a model -----------------------------------------------------------------------------


def train(options: TrainOptions) -> None:
    """Every fold in turn (or ``options.fold`` alone), the score table, and with all folds the model folder.

    Needs ``--with tower=FILE``, Whisper base's weights in CTranslate2's form, and ``--with moonshine=FILE``, Moonshine
    base's encoder in ORT's; takes ``--with forged=FOLDER``, voices made by the lab: the families `MADE` join the fit.
    """
    kit = options.need_kit()
    rows = manifest.from_kit(kit, "audio")
    manifest.check(rows)
    clips = prepare(rows, kit, options.folder / "cache")
    net = recognisers(options, clips)
    layers = pooled_layers(clips, net, options.folder / "cache")
    made = None
    if (more := options.files.get("forged")) is not None:
        forged = read_forged(more, options.folder / "cache-forged")
        made = forged, pooled_layers(forged, net, options.folder / "cache-forged")
    fold, kinds = manifest.folds(rows, options.folds, options.seed), kinds_by_path(kit, "audio")
    found: list[scores.Score] = []
    for k in range(options.folds) if options.fold is None else (options.fold,):
        held = np.flatnonzero(fold == k)
        fit(net, clips, layers, np.flatnonzero(fold != k), without(made, clips, held))
        found += table(net, clips, layers[held], held, k, kinds)
        scores.write(options.folder / "scores.csv", found)
    if options.fold is None and options.export is not None:
        fit(net, clips, layers, np.arange(len(rows)), made)
        write_model(net, options)


def write_model(net: VoiceNet, options: TrainOptions) -> None:
    """The model folder; the reference is a made tone, so that nobody's voice travels with it."""
    assert options.export is not None
    export(
        net,
        {"wave": torch.from_numpy(made_voice()[None])},
        ("score", "distance", "layers"),
        options.export,
        CARD | {"id": options.export.name.rpartition("-")[0], "version": options.export.name.rpartition("-")[2]},
        weights="int4",
        tolerance=0.02,  # the weights are rounded already
        replace=options.replace,
    )


def made_voice() -> Floats:
    """Two seconds of harmonics with a gliding pitch and pauses, (samples,), as the network takes it."""
    t = np.arange(SAMPLES) / RATE
    turn = 2 * np.pi * np.cumsum(120 + 25 * np.sin(2 * np.pi * 2.1 * t)) / RATE
    tone = sum(np.sin(k * turn) / k**0.7 * np.exp(-(((k * 120 - 600) / 900) ** 2)) for k in range(1, 30))
    noise = np.random.default_rng(5).normal(0, 0.02, t.size)
    return neutral(np.asarray(tone * (np.sin(2 * np.pi * 1.6 * t) > -0.4) + noise, np.float32))
