"""`face.swap`: changed faces against the faces they were made of; no picture of a real swap is ever trained on.

A batch is made of pairs: a bona fide face and a change of it. It is blended with itself (K. Shiohara, T. Yamasaki, CVPR
2022) or with another person's face (L. Li et al.: Face X-ray, CVPR 2020), or its own mesh is moved and drawn again.
Both have one and the same history otherwise, so that only the seam and what differs inside it can be learnt. A coarse
map of the changed region is a second task. With ``--fold`` whole sources are left out and scored together with
forgeries of families that training never saw; without it all train.

    unmask-lab train face.swap --kit KIT --with backbone=efficientnet-lite0-57934424.pth --with weights=FOLDER \
        --folds 2 --fold 1 --folder run

``--with start=best.pt`` goes on from another run's weights. With ``--fold`` the state with the best mean AUC on two
sources that do not train is kept; without it the averaged weights of the last step.

The model that ships, face-swap-2: ``--folds 2 --fold 1 --steps 2400``, seed 1; its log is kept beside (train/logs).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from unmask_lab import scores
from unmask_lab.evaluate.metrics import auc
from unmask_lab.face_bank import BankFace, open_bank
from unmask_lab.forge.forgery import Rgb, seeded
from unmask_lab.nets.faceswap import Exported, FaceSwapNet
from unmask_lab.scores import Score
from unmask_lab.train import face_material as material
from unmask_lab.train.ahead import Ahead
from unmask_lab.train.export import export
from unmask_lab.train.face_card import CARD
from unmask_lab.train.loop import Trainer, cosine, load_weights
from unmask_lab.train.options import TrainOptions

QUESTION = "face.swap"
STEPS, EVERY, PAIRS = 3600, 300, 12
BACKBONE_RATE, HEAD_RATE, DECAY, EMA = 5e-4, 1e-3, 0.02, 0.997
SOURCE_POWER = 0.65
MAP_WEIGHT, RANK_WEIGHT = 0.5, 0.25
VALIDATED = ("genconvit", "div-justadudewhohacks-face-api.js")
"""Sources on which a run with left-out folds is validated and its best state chosen; they do not train in it."""
VALIDATION_FACES = 24
FORGED_PER_SOURCE, NEURAL_PER_SOURCE = 40, 6
STATISTICS_FACES = 600


def train(options: TrainOptions) -> None:
    """Train; then write ``scores.csv`` of the fold left out, and the model folder where one was asked for."""
    kit = options.need_kit()
    cv2.setNumThreads(1)
    bank = open_bank(kit, options.files.get("bank", options.folder / "bank.npz"))
    inside = [face for face in bank if face.origin.label == "real" and not outside(face, options)]
    own = [f for f in inside if options.fold is None or f.origin.source not in VALIDATED]
    net = FaceSwapNet().to(memory_format=torch.channels_last)
    if "start" in options.files:
        load_weights(options.files["start"], net)
    else:
        net.load_backbone(options.need("backbone", "the ImageNet weights of EfficientNet-lite0"))
    trainer = Trainer(
        options.folder,
        net,
        optimiser(net),
        seed=options.seed,
        schedule=cosine(options.steps or STEPS, 50),
        ema=EMA,
        device=options.device,
    )
    watched = [f for f in inside if f.origin.source in VALIDATED]
    draw = Ahead(batches(own, options.seed))
    best = trainer.run(
        lambda step: tensors(draw(step)),
        loss,
        validation(watched, options.files.get("weights", Path()), options.seed),
        steps=options.steps or STEPS,
        every=EVERY,
        keep="step" if options.fold is None else "mean",
    )
    draw.close()
    net = FaceSwapNet()
    load_weights(best, net)
    net.eval()
    exported = Exported(net, *statistics(net, own, options.seed)).eval()
    if options.fold is not None:
        left = [face for face in bank if outside(face, options)]
        rows = score(exported, left, options.files.get("weights", Path()), options.fold, options.seed)
        scores.write(options.folder / "scores.csv", rows)
    if options.export is not None:
        face = torch.from_numpy(material.align(own[0].parent.rgb, own[0].parent.keypoints)[0][None].astype(np.float32))
        export(
            exported,
            {"face": drawn(face)},
            ("score", "map", "distance"),
            options.export,
            CARD,
            weights="float16",
            replace=options.replace,
        )


def outside(face: BankFace, options: TrainOptions) -> bool:
    """Whether a face's source is left out; a folder of real and one of changed files of one name stay together."""
    name = face.origin.source.removeprefix("video-")
    number = int(hashlib.sha256(name.encode()).hexdigest(), 16)
    return options.fold is not None and number % options.folds == options.fold


def optimiser(net: FaceSwapNet) -> torch.optim.Optimizer:
    """AdamW; the pretrained layers move slower than the new ones."""
    groups: list[list[Any]] = [[], []]
    for name, parameter in net.named_parameters():
        groups[int(not name.startswith("_"))].append(parameter)
    rates = (BACKBONE_RATE, HEAD_RATE)
    return torch.optim.AdamW(
        [{"params": p, "lr": rate} for p, rate in zip(groups, rates, strict=True)], weight_decay=DECAY
    )


def batches(bank: Sequence[BankFace], seed: int) -> Callable[[int], dict[str, NDArray[Any]]]:
    """Step -> pairs as arrays: bona fide and changed by turns."""
    draw = material.sampler(bank, seed, PAIRS, SOURCE_POWER)
    return lambda step: collate(draw(step))


def collate(faces: Sequence[material.Aligned]) -> dict[str, NDArray[Any]]:
    """A batch of arrays."""
    return {
        "face": np.stack([f.rgb for f in faces]),
        "cells": np.stack([f.cells for f in faces]),
        "forged": np.array([f.forged for f in faces], np.float32),
    }


def tensors(batch: dict[str, NDArray[Any]]) -> dict[str, Tensor]:
    """A batch as the network takes it."""
    rest = {key: torch.from_numpy(value) for key, value in batch.items() if key != "face"}
    return {"face": picture(list(batch["face"])), **rest}


def picture(faces: Sequence[Rgb]) -> Tensor:
    """(n, 3, h, w) float32, 0..255."""
    pixels = np.stack(faces).transpose(0, 3, 1, 2).astype(np.float32)
    return torch.from_numpy(pixels).contiguous(memory_format=torch.channels_last)


def loss(model: Any, batch: dict[str, Tensor]) -> Tensor:
    """Cross-entropy of the score and of the cells, and each self-blend above the face that it was made of."""
    out = model(batch["face"])
    score, cells = out["score"].float(), out["map"].float()
    # A weak blend is a blend: cells are marked by where it lies, not by how clear it is.
    whole = batch["cells"].amax((1, 2), keepdim=True).clamp_min(0.05)
    target = (batch["cells"] / whole).clamp(0, 1)
    total = F.binary_cross_entropy_with_logits(score, batch["forged"])
    total = total + MAP_WEIGHT * F.binary_cross_entropy_with_logits(cells, target)
    return total + RANK_WEIGHT * F.softplus(score[0::2] - score[1::2]).mean()


def validation(bank: Sequence[BankFace], weights: Path, seed: int) -> Callable[[Any], dict[str, float]]:
    """Model -> AUC on sources and families left out, by variant and by family, and the mean over variants."""
    made = [(face, "", face.parent.rgb) for face in material.chosen(bank, seed, VALIDATION_FACES)]
    made += material.left_out(bank, weights, seed, VALIDATION_FACES, NEURAL_PER_SOURCE)
    sets = {
        variant: [aligned(face, rgb, variant, seed) for face, _, rgb in made]
        for variant in ("clean", "laundered:1", material.HALF)
    }
    family = np.array([name for _, name, _ in made])

    def validate(model: Any) -> dict[str, float]:
        raw = {}
        for variant, faces in sets.items():
            parts = [model(picture(faces[i : i + 32]))["score"].float().numpy() for i in range(0, len(faces), 32)]
            raw[variant] = np.concatenate(parts)
        figures = {f"auc_{variant}": float(auc(scores, family != "")) for variant, scores in raw.items()}
        figures["mean"] = float(np.mean(list(figures.values())))
        for name in sorted(set(family) - {""}):
            of = np.isin(family, ("", name))
            figures[name] = float(np.mean([auc(scores[of], family[of] != "") for scores in raw.values()]))
        return figures

    return validate


def aligned(face: BankFace, rgb: Rgb, variant: str, seed: int) -> Rgb:
    """A version of a bank's face as the network sees it after one way through the world."""
    washed = material.wash(rgb, seeded(seed, variant, face.origin.path, str(face.origin.index)), variant)
    return material.align(washed, material.scaled(face.parent.keypoints, rgb.shape, washed.shape))[0]


def statistics(net: FaceSwapNet, bank: Sequence[BankFace], seed: int) -> tuple[Tensor, Tensor]:
    """Mean (256,) and whitening (256, 256) of the embeddings of training faces, for the distance that tells drift."""
    draw = material.sampler(bank, seed + 1, PAIRS, SOURCE_POWER)
    steps = range(STATISTICS_FACES // (2 * PAIRS) + 1)
    with torch.no_grad():
        parts = [net(tensors(collate(draw(step)))["face"])["embedding"].double() for step in steps]
    embedding = torch.cat(parts)
    mean = embedding.mean(0)
    spread = torch.cov((embedding - mean).T)
    spread = spread + 0.05 * spread.diagonal().mean() * torch.eye(len(mean), dtype=torch.float64)
    values, vectors = torch.linalg.eigh(spread)
    return mean.float(), (vectors / values.sqrt() / len(mean) ** 0.5).float()


def score(net: Any, bank: Sequence[BankFace], weights: Path, fold: int, seed: int) -> Iterator[Score]:
    """Rows for the sources left out: bona fide faces, real changed ones, and forgeries of families never trained on."""
    real = [face for face in bank if face.origin.label == "real"]
    for face in bank:
        family = "" if face.origin.label == "real" else face.origin.method
        yield from _rows(net, face, family, face.parent.rgb, fold, seed)
    for face, family, rgb in material.left_out(real, weights, seed, FORGED_PER_SOURCE, NEURAL_PER_SOURCE):
        yield from _rows(net, face, family, rgb, fold, seed)


def _rows(net: Any, face: BankFace, family: str, rgb: Rgb, fold: int, seed: int) -> Iterator[Score]:
    for variant in material.VARIANTS:
        with torch.no_grad():
            out = net(torch.from_numpy(aligned(face, rgb, variant, seed)[None].astype(np.float32)))
        yield line(face, family, variant, fold, float(out[0]), float(out[2]))


def line(face: BankFace, family: str, variant: str, fold: int, raw: float, distance: float, stratum: str = "") -> Score:
    """One row of the score table; ``family`` is empty for a bona fide face."""
    origin = face.origin
    return Score(
        path=f"{origin.path}#face{origin.index}" + (f":{family}" if family else ""),
        question=QUESTION,
        detector=QUESTION,
        label=int(bool(family)),
        source=origin.source,
        generator=family,
        family=family,
        kind="" if family else origin.kind,
        variant=variant,
        stratum=stratum,
        fold=fold,
        raw=raw,
        distance=distance,
    )


def drawn(face: Tensor) -> Tensor:
    """A reference that shows nobody: (1, h, w, 3) of soft shapes with the colours of ``face``."""
    h, w = face.shape[1:3]
    y, x = torch.meshgrid(torch.linspace(-1, 1, h), torch.linspace(-1, 1, w), indexing="ij")
    oval = ((x / 0.55) ** 2 + (y / 0.75) ** 2 < 1).float()
    eyes = (((x.abs() - 0.25) ** 2 + (y + 0.15) ** 2) < 0.006).float()
    mouth = (((x / 0.25) ** 2 + ((y - 0.4) / 0.06) ** 2) < 1).float()
    ripple = 6 * torch.sin(23 * x + 17 * y) + 4 * torch.sin(61 * y)
    planes = [90 + 80 * oval - 110 * eyes - 40 * mouth * c + ripple * (1 + c) for c in (0.2, 0.8, 1.0)]
    return torch.stack(planes, -1)[None].clamp(0, 255)
