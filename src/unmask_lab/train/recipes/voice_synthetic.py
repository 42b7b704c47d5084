"""`voice.synthetic`: a linear answer on the statistics of Whisper's first four layers, sources left out in turn.

1. Every clip is cut to two seconds and brought to four variants: as it is, and through three random ways of the world
   (`unmask_lab.launder.audio`), all in the form in which the product gives voices to the network; the first is also
   sent through a telephone.
2. A ridge logistic regression on the untouched layers' means and deviations, over all five ways alike. Sources count
   with the number of their clips to the power of .65.
3. With ``--steps N`` the layers are tuned from there. A batch is half bona fide; six of its twelve pairs hold one real
   and one synthetic clip of the same source, which a ranking loss compares, because whatever tells sources apart is of
   no use there. Light augmentation: band limits, notches, noise, masks in time and frequency, crops.
   On this kit that lost against the untouched layers (docs/evaluation.md), so it is not done by default.
4. Each fold of whole sources is left out once; its clips are scored by the network that has not seen them.
5. What ships has seen all sources: the same regression over all clips or, tuned, the mean of the folds' weights.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

import av
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from unmask.voices.neutral import LEVEL, RATE, neutral
from unmask_lab import manifest, scores
from unmask_lab.errors import LabError
from unmask_lab.evaluate.metrics import auc
from unmask_lab.kit import kinds_by_path
from unmask_lab.launder import audio as launder
from unmask_lab.manifest import Row
from unmask_lab.nets.voice import LAYERS, VoiceNet, averaged, fit_drift, start_from
from unmask_lab.nets.whisper import LogMel, load_tower
from unmask_lab.train.export import export
from unmask_lab.train.loop import Trainer, cosine, load_weights, native_bfloat16
from unmask_lab.train.options import TrainOptions
from unmask_lab.train.voice_card import CARD

QUESTION = "voice.synthetic"
SAMPLES = 2 * RATE
CROP = 19200
VARIANTS = 4
WAYS = ("clean", "laundered:1", "laundered:2", "laundered:3", "telephone")
"""The variants in their order; the last is made from the first."""

MADE = ("classical_tts", "hibari", "kokoro", "piper", "hifigan", "source_filter")
MADE_SHARE = 0.1
"""Families of made voices that join the fit, and their weight against the kit's synthetic clips. Lyra, changed
voices and Griffin-Lim lowered the kit's autoregressive and diffusion speech and stay out."""

BATCH, PAIRS = 24, 6
FORGED = 2
EVERY, WARMUP = 175, 50
BLOCK_RATE, ATTENTION_RATE, ANSWER_RATE = 5e-5, 5e-4, 3e-5
AVERAGE = 0.99
SOURCE_POWER = 0.35
RANK_WEIGHT, SMOOTH = 0.5, 0.02

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


@dataclass(frozen=True)
class Place:
    """Where and how one fold is trained."""

    folder: Path
    seed: int
    steps: int
    device: str


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


def untouched_layers(clips: Clips, tower_file: Path, folder: Path) -> Floats:
    """(n, ways, 2 * width) plain mean and deviation of the untouched layers' channels; kept in ``folder``."""
    path = folder / "layers.npy"
    if not path.is_file():
        np.save(path, all_pooled(VoiceNet(load_tower(tower_file, LAYERS)), clips, np.arange(len(clips.rows))))
    layers: Floats = np.load(path)
    if layers.shape[:2] != (len(clips.rows), len(WAYS)):
        raise LabError("train.cache", f"{path} was made from other clips: remove it.")
    return layers


def all_pooled(net: VoiceNet, clips: Clips, rows: NDArray[np.int64]) -> Floats:
    """(n, ways, 2 * width) float16: what the network pools from the clips in every way."""
    net.eval()
    out = []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=native_bfloat16("cpu")):
        for way in WAYS:
            parts = [net.pool(net.mel(wave)).half().numpy() for wave in _waves(clips, rows, way)]
            out.append(np.concatenate(parts))
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


# 2. The start -----------------------------------------------------------------------------------------


def source_weights(clips: Clips) -> Floats:
    """(n,) weight of a clip: its source's number of clips to the power of -`SOURCE_POWER`."""
    _, index, counts = np.unique(clips.source, return_inverse=True, return_counts=True)
    return np.asarray(counts[index] ** -SOURCE_POWER, np.float32)


def begin(
    clips: Clips, layers: Floats, train: NDArray[np.int64], tower_file: Path, made: tuple[Clips, Floats] | None = None
) -> VoiceNet:
    """The linear probe over all ways of the training clips, as a network.

    ``made``: further synthetic clips and their layers; every family weighs alike, and all together `MADE_SHARE` of the
    kit's synthetic clips.
    """
    weight, truth = source_weights(clips)[train], clips.truth[train]
    pooled = layers[train]
    if made is not None and len(made[0].rows):
        _, family, counts = np.unique([r.family for r in made[0].rows], return_inverse=True, return_counts=True)
        share = 1 / counts[family]
        share *= MADE_SHARE * weight[truth == 1].sum() / share.sum()
        weight = np.concatenate([weight, share])
        truth = np.concatenate([truth, np.ones(len(share), truth.dtype)])
        pooled = np.concatenate([pooled, made[1]])
    flat = pooled.astype(np.float32).transpose(1, 0, 2).reshape(-1, layers.shape[-1])
    times = len(WAYS)
    return start_from(tower_file, flat, np.tile(truth, times).astype(np.float32), np.tile(weight, times))


# 3. Batches and loss ----------------------------------------------------------------------------------


def batches(
    clips: Clips, train: NDArray[np.int64], seed: int, forged: tuple[Clips, NDArray[np.int64]] | None = None
) -> Callable[[int], tuple[Tensor, Tensor]]:
    """Step -> log-mel (24, 80, frames) and truth (24,): bona fide first, the first `PAIRS` of both halves paired.

    ``forged``: further synthetic clips and which of them may be used; they take `FORGED` places, families in turn.
    """
    truth, source, weight = clips.truth, clips.source, source_weights(clips)
    members = {c: train[truth[train] == c] for c in (0, 1)}
    chance = {c: weight[m] / weight[m].sum() for c, m in members.items()}
    both = sorted(set(source[members[0]]) & set(source[members[1]]))
    inside = {s: [m[source[m] == s] for m in (members[0], members[1])] for s in both}
    share = np.asarray([min(map(len, inside[s])) ** (1 - SOURCE_POWER) for s in both])
    mel = LogMel()

    def batch(step: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([seed, step, 7])
        chosen: list[list[tuple[Clips, int]]] = [[], []]
        for s in rng.choice(len(both), min(PAIRS, len(both)), replace=False, p=share / share.sum()):
            for c in (0, 1):
                chosen[c].append((clips, int(rng.choice(inside[both[s]][c]))))
        if forged is not None:
            chosen[1] += [(forged[0], i) for i in _by_family(*forged, rng)]
        for c in (0, 1):
            drawn = rng.choice(members[c], BATCH // 2 - len(chosen[c]), p=chance[c])
            chosen[c] += [(clips, int(i)) for i in drawn]
        waves = [_crop(given.wave(i, int(rng.integers(given.variants))), rng) for given, i in chosen[0] + chosen[1]]
        mels = mel(augment(torch.from_numpy(np.stack(waves)), rng))
        return masked(mels, rng), torch.arange(BATCH) // (BATCH // 2)

    return batch


def _by_family(clips: Clips, usable: NDArray[np.int64], rng: Generator) -> list[int]:
    """`FORGED` clips, each of a family drawn with equal chance."""
    family = np.asarray([row.family for row in clips.rows])[usable]
    names = rng.choice(np.unique(family), FORGED)
    return [int(rng.choice(usable[family == name])) for name in names]


def _crop(wave: Floats, rng: Generator) -> Floats:
    start = int(rng.integers(wave.size - CROP + 1))
    return wave[start : start + CROP]


def augment(wave: Tensor, rng: Generator) -> Tensor:
    """(batch, samples): band limits on a third, a notch on a sixth, noise 15-50 dB below on half, gain of 3 dB."""
    n, size = wave.shape
    spectrum = torch.fft.rfft(wave)
    hertz = torch.linspace(0, RATE / 2, spectrum.shape[1])
    for i in range(n):
        way, low = rng.random(), 0.0
        if way < 0.2:
            keep = (hertz > rng.uniform(150, 350)) & (hertz < rng.uniform(3200, 3900))
        elif way < 0.35:
            keep = hertz < rng.uniform(3500, 7400)
        elif way < 0.5:
            low = rng.uniform(200, 6500)
            keep = (hertz < low) | (hertz > low + rng.uniform(100, 1200))
        else:
            continue
        spectrum[i] *= keep
    wave = torch.fft.irfft(spectrum, n=size)
    noise = torch.from_numpy(rng.standard_normal((n, size)).astype(np.float32))
    loud = (rng.random(n) < 0.5) * 10 ** (-rng.uniform(15, 50, n) / 20)
    wave = wave + noise * wave.std(1, keepdim=True) * torch.from_numpy(loud.astype(np.float32))[:, None]
    gain = torch.from_numpy((10 ** (rng.uniform(-3, 3, n) / 20)).astype(np.float32))[:, None]
    return wave / (wave.std(1, keepdim=True) + 1e-9) * LEVEL * gain


def masked(mel: Tensor, rng: Generator) -> Tensor:
    """(batch, 80, frames) with a band and a stretch of time blanked in three of ten each (Park et al. 2019)."""
    for clip in mel:
        if rng.random() < 0.3:
            band = int(rng.integers(0, 70))
            clip[band : band + int(rng.integers(3, 12))] = clip.min()
        if rng.random() < 0.3:
            start = int(rng.integers(0, mel.shape[2] - 30))
            clip[:, start : start + int(rng.integers(8, 30))] = clip.min()
    return mel


def loss(net: VoiceNet, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Cross entropy with smoothed labels, and the ranking of the two clips of each pair."""
    mel, truth = batch
    logit = net.logit(mel)
    wanted = truth * (1 - 2 * SMOOTH) + SMOOTH
    half = len(truth) // 2
    rank = F.softplus(logit[:PAIRS] - logit[half : half + PAIRS]).mean()
    return F.binary_cross_entropy_with_logits(logit, wanted.float()) + RANK_WEIGHT * rank


def tune(
    net: VoiceNet, clips: Clips, train: NDArray[np.int64], held: NDArray[np.int64], place: Place, forged: Clips | None
) -> VoiceNet:
    """Train the transformer layers, the attention and the answer; the averaged weights after the last step."""
    for parameter in net.tower.parameters():
        parameter.requires_grad_(False)
    blocks = [p.requires_grad_(True) for p in net.tower.blocks.parameters()]
    optimiser = torch.optim.AdamW(
        [
            {"params": blocks, "lr": BLOCK_RATE, "weight_decay": 0.01},
            {"params": list(net.attend.parameters()), "lr": ATTENTION_RATE, "weight_decay": 0.01},
            {"params": list(net.answer.parameters()), "lr": ANSWER_RATE, "weight_decay": 0.05},
        ]
    )
    trainer = Trainer(
        place.folder,
        net,
        optimiser,
        seed=place.seed,
        schedule=cosine(place.steps, WARMUP, 0.05),
        ema=AVERAGE,
        device=place.device,
    )
    watched = np.random.default_rng(1).permutation(held)[:300]

    def validate(average: VoiceNet) -> dict[str, float]:
        figures = {"step": float(trainer.step)}  # what is kept is the last state: the held-out fold only watches
        if len(watched):
            pooled = all_pooled(average, clips, watched)
            for way in ("clean", "laundered:1"):
                score, _ = answers(average, pooled[:, WAYS.index(way)])
                figures[f"auc_{way}"] = auc(score.astype(np.float64), clips.truth[watched] == 1)
        return figures

    more = (forged, usable(forged, clips, held)) if forged is not None else None
    draw = batches(clips, train, place.seed, more)
    best = trainer.run(draw, loss, validate, steps=place.steps, every=EVERY, keep="step")
    load_weights(best, net)
    return net


# 4. Scores --------------------------------------------------------------------------------------------


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


# 5. From folds to a model -----------------------------------------------------------------------------


def train(options: TrainOptions) -> None:
    """Every fold in turn (or ``options.fold`` alone), the score table, and with all folds the model folder.

    Needs ``--with tower=FILE``, Whisper base's weights in CTranslate2's form; takes ``--with forged=FOLDER``, a set of
    synthetic voices made by the lab: the families `MADE` join the fit, and the tuning where there is one.
    """
    tower_file = options.need("tower", "Whisper base's weights (CTranslate2 model.bin)")
    kit = options.need_kit()
    rows = manifest.from_kit(kit, "audio")
    manifest.check(rows)
    clips = prepare(rows, kit, options.folder / "cache")
    more = options.files.get("forged")
    forged = read_forged(more, options.folder / "cache-forged") if more is not None else None
    layers = untouched_layers(clips, tower_file, options.folder / "cache")
    made = None if forged is None else (forged, untouched_layers(forged, tower_file, options.folder / "cache-forged"))
    fold, kinds = manifest.folds(rows, options.folds, options.seed), kinds_by_path(kit, "audio")
    nets, found = [], []
    for k in range(options.folds) if options.fold is None else (options.fold,):
        held, kept = np.flatnonzero(fold == k), np.flatnonzero(fold != k)
        net = begin(clips, layers, kept, tower_file, without(made, clips, held))
        seen, unseen = layers[kept], layers[held]
        if options.steps:
            place = Place(options.folder / f"fold-{k}", options.seed, options.steps, options.device)
            net = tune(net, clips, kept, held, place, forged)
            seen, unseen = all_pooled(net, clips, kept), all_pooled(net, clips, held)
        fit_drift(net, _a_way_each(seen))
        found += table(net, clips, unseen, held, k, kinds)
        scores.write(options.folder / "scores.csv", found)
        nets.append(net)
    if options.fold is None and options.export is not None:
        everything = np.arange(len(rows))
        net = averaged(nets) if options.steps else begin(clips, layers, everything, tower_file, made)
        fit_drift(net, _a_way_each(all_pooled(net, clips, everything) if options.steps else layers))
        write_model(net, options)


def _a_way_each(pooled: Floats) -> Floats:
    """(n, 2 * width) float32: of each clip one way, in turn."""
    return pooled[np.arange(len(pooled)), np.arange(len(pooled)) % len(WAYS)].astype(np.float32)


def write_model(net: VoiceNet, options: TrainOptions) -> None:
    """The model folder; the reference is a made tone, so that nobody's voice travels with it."""
    assert options.export is not None
    export(
        net,
        {"wave": torch.from_numpy(made_voice()[None])},
        ("score", "distance", "layers"),
        options.export,
        CARD | {"id": options.export.name.rpartition("-")[0], "version": options.export.name.rpartition("-")[2]},
        weights="int8",
        # The made tone scores near zero, so a twentieth of a log-odd is much of it; on clips int8 moves .07 on average.
        tolerance=0.15,
        replace=options.replace,
    )


def made_voice() -> Floats:
    """Two seconds of harmonics with a gliding pitch and pauses, (samples,), as the network takes it."""
    t = np.arange(SAMPLES) / RATE
    turn = 2 * np.pi * np.cumsum(120 + 25 * np.sin(2 * np.pi * 2.1 * t)) / RATE
    tone = sum(np.sin(k * turn) / k**0.7 * np.exp(-(((k * 120 - 600) / 900) ** 2)) for k in range(1, 30))
    noise = np.random.default_rng(5).normal(0, 0.02, t.size)
    return neutral(np.asarray(tone * (np.sin(2 * np.pi * 1.6 * t) > -0.4) + noise, np.float32))
