"""Aligned faces for `face.swap`: parents and their self-blends, laundered alike, and the left-out forgeries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from unmask.faces.align import TEMPLATE, WEIGHTS, similarity, warp
from unmask_lab.face_bank import BankFace
from unmask_lab.forge import faces as families
from unmask_lab.forge.faces.blend_other import blend_other
from unmask_lab.forge.faces.own_warp import own_warp
from unmask_lab.forge.faces.parent import JAW, LEFT_EYE, NOSE, RIGHT_EYE, FaceJob, FaceParent, hull, laid
from unmask_lab.forge.faces.self_blend import altered, self_blend
from unmask_lab.forge.family import Family, PictureMade, walk
from unmask_lab.forge.forgery import Alpha, Rgb, seeded
from unmask_lab.launder import image as laundry

# Most faces of the bank are about as large as the aligned square, so that few traces are lost to its resolution.
SIDE, MARGIN, CELLS = 224, 0.02, 14
TRAINED_ON = ("face_self_blend", "face_blend_other", "face_own_warp")
# Of blends with another person's face and of own-mesh warps; the rest are self-blends.
OTHER_SHARE, WARP_SHARE = 0.4, 0.35
LAUNDERED = 2
HALF = "half-jpeg70"
VARIANTS = ("clean", *(f"laundered:{i}" for i in range(1, LAUNDERED + 1)), HALF)
LEAST_SIDE = 48


@dataclass(frozen=True)
class Aligned:
    """``rgb``: (SIDE, SIDE, 3) uint8; ``cells``: (CELLS, CELLS) share of each cell that was blended, 0..1."""

    rgb: Rgb
    cells: NDArray[np.float32]
    forged: bool


def align(
    rgb: Rgb, keypoints: NDArray[np.floating], jitter: Generator | None = None, alpha: Alpha | None = None
) -> tuple[Rgb, NDArray[np.float32]]:
    """The face as the product aligns it, and ``alpha`` (h, w) by cell; ``jitter`` shakes and mirrors."""
    there = similarity(keypoints, (TEMPLATE + MARGIN) / (1 + 2 * MARGIN) * SIDE, WEIGHTS)
    mirror = False
    if jitter is not None:
        shake = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), jitter.uniform(-4, 4), jitter.uniform(0.93, 1.07))
        shake[:, 2] += jitter.uniform(-0.025, 0.025, 2) * SIDE
        there = shake[:, :2] @ there + np.column_stack([np.zeros((2, 2)), shake[:, 2]])
        mirror = bool(jitter.random() < 0.5)
    face = warp(rgb, there, SIDE, cv2.BORDER_REPLICATE)
    cells = np.zeros((CELLS, CELLS), np.float32)
    if alpha is not None:
        grey = cv2.resize(np.round(alpha * 255).astype(np.uint8), rgb.shape[1::-1], interpolation=cv2.INTER_AREA)
        part = warp(np.asarray(grey, np.uint8), there, SIDE) / np.float32(255)
        cells = np.asarray(
            cv2.resize(part.astype(np.float32), (CELLS, CELLS), interpolation=cv2.INTER_AREA), np.float32
        )
    if mirror:
        return np.ascontiguousarray(face[:, ::-1]), np.ascontiguousarray(cells[:, ::-1])
    return face, cells


def wash(rgb: Rgb, rng: Generator, variant: str | None = None) -> Rgb:
    """One way through the world without a crop: ``variant`` of `VARIANTS`, or any of them as they come in training."""
    if variant == "clean":
        return rgb
    if variant == HALF or (variant is None and rng.random() < 0.3):
        return half(rgb, int(rng.integers(58, 92)) if variant is None else 70)
    if variant is None and rng.random() < 0.2:
        return rgb
    rgb = laundry.resize(rgb, rng)
    for chance, step in ((0.15, laundry.blur), (0.15, laundry.noise), (0.1, laundry.tone)):
        if rng.random() < chance:
            rgb = step(rgb, rng)
    rgb = laundry.recompress(rgb, rng)
    if rng.random() < 0.35:
        rgb = laundry.recompress(laundry.resize(rgb, rng) if rng.random() < 0.5 else rgb, rng)
    return rgb


def half(rgb: Rgb, quality: int) -> Rgb:
    """Half the size, saved as JPEG."""
    size = max(LEAST_SIDE, rgb.shape[1] // 2), max(LEAST_SIDE, rgb.shape[0] // 2)
    small = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    return laundry.encode(small, "JPEG", quality)


def scaled(keypoints: NDArray[np.floating], before: tuple[int, ...], after: tuple[int, ...]) -> NDArray[np.float64]:
    """Key points after a picture of shape ``before`` was resized to ``after``."""
    ratio = np.array([after[1] / before[1], after[0] / before[0]])
    return np.asarray((np.asarray(keypoints, np.float64) + 0.5) * ratio - 0.5, np.float64)


def beautified(rgb: Rgb, rng: Generator) -> Rgb:
    """Skin smoothed as phones and apps do, over the whole picture."""
    strength = float(rng.uniform(0.3, 0.9))
    smooth = cv2.bilateralFilter(rgb, 7, rng.uniform(15, 45), rng.uniform(3, 7))
    mixed = np.round(rgb * (1 - strength) + np.asarray(smooth) * strength)
    return np.asarray(np.clip(mixed, 0, 255), np.uint8)


def dressed(rgb: Rgb, draw: Generator) -> Rgb:
    """A caption or a bar over the picture, as posts carry them: drawn things are no blending."""
    out = rgb.copy()
    h, w = out.shape[:2]
    colour = tuple(int(v) for v in draw.integers(0, 256, 3))
    y, x = int(draw.integers(h)), int(draw.integers(w))
    if draw.random() < 0.5:
        cv2.rectangle(out, (x, y), (x + int(draw.integers(w)), y + int(draw.integers(4, h // 3))), colour, -1)
    cv2.putText(
        out, "Photo 24", (x // 2, y), int(draw.integers(0, 8)), h / 300 * draw.uniform(0.5, 2), colour, 1 + h // 150
    )
    return out


def worn(parent: FaceParent, draw: Generator) -> Rgb:
    """Glasses or a mouth mask drawn on the face: worn things differ from skin and are no blending."""
    rgb, flat = parent.rgb, parent.flat
    colour = draw.integers(0, 256, 3)
    shade = np.zeros(rgb.shape[:2], np.float32)
    if draw.random() < 0.5:
        mask = hull(flat[[*NOSE[6:9], *JAW[1:-1]]], rgb.shape).astype(np.float32)
        shade = np.asarray(cv2.GaussianBlur(mask, (0, 0), max(0.6, 0.01 * parent.size)), np.float32)
    else:
        for eye in (LEFT_EYE, RIGHT_EYE):
            x, y = (float(v) for v in flat[list(eye)].mean(axis=0))
            radius = float(draw.uniform(0.14, 0.2)) * parent.size
            thick = -1 if draw.random() < 0.3 else max(1, round(0.02 * parent.size))
            cv2.circle(shade, (round(x), round(y)), round(radius), float(draw.uniform(0.6, 1.0)), thick, cv2.LINE_AA)
    ripple = draw.normal(0, 3, rgb.shape)
    layer = np.clip(colour + ripple + 0.15 * (rgb.astype(np.float32) - 128), 0, 255).astype(np.uint8)
    return laid(rgb, layer, shade)


def forged(rng: Generator, base: FaceParent, donor: FaceParent | None) -> tuple[Rgb, Alpha]:
    """A changed picture of a training family and the weight (h, w) of what was laid over."""
    if donor is not None:
        return blend_other(rng, base, donor)[:2]
    if rng.random() < WARP_SHARE / (1 - OTHER_SHARE):
        return own_warp(rng, base)[:2]
    return self_blend(rng, base)[:2]


def pair(
    parent: FaceParent, rng: Generator, variant: str | None = None, donor: FaceParent | None = None
) -> tuple[Aligned, Aligned]:
    """A bona fide face and a changed one, of itself or with ``donor``, with one and the same history otherwise."""
    rgb = parent.rgb
    if rng.random() < 0.08:
        rgb = worn(parent, rng)
    if rng.random() < 0.12:
        rgb = beautified(rgb, rng)
    if rng.random() < 0.15:
        # Blur, sharpening or an older saving of the whole picture: only where the inside differs is it a sign.
        rgb = altered(rng, rgb)
    base = FaceParent(rgb, parent.mesh, parent.keypoints, parent.size)
    blended, alpha = forged(rng, base, donor)
    seeds = [int(s) for s in rng.integers(1 << 31, size=3)]
    dress = bool(rng.random() < 0.1)
    out = []
    for original, weight in ((rgb, None), (blended, alpha)):
        picture = dressed(original, np.random.default_rng(seeds[2])) if dress else original
        washed = wash(picture, np.random.default_rng(seeds[0]), variant)
        points = scaled(parent.keypoints, rgb.shape, washed.shape)
        jitter = np.random.default_rng(seeds[1]) if variant is None else None
        face, cells = align(washed, points, jitter, weight)
        out.append(Aligned(face, cells, weight is not None))
    return out[0], out[1]


def sampler(bank: Sequence[BankFace], seed: int, pairs: int, power: float) -> Callable[[int], list[Aligned]]:
    """Step -> ``pairs`` pairs; a source of n faces is drawn with a weight of n ** ``power``."""
    sources: dict[str, list[BankFace]] = {}
    for face in bank:
        sources.setdefault(face.origin.source, []).append(face)
    names = sorted(sources)
    weights = np.array([len(sources[name]) ** power for name in names])
    weights /= weights.sum()
    near = Likeness(bank)

    def draw(step: int) -> list[Aligned]:
        rng = seeded(seed, "face pairs", str(step))
        out: list[Aligned] = []
        for name in rng.choice(names, pairs, p=weights):
            face = sources[str(name)][int(rng.integers(len(sources[str(name)])))]
            donor = near(face, rng).parent if rng.random() < OTHER_SHARE else None
            out += pair(face.parent, rng, None, donor)
        return out

    return draw


def left_out(
    bank: Sequence[BankFace], weights: Path, seed: int, per_source: int, neural: int
) -> Iterator[tuple[BankFace, str, Rgb]]:
    """Forgeries of every family but those that are trained on: up to ``per_source`` faces of each source.

    Families that need a network are slow, so they take ``neural`` faces of a source.
    Donors look the same way, are about as large and come from another picture of the bank.
    """
    found: dict[str, Family[FaceJob, PictureMade]] = walk(families)
    near = Likeness(bank)
    slow = {id(face) for face in chosen(bank, seed, neural)}
    for face in chosen(bank, seed, per_source):
        for name, family in found.items():
            if name in TRAINED_ON or family.card.missing(weights) or (family.card.weights and id(face) not in slow):
                continue
            rng = seeded(seed, name, face.origin.path, str(face.origin.index))
            donor = near(face, rng)
            job = FaceJob(face.parent, donor.parent, rng, weights)
            for made in family.forge(job):
                yield face, name, made.rgb


def chosen(bank: Sequence[BankFace], seed: int, per_source: int) -> list[BankFace]:
    """Up to ``per_source`` faces of each source, the same for a seed."""
    sources: dict[str, list[BankFace]] = {}
    for face in bank:
        sources.setdefault(face.origin.source, []).append(face)
    out = []
    for name in sorted(sources):
        order = seeded(seed, "faces", name).permutation(len(sources[name]))
        out += [sources[name][int(i)] for i in order[:per_source]]
    return out


class Likeness:
    """Finds faces of other pictures that look the same way, by the shape of the mesh."""

    def __init__(self, bank: Sequence[BankFace], nearest: int = 12) -> None:
        self.bank, self.nearest = list(bank), nearest
        self._place = {id(face): i for i, face in enumerate(self.bank)}
        shapes = []
        for face in self.bank:
            there = similarity(face.parent.keypoints, TEMPLATE, WEIGHTS)
            flat = face.parent.flat @ there[:, :2].T + there[:, 2]
            shapes.append(np.append(flat.ravel(), 20 * np.log(face.parent.size)))
        self._shapes = np.stack(shapes).astype(np.float32)
        self._paths = np.array([face.origin.path for face in self.bank])

    def __call__(self, face: BankFace, rng: Generator) -> BankFace:
        """One of the nearest faces that are not in the same picture."""
        distance = np.abs(self._shapes - self._shapes[self._place[id(face)]]).mean(axis=1)
        order = np.argsort(distance, kind="stable")
        others = order[self._paths[order] != face.origin.path]
        return self.bank[int(rng.choice(others[: self.nearest]))]
