"""`face.swap` with CLIP's tower: a linear head on class tokens of the aligned face, beside the small network.

1. Pairs of a bona fide face and a change of it, drawn, laundered and aligned as the small network's recipe does
   (`face_swap`), from the same sources. The tower, which is not tuned, gives the class tokens of its middle blocks.
2. A ridge logistic regression in the space of their largest principal components.
3. The score is the small network's log-odds plus `WEIGHT` times the head's. Weight and penalty were chosen on the two
   sources that `face_swap` validates on.
4. Sources left out, with forgeries of families that never train, are scored by the small network and by both.

    unmask-lab train face.swap_tower --kit KIT --with weights=FOLDER --folds 2 --fold 1 --folder run

Needs the tower (``unmask models get clip-vit-b16``) and the small network of the same fold, the one that ships.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from unmask.detectors.face_swap.faces import MODEL
from unmask.models.runtime import open_model
from unmask.models.tower import BLOCKS, TOWER, class_tokens
from unmask_lab import scores
from unmask_lab.evaluate.metrics import auc
from unmask_lab.face_bank import BankFace, open_bank
from unmask_lab.forge.forgery import Rgb
from unmask_lab.nets.faceswap import FaceProbe
from unmask_lab.nets.synthetic import Head
from unmask_lab.scores import Score
from unmask_lab.train import face_material as material
from unmask_lab.train.export import export
from unmask_lab.train.face_card import PROBE_CARD
from unmask_lab.train.linear import ITERATIONS, logistic, principal
from unmask_lab.train.options import TrainOptions
from unmask_lab.train.recipes import face_swap as small

STEPS, PARTS, DECAY, WEIGHT = 250, 640, 0.05, 2.0
SEED = 6
"""Added to the run's: the pairs are others than those that the small network saw first."""
LEAST_NATIVE, LEAST_SHARPNESS = 64, 0.3
NOT_SWAPS = (
    "InstantID", "CodeFormer", "encoder edits", "InterFaceGAN", "StyleCLIP", "IC-Light", "PuLID", "InfiniteYou",
    "Photoshop",
)  # fmt: skip
"""Methods of the kit that make or repaint a picture as a whole; nothing is blended in."""

Floats = NDArray[np.float32]
Tokens = NDArray[np.float16]


def train(options: TrainOptions) -> None:
    """Draw, look, fit; then ``log.json`` (validation), ``scores.csv`` of the fold left out, and the model folder."""
    kit = options.need_kit()
    cv2.setNumThreads(1)
    torch.manual_seed(options.seed)
    options.folder.mkdir(parents=True, exist_ok=True)
    bank = open_bank(kit, options.files.get("bank", options.folder / "bank.npz"))
    inside = [face for face in bank if face.origin.label == "real" and not small.outside(face, options)]
    own = [f for f in inside if options.fold is None or f.origin.source not in small.VALIDATED]
    tokens, truth = drawn(own, options)
    head = fit(tokens, truth)
    weights = options.files.get("weights", Path())
    if options.fold is not None:
        watched = [f for f in inside if f.origin.source in small.VALIDATED]
        (options.folder / "log.json").write_text(json.dumps(validation(head, watched, weights, options), indent=1))
        left = [face for face in bank if small.outside(face, options)]
        scores.write(options.folder / "scores.csv", score(head, left, weights, options))
    if options.export is not None:
        mean = torch.from_numpy(tokens.astype(np.float32).mean(0)[None])
        how = {"tokens": mean}
        export(FaceProbe(head), how, ("score",), options.export, PROBE_CARD, weights="float32", replace=options.replace)


def drawn(bank: Sequence[BankFace], options: TrainOptions) -> tuple[Tokens, NDArray[np.bool_]]:
    """(n, blocks, 768) tokens of the pairs and (n,) whether each is the changed one; tokens are kept in the folder."""
    draw = material.sampler(bank, options.seed + SEED, small.PAIRS, small.SOURCE_POWER)
    steps = options.steps or STEPS
    truth = np.tile([False, True], steps * small.PAIRS)
    path = options.folder / "tokens-drawn.npy"
    if not path.is_file():
        looks = [looked([face.rgb for face in draw(step)]) for step in range(steps)]
        np.save(path, np.concatenate(looks))
    tokens: Tokens = np.load(path)[: len(truth)]
    return tokens, truth[: len(tokens)]


def looked(faces: Sequence[Rgb]) -> Tokens:
    """(n, blocks, 768) what the tower says of aligned faces. Raises `ModelError` where it is not installed."""
    tower = open_model(TOWER)
    return np.concatenate([class_tokens(tower, face) for face in faces]).astype(np.float16)


def fit(tokens: Tokens, truth: NDArray[np.bool_], steps: int = ITERATIONS) -> Head:
    """The head on (n, blocks, 768) tokens."""
    flat = torch.from_numpy(tokens.reshape(len(tokens), -1).astype(np.float32))
    head = Head(flat.shape[1], 0)
    head.mean.copy_(flat.mean(0))
    head.deviation.copy_(flat.std(0) + 1e-4)
    z = head.standardise(flat)
    axes = principal(z[::2], PARTS) / len(BLOCKS) ** 0.5
    target = torch.from_numpy(truth.astype(np.float32))[:, None]
    found = logistic(z @ axes, target, torch.ones(len(z)), DECAY, steps)
    with torch.no_grad():
        head.linear.weight.copy_((axes @ found[:-1]).T)
        head.linear.bias.copy_(found[-1])
    head.eval()
    return head


def answers(head: Head, tokens: Tokens) -> Floats:
    """(n,) log-odds from (n, blocks, 768) tokens."""
    with torch.no_grad():
        x = head.standardise(torch.from_numpy(tokens.reshape(len(tokens), -1).astype(np.float32)))
        return np.asarray(head(x)[0].numpy(), np.float32)


def alone(faces: Sequence[Rgb]) -> tuple[Floats, Floats]:
    """(n,) log-odds and (n,) distances of aligned faces by the small network."""
    session = open_model(MODEL)
    said = [session.run({"face": face[None].astype(np.float32)}) for face in faces]
    return tuple(np.asarray([float(one[key][0]) for one in said], np.float32) for key in ("score", "distance"))  # type: ignore[return-value]


def validation(head: Head, bank: Sequence[BankFace], weights: Path, options: TrainOptions) -> dict[str, object]:
    """AUC by variant on the sources that choose: the small network, the head, and both by several weights."""
    made = [(face, "", face.parent.rgb) for face in material.chosen(bank, options.seed, small.VALIDATION_FACES)]
    made += material.left_out(bank, weights, options.seed, small.VALIDATION_FACES, small.NEURAL_PER_SOURCE)
    truth = np.array([bool(family) for _, family, _ in made])
    found: dict[str, dict[str, float]] = {}
    for variant in ("clean", "laundered:1", material.HALF):
        faces = [small.aligned(face, rgb, variant, options.seed) for face, _, rgb in made]
        first, second = alone(faces)[0], answers(head, looked(faces))
        for name, raw in (("small", first), ("head", second), *((f"{w}", first + w * second) for w in (0.5, 1, 2, 3))):
            found.setdefault(name, {})[variant] = round(float(auc(raw.astype(np.float64), truth)), 4)
    return {"seed": options.seed, "decay": DECAY, "weight": WEIGHT, "validation_auc": found}


def examined(face: BankFace) -> bool:
    """Whether the detector would examine it, and whether its label fits the question."""
    origin = face.origin
    clear = origin.native >= LEAST_NATIVE and origin.sharpness >= LEAST_SHARPNESS
    return clear and not any(name in origin.method for name in NOT_SWAPS)


def score(head: Head, bank: Sequence[BankFace], weights: Path, options: TrainOptions) -> Iterator[Score]:
    """Rows of both strata for the sources left out; what the tower saw is kept in ``tokens-left.npy``."""
    path = options.folder / "tokens-left.npy"
    kept = iter(np.load(path)) if path.is_file() else None
    new: list[Tokens] = []
    for face, family, rgb in cases(bank, weights, options.seed):
        faces = [small.aligned(face, rgb, variant, options.seed) for variant in material.VARIANTS]
        tokens = next(kept) if kept is not None else looked(faces)
        new.append(tokens)
        if examined(face):
            yield from _rows(face, family, options, alone(faces), answers(head, tokens))
    if kept is None:
        np.save(path, np.stack(new))


def cases(bank: Sequence[BankFace], weights: Path, seed: int) -> Iterator[tuple[BankFace, str, Rgb]]:
    """Bona fide faces, real changed ones, and forgeries of families that never train."""
    for face in bank:
        yield face, "" if face.origin.label == "real" else face.origin.method, face.parent.rgb
    real = [face for face in bank if face.origin.label == "real"]
    yield from material.left_out(real, weights, seed, small.FORGED_PER_SOURCE, small.NEURAL_PER_SOURCE)


def _rows(
    face: BankFace, family: str, options: TrainOptions, first: tuple[Floats, Floats], second: Floats
) -> Iterator[Score]:
    fold = -1 if options.fold is None else options.fold
    for stratum, raws in (("small", first[0]), ("tower", first[0] + WEIGHT * second)):
        for variant, raw, distance in zip(material.VARIANTS, raws, first[1], strict=True):
            yield small.line(face, family, variant, fold, float(raw), float(distance), stratum)
