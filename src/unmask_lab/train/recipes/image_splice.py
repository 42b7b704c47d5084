"""`image.splice`: a pool of forgeries, a small net on residuals and DCT coefficients, validated on sources left out.

1. A pool of hosts and forged copies is made once (`unmask_lab.train.splice_material`).
2. A batch is made of pairs: a host and its forged copy, saved and laundered with the same random numbers and cut at
   the same place, so that content, compression and history tell nothing. What is learnt is only what the change left.
3. The state that is best on whole pictures of sources left out is kept: mean of the score's AUC and the map's F1.
4. What is usual of a picture as a whole is measured on washed hosts, for the drift check; then two graphs are written.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from unmask_lab.evaluate.metrics import auc
from unmask_lab.forge.forgery import Mask, Rgb, seeded
from unmask_lab.nets.splice import BLOCK, Splice, spread, summary
from unmask_lab.train import splice_material as material
from unmask_lab.train.export import export
from unmask_lab.train.loop import Trainer, cosine, load_weights
from unmask_lab.train.options import TrainOptions

QUESTION = "image.splice"
CROP = 320
PAIRS = 4
RATE, DECAY, AVERAGE = 2e-3, 1e-3, 0.998
STEPS, EVERY, WARMUP = 2000, 200, 100
ENTRIES, POOL_SEED = 2800, 11
TILE, GRID = 352, 96
"""Pixels of a tile, blocks of the second graph, a side."""
USUAL_PICTURES = 400
LEFT_OUT = (
    "div-mapillary-opensfm",
    "div-beauwoods-photo-portfolio",
    "div-tothebeginning-pulid",
    "div-facebook-threatexchange",
    "div-ai-forever-kandinsky-2",
    "div-hidream-ai-hidream-i1",
)
"""Sources of the training quarter on which a run is validated and its best state chosen."""
VALIDATED = ("clean", "jpeg85", "messenger")
VALIDATION_ENTRIES = 90
JOINED_SHARE = 0.12
PIXEL_WEIGHT, SCORE_WEIGHT, OVERLAP_WEIGHT = 1.0, 0.5, 0.3


@dataclass(frozen=True)
class Sample:
    """One crop: pixels (3, h, w), table (64,), and by block valid, changed and counted (1, h/8, w/8)."""

    rgb: NDArray[np.float32]
    table: NDArray[np.float32]
    valid: NDArray[np.float32]
    target: NDArray[np.float32]
    counted: NDArray[np.float32]
    forged: float


def sample(
    rgb: Rgb,
    table: NDArray[np.float32],
    masks: tuple[Mask, Mask],
    corner: tuple[int, int],
    side: int,
    turn: int,
) -> Sample:
    """A crop of ``side`` pixels at ``corner`` (multiples of 8), zeros beyond the picture; ``turn``: flips."""
    y, x = corner
    cut = rgb[y : y + side, x : x + side]
    h, w = (n // BLOCK * BLOCK for n in cut.shape[:2])
    pixels, area, source = np.zeros((side, side, 3), np.float32), np.zeros((side, side)), np.zeros((side, side))
    pixels[:h, :w] = cut[:h, :w]
    for full, mask in ((area, masks[0]), (source, masks[1])):
        full[:h, :w] = mask[y : y + h, x : x + w]
    n = side // BLOCK
    share = area.reshape(n, BLOCK, n, BLOCK).mean((1, 3))
    copied = source.reshape(n, BLOCK, n, BLOCK).mean((1, 3))
    valid = np.zeros((n, n))
    valid[: h // BLOCK, : w // BLOCK] = 1
    counted = valid * ((share < 0.05) | (share > 0.5)) * (copied < 0.5)
    out = []
    for plane in (pixels, valid[..., None], (share > 0.5)[..., None], counted[..., None]):
        flipped = plane[:, ::-1] if turn & 1 else plane
        flipped = flipped[::-1] if turn & 2 else flipped
        out.append(np.ascontiguousarray(flipped.transpose(2, 0, 1), np.float32))
    return Sample(out[0], table, out[1], out[2], out[3], float((share > 0.5).any()))


def pair(pool: material.Pool, i: int, rng: np.random.Generator, way: str | None, side: int = CROP) -> list[Sample]:
    """Host and forged copy of entry ``i``, washed and cut alike, mostly around the change."""
    host, forged, mask = pool.entry(i)
    treat = material.wash(rng, way)
    turn, focus = int(rng.integers(4)) if way is None else 0, rng.random() < 0.85
    draw = rng.random(2)
    out, corner = [], None
    for rgb, changed in ((host, np.zeros_like(mask)), (forged, mask)):
        pixels, table = treat(rgb)
        if corner is None:
            corner = _corner(material.resized_mask(mask, pixels.shape[:2])[0], side, draw, bool(focus))
        out.append(sample(pixels, table, material.resized_mask(changed, pixels.shape[:2]), corner, side, turn))
    return out


def _corner(changed: Mask, side: int, draw: NDArray[np.float64], focus: bool) -> tuple[int, int]:
    """Upper left corner on the block grid; with ``focus`` the middle of the change lies inside."""
    h, w = changed.shape
    spots = np.argwhere(changed)
    at = spots.mean(0) if len(spots) and focus else np.asarray([np.nan, np.nan])
    corner = []
    for axis, n in enumerate((h, w)):
        low, high = 0, max(0, n - side)
        if not np.isnan(at[axis]):
            low, high = max(low, int(at[axis]) - side + 16), min(high, max(0, int(at[axis]) - 16))
        corner.append(int(low + draw[axis] * max(0, high - low)) // BLOCK * BLOCK)
    return corner[0], corner[1]


def collate(samples: list[Sample]) -> dict[str, Tensor]:
    """A batch of tensors."""
    out = {
        name: torch.from_numpy(np.stack([getattr(s, name) for s in samples]))
        for name in ("rgb", "table", "valid", "target", "counted")
    }
    out["rgb"] = out["rgb"].contiguous(memory_format=torch.channels_last)
    out["forged"] = torch.tensor([[s.forged] for s in samples])
    return out


def batches(pool: material.Pool, seed: int) -> Callable[[int], dict[str, Tensor]]:
    """Step -> batch; sources of `LEFT_OUT` never train."""
    usable = np.flatnonzero(~np.isin(pool.source, LEFT_OUT))

    def batch(step: int) -> dict[str, Tensor]:
        rng = seeded(seed, "step", str(step))
        picks = rng.choice(usable, PAIRS, replace=False)
        made = collate([s for i in picks for s in pair(pool, int(i), rng, None)])
        return joined(made) if rng.random() < JOINED_SHARE else made

    return batch


def joined(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """The batch as of a large picture, whose features are averaged over 2 x 2 blocks."""
    out = dict(batch)
    out["target"] = (F.avg_pool2d(batch["target"], 2) > 0.5).float()
    out["counted"] = (F.avg_pool2d(batch["counted"], 2) > 0.99).float()
    return out


def loss(model: Any, batch: dict[str, Tensor]) -> Tensor:
    """Pixel cross-entropy with both classes even, an overlap term on forged crops, and cross-entropy of the score."""
    target, counted = batch["target"], batch["counted"]
    cells = batch["valid"].shape[-1] // target.shape[-1]
    logits, score, _ = model(batch["rgb"], batch["table"], batch["valid"], cells)
    each = F.binary_cross_entropy_with_logits(logits, target, reduction="none") * counted
    inside, outside = (each * target).sum(), (each * (1 - target)).sum()
    pixel = 0.5 * inside / (target * counted).sum().clamp_min(1) + 0.5 * outside / ((1 - target) * counted).sum()
    p = torch.sigmoid(logits) * counted
    both, total = (p * target).sum((1, 2, 3)), (p + target * counted).sum((1, 2, 3))
    overlap = ((1 - (2 * both + 1) / (total + 1)) * batch["forged"][:, 0]).sum() / batch["forged"].sum().clamp_min(1)
    image = F.binary_cross_entropy_with_logits(score, batch["forged"])
    return PIXEL_WEIGHT * pixel + OVERLAP_WEIGHT * overlap + SCORE_WEIGHT * image


def validation(pool: material.Pool, seed: int) -> Callable[[Any], dict[str, float]]:
    """Model -> AUC of the score and mean best pixel F1 by way of washing, on whole pictures of sources left out."""
    entries = np.flatnonzero(np.isin(pool.source, LEFT_OUT))[:VALIDATION_ENTRIES]
    side = material.SIDE
    kept = {
        way: [pair(pool, int(i), seeded(seed, "validation", way, str(i)), way, side) for i in entries]
        for way in VALIDATED
    }

    def validate(model: Any) -> dict[str, float]:
        figures: dict[str, float] = {}
        for way, pairs in kept.items():
            scores, truth, overlaps = [], [], []
            for two in pairs:
                batch = collate(two)
                logits, score, _ = model(batch["rgb"], batch["table"], batch["valid"])
                scores += score[:, 0].tolist()
                truth += [False, True]
                overlaps.append(best_f1(logits[1].numpy(), two[1].target, two[1].counted))
            figures[f"auc_{way}"] = auc(np.asarray(scores), np.asarray(truth))
            figures[f"f1_{way}"] = float(np.mean(overlaps))
        figures["both"] = float(np.mean(list(figures.values())))
        return figures

    return validate


def best_f1(logits: NDArray[np.float32], target: NDArray[np.float32], counted: NDArray[np.float32]) -> float:
    """F1 over counted blocks at the picture's best threshold."""
    order = np.argsort(-logits[counted > 0.5])
    truth = target[counted > 0.5][order] > 0.5
    if not truth.any():
        return 0.0
    hits = np.cumsum(truth)
    return float((2 * hits / (truth.sum() + np.arange(1, len(hits) + 1))).max())


# From a pool to two model folders ---------------------------------------------------------------------------


def train(options: TrainOptions) -> None:
    """Make the pool where there is none, train, and write the model folders.

    Needs ``--with weights=FOLDER``, the latent codec's state dicts; takes ``--with photos=FOLDER``, more photographs,
    one folder a photographer. ``options.export`` is the folder of the features; the context's lies beside it.
    """
    pool_folder = options.folder / "pool"
    if not (pool_folder / "size.npy").exists():
        weights, photos = options.need("weights", "the latent codec's state dicts"), options.files.get("photos")
        for _ in material.build(pool_folder, options.need_kit(), photos, weights, ENTRIES, POOL_SEED):
            pass
    pool = material.load(pool_folder)
    net = fitted(pool, options)
    fit_usual(net, pool, options.seed)
    if options.export is not None:
        write_models(net, options.export, curve(options.folder / "log.jsonl", options.seed), options.replace)


def fitted(pool: material.Pool, options: TrainOptions) -> Splice:
    """The trained net, in the state that was best on sources left out."""
    torch.manual_seed(options.seed)
    net = Splice()
    net.to(memory_format=torch.channels_last)
    trainer = Trainer(
        options.folder,
        net,
        torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY),
        seed=options.seed,
        schedule=cosine(options.steps or STEPS, WARMUP, 0.02),
        ema=AVERAGE,
        device=options.device,
    )
    best = trainer.run(
        batches(pool, options.seed),
        loss,
        validation(pool, options.seed),
        steps=options.steps or STEPS,
        every=EVERY,
        keep="both",
    )
    load_weights(best, net)
    net.to("cpu").float().eval()
    return net


def fit_usual(net: Splice, pool: material.Pool, seed: int) -> None:
    """Measure means and deviations of whole washed hosts, so that what is far from them can be refused."""
    found = []
    for i in range(min(USUAL_PICTURES, len(pool))):
        pixels, table = material.wash(seeded(seed, "usual", str(i)))(pool.entry(i)[0])
        nothing = np.zeros(pixels.shape[:2], bool)
        one = sample(pixels, table, (nothing, nothing), (0, 0), material.SIDE + 192, 0)
        batch = collate([one])
        with torch.no_grad():
            found.append(summary(*spread(net.features(batch["rgb"], batch["table"]), batch["valid"])))
    whole = torch.cat(found)
    net.context.usual.copy_(whole.mean(0, keepdim=True))
    net.context.usual_spread.copy_(whole.std(0, keepdim=True).clamp_min(1e-3))


CARD: dict[str, Any] = {
    "licence": "Apache-2.0",
    "source": "Trained by the lab's recipe image.splice from random weights",
    "papers": [
        "M.-J. Kwon, S.-H. Nam, I.-J. Yu, H.-K. Lee, C. Kim: Learning JPEG compression artifacts for image "
        "manipulation detection and localization. International Journal of Computer Vision 130, 2022",
        "F. Guillaro, D. Cozzolino, A. Sud, N. Dufour, L. Verdoliva: TruFor: leveraging all-round clues for "
        "trustworthy image forgery detection and localization. CVPR, 2023",
        "B. Bayar, M. C. Stamm: Constrained convolutional neural networks. IEEE Transactions on Information "
        "Forensics and Security 13(11), 2018",
        "J. Fridrich, J. Kodovsky: Rich models for steganalysis of digital images. IEEE Transactions on Information "
        "Forensics and Security 7(3), 2012",
    ],
    "trained_on": "2,800 forgeries made by the lab of about 550 pictures: photographs of the labelled kit's sources "
    "whose SHA-256 is 0 modulo 4, generated pictures of its calibration half, six photographs of Debian's wallpaper "
    "packages; with their untouched twins",
    "known_misses": [
        "Copies within one picture that were only moved: they carry the same traces as what surrounds them.",
        "Changes before strong reduction or JPEG below about 70.",
        "Regions below about 32 pixels or above half of the picture.",
    ],
    "intended_use": "Showing where a picture does not fit itself. A region is a place to look at.",
    "advised_against": "Proof by itself; pictures generated as a whole; prints, drawings, screenshots of text.",
    "data": "The kit's files are of mixed licences, most state none; none of them is part of the product.",
}


def curve(log: Path, seed: int) -> str:
    """The run for the model's card: what was set, and the validation after each part of it."""
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    names = [name for name in lines[0] if name.startswith(("auc_", "f1_"))]
    text = (
        f"Recipe `image.splice`, seed {seed}; {2 * PAIRS} crops of {CROP} px a step, AdamW at {RATE:g}, half a cosine, "
        f"averaged weights ({AVERAGE:g}). Validated on whole pictures of {len(LEFT_OUT)} sources that did not train: "
        "AUC of the score and mean best pixel F1 by way of saving. The state with the best mean of all is kept.\n\n"
    )
    table = [["step", "loss", *(name.replace("_", " ") for name in names)], ["---"] * (2 + len(names))]
    table += [[str(x["step"]), f"{x['loss']:.2f}", *(f"{x[name]:.2f}" for name in names)] for x in lines]
    return text + "\n".join(f"| {' | '.join(row)} |" for row in table)


def write_models(net: Splice, folder: Path, training: str, replace: bool) -> None:
    """The features' folder, and beside it the context's; the reference is a drawn picture, nobody's photograph."""
    rgb, table = drawn()
    features = net.features(rgb, table)
    small = torch.zeros(1, features.shape[1], GRID, GRID)
    small[:, :, : features.shape[2], : features.shape[3]] = features
    valid = torch.zeros(1, 1, GRID, GRID)
    valid[:, :, : features.shape[2], : features.shape[3]] = 1
    name, _, version = folder.name.rpartition("-")
    told = {
        "features": "a vector for each block of 8 x 8 pixels",
        "valid": "1 where a block of the picture is, else 0",
        "rgb": "0..255, at native size, blocks on the file's grid, zeros outside of the picture",
        "table": "the file's luma quantisation table in natural order, zeros where it has none",
        "logits": "log-odds of a changed block",
        "score": "log-odds of a changed picture",
        "distance": "how unlike the training pictures this one is, about 1 for what is usual",
    }
    for part, inputs, outputs, middle, task in (
        (net.features, {"rgb": rgb, "table": table}, ("features",), "", "Describes noise, detail and compression."),
        (
            net.context,
            {"features": small, "valid": valid},
            ("logits", "score", "distance"),
            "-context",
            "Finds the blocks that do not fit the rest of the picture.",
        ),
    ):
        export(
            part,
            inputs,
            outputs,
            folder.with_name(f"{name}{middle}-{version}"),
            CARD
            | {
                "id": name + middle,
                "version": version,
                "title": "Regions unlike the rest: " + ("context" if middle else "features"),
                "task": task,
                "training": training,
                "input_texts": {key: told[key] for key in inputs},
                "output_texts": {key: told[key] for key in outputs},
            },
            weights="float16",
            replace=replace,
        )


def drawn() -> tuple[Tensor, Tensor]:
    """A tile with gradients, edges and noise, and a table, from a fixed seed."""
    rng = np.random.default_rng(8)
    y, x = np.mgrid[:TILE, :TILE].astype(np.float32)
    light = 120 + 60 * np.sin(x / 37) + 40 * np.cos(y / 23) + rng.normal(0, 3, (TILE, TILE))
    light[90:200, 140:260] = cv2.GaussianBlur(light, (0, 0), 2)[90:200, 140:260] + 30
    rgb = np.clip(np.round(light[None] * np.asarray([1.0, 0.9, 0.8])[:, None, None]), 0, 255).astype(np.float32)
    table = np.clip(2 + np.add.outer(np.arange(8), np.arange(8)), 1, 255).reshape(1, 64).astype(np.float32)
    return torch.from_numpy(rgb[None]), torch.from_numpy(table)
