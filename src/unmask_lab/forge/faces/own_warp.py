"""A face bent by its own mesh, drawn again at a tool's resolution and put back by region: for training only.

What lip-sync and motion-transfer tools leave behind, without any of them: the texture inside a region was resampled,
and what moved no longer fits its surroundings to the pixel (K. R. Prajwal et al.: A Lip Sync Expert Is All You Need for
Speech to Lip Generation In the Wild. ACM Multimedia 2020; A. Siarohin et al.: First Order Motion Model for Image
Animation. NeurIPS 2019). Movements are random and no other person's, unlike those of `lips` and `reenact`.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.random import Generator
from scipy.interpolate import LinearNDInterpolator

from unmask.faces.align import similarity
from unmask_lab.forge.faces.parent import LIPS, NOSE, OVAL, REGIONS, FaceJob, FaceParent, Points, hull, laid, soft
from unmask_lab.forge.faces.self_blend import altered, blend_mask
from unmask_lab.forge.family import FamilyCard, PictureMade
from unmask_lab.forge.forgery import Alpha, Rgb
from unmask_lab.launder.image import encode

CARD = FamilyCard(
    id="face_own_warp",
    makes="the face's own mesh moved at random, drawn at 64-240 pixels, put back by region: for training only",
    licence="that of the parent",
    count=0,
    regional=True,
)
SHARES = {"face": 0.4, "lower face": 0.25, "mouth": 0.2, "below the brows": 0.1, "eyes": 0.05}
TOOL_SIDES = (64.0, 240.0)
KERNELS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)


def forge(job: FaceJob) -> Iterator[PictureMade]:
    """One bent face. The mask is where the blend weighs at least a tenth."""
    rgb, alpha, region = own_warp(job.rng, job.parent)
    yield PictureMade(rgb, f"bent by its own mesh: {region}", alpha > 0.1)


def own_warp(rng: Generator, parent: FaceParent) -> tuple[Rgb, Alpha, str]:
    """The changed picture, the weight of the upper layer (h, w), and the region."""
    region = str(rng.choice(list(SHARES), p=list(SHARES.values())))
    layer = parent.rgb
    if rng.random() < 0.8:
        layer = bent_to(parent, moved_mesh(rng, parent, region), parent.rgb.shape, int(rng.choice(KERNELS)))
    layer = drawn_by_tool(rng, layer, parent.size)
    if rng.random() < 0.3:
        layer = altered(rng, layer)
    alpha = _mask(rng, parent, region)
    return laid(parent.rgb, layer, alpha), alpha, region


def bent_to(source: FaceParent, target: Points, shape: tuple[int, ...], kernel: int = cv2.INTER_CUBIC) -> Rgb:
    """``source`` bent so that its mesh comes to lie near ``target`` (468, 2), in a picture of ``shape``.

    Smooth, and several times quicker than `parent.warped`: the map is computed at nodes and interpolated between.
    """
    h, w = shape[:2]
    rim = np.array([(x, y) for x in (-w, w / 2, 2 * w) for y in (-h, h / 2, 2 * h) if (x, y) != (w / 2, h / 2)])
    there = similarity(target, source.flat)
    lattice = LinearNDInterpolator(
        np.vstack([target, rim]), np.vstack([source.flat, rim @ there[:, :2].T + there[:, 2]])
    )
    span = float(np.ptp(target[:, 0]) + np.ptp(target[:, 1])) / 2
    step = max(3, round(span / 28))
    columns, rows = -(-w // step), -(-h // step)
    x, y = np.meshgrid((np.arange(columns) + 0.5) * step - 0.5, (np.arange(rows) + 0.5) * step - 0.5)
    nodes = lattice(np.column_stack([x.ravel(), y.ravel()])).reshape(rows, columns, 2)
    shift = (nodes - np.dstack([x, y])).astype(np.float32)
    shift = cv2.resize(shift, (columns * step, rows * step), interpolation=cv2.INTER_LINEAR)[:h, :w]
    x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    return np.asarray(
        cv2.remap(source.rgb, x + shift[..., 0], y + shift[..., 1], kernel, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def moved_mesh(rng: Generator, parent: FaceParent, region: str) -> Points:
    """(468, 2): the mesh after a random movement: of the mouth, as by a small turn of the head, or without meaning."""
    flat, size = parent.flat, parent.size
    shift = np.zeros_like(flat)
    if region in ("mouth", "lower face") or rng.random() < 0.6:
        shift += _mouth(rng, parent)
    if region in ("face", "below the brows") and rng.random() < 0.5:
        depth = parent.mesh[:, 2:] - parent.mesh[list(OVAL), 2].mean()
        shift += np.clip(depth / size, -0.6, 0.6) * rng.uniform(-0.12, 0.12, 2).astype(np.float32) * size
    for _ in range(int(rng.integers(0, 4))):
        centre = flat[int(rng.integers(len(flat)))]
        reach = float(rng.uniform(0.08, 0.25)) * size
        weight = np.exp(-(((flat - centre) ** 2).sum(1) / reach**2))[:, None]
        shift += weight * rng.normal(0, 0.03, 2).astype(np.float32) * size
    if rng.random() < 0.6:
        shift *= _inside(flat, size)
    return (flat + shift).astype(np.float32)


def _mouth(rng: Generator, parent: FaceParent) -> Points:
    """Opening or closing, wider or narrower, corners up or down; in pixels."""
    flat, size = parent.flat, parent.size
    middle = flat[list(LIPS)].mean(axis=0)
    brow, chin = flat[list(NOSE)][0], flat[152]
    down = (chin - brow) / max(1e-3, float(np.linalg.norm(chin - brow)))
    across = np.array([-down[1], down[0]])
    u, v = (flat - middle) @ across / size, (flat - middle) @ down / size
    near = np.exp(-((u / 0.3) ** 2) - (v / 0.28) ** 2)
    opening = rng.normal(0, 0.05) * near * np.tanh(v / 0.05)
    wide = rng.normal(0, 0.25) * near * u
    corners = rng.normal(0, 0.035) * near * np.minimum(1.0, np.abs(u) / 0.2)
    return np.asarray(size * ((opening + corners)[:, None] * down + wide[:, None] * across), np.float32)


def _inside(flat: Points, size: float) -> Points:
    """(468, 1) 0 on the outline of the face, 1 from a tenth of the face inwards."""
    outline = flat[list(OVAL)]
    distance = np.sqrt(((flat[:, None] - outline[None]) ** 2).sum(-1).min(axis=1))
    return np.asarray(np.minimum(1.0, distance / (0.1 * size))[:, None], np.float32)


def drawn_by_tool(rng: Generator, layer: Rgb, size: float) -> Rgb:
    """``layer`` as a tool gives it back that works on a square of 64-240 pixels around a face of ``size`` pixels."""
    side = float(rng.uniform(*TOOL_SIDES))
    unit = min(1.0, side / (float(rng.uniform(1.1, 2.0)) * size))
    h, w = layer.shape[:2]
    small = max(8, round(w * unit) - int(rng.integers(0, 3))), max(8, round(h * unit) - int(rng.integers(0, 3)))
    reduce = cv2.INTER_AREA if rng.random() < 0.7 else cv2.INTER_LINEAR
    out = cv2.resize(layer, small, interpolation=reduce if unit < 1 else cv2.INTER_LINEAR)
    pick = rng.random()
    if pick < 0.2:
        out = encode(np.asarray(out, np.uint8), "JPEG", int(rng.integers(55, 96)))
    elif pick < 0.35:
        out = cv2.bilateralFilter(np.asarray(out, np.uint8), 5, float(rng.uniform(8, 30)), 3)
    elif pick < 0.5:
        blurred = cv2.GaussianBlur(out, (0, 0), 1.2)
        out = cv2.addWeighted(out, 1 + (gain := float(rng.uniform(0.3, 1.2))), blurred, -gain, 0)
    return np.asarray(cv2.resize(np.asarray(out), (w, h), interpolation=int(rng.choice(KERNELS))), np.uint8)


def _mask(rng: Generator, parent: FaceParent, region: str) -> Alpha:
    """(h, w) in 0..1: the region's outline, bent at random or as it is, or the box around it."""
    pick = rng.random()
    if pick < 0.5:
        return blend_mask(rng, parent, region)
    points = parent.flat[list(REGIONS[region])]
    if pick < 0.7:
        low, high = points.min(axis=0), points.max(axis=0)
        points = np.array([low, (high[0], low[1]), high, (low[0], high[1])], np.float32)
    middle = points.mean(axis=0)
    points = middle + (points - middle) * rng.uniform(0.9, 1.15, 2).astype(np.float32)
    return soft(hull(points, parent.rgb.shape), parent.size * float(np.exp(rng.uniform(np.log(0.008), np.log(0.1)))))
