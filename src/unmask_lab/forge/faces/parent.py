"""What a face forgery starts from, and the regions of a face that forgeries change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator

from unmask.faces.align import similarity
from unmask_lab.forge.forgery import Alpha, Mask, Rgb

# Points of the MediaPipe face mesh, in the order of the outline.
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
BROWS = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46, 300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
NOSE = (168, 6, 197, 195, 5, 4, 1, 2, 98, 97, 326, 327, 129, 358, 48, 278)
# The outline below the cheekbones, from ear to ear.
JAW = (454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234)

REGIONS: dict[str, tuple[int, ...]] = {
    "face": OVAL,
    "below the brows": (*BROWS, *JAW),
    "features": (*BROWS, *RIGHT_EYE, *LEFT_EYE, *NOSE, *LIPS),
    "lower face": (*NOSE, *JAW[1:-1]),
    "mouth": (*LIPS, 164, 18, 57, 287),
    "eyes": (*BROWS, *RIGHT_EYE, *LEFT_EYE),
}

Points = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FaceParent:
    """A bona fide face with its surroundings.

    ``rgb``: (h, w, 3) uint8. ``mesh``: (468, 3) float32 in its pixels. ``keypoints``: (6, 2) float32, those of
    `unmask.faces.Face`. ``size``: pixels of the face, `Face.size`.
    """

    rgb: Rgb
    mesh: Points
    keypoints: Points
    size: float

    @property
    def flat(self) -> Points:
        """(468, 2) x y of the mesh."""
        return self.mesh[:, :2]


@dataclass(frozen=True, eq=False)
class FaceJob:
    """One face to forge: the parent, another person's face, the random generator, the folder with the weights."""

    parent: FaceParent
    donor: FaceParent
    rng: np.random.Generator
    weights: Path = Path()


def hull(points: Points, shape: tuple[int, ...]) -> Mask:
    """(h, w) bool: the convex hull of ``points`` (n, 2)."""
    out = np.zeros(shape[:2], np.uint8)
    corners = cv2.convexHull(np.round(points).astype(np.int32))
    cv2.fillConvexPoly(out, corners, 1)
    return out.astype(np.bool_)


def soft(mask: Mask, width: float) -> Alpha:
    """(h, w) float32 in 0..1: ``mask`` with an edge that falls to 0 inside it over about ``width`` pixels."""
    radius = max(1, round(width))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    inner = cv2.erode(mask.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(cv2.GaussianBlur(inner.astype(np.float32), (0, 0), max(0.5, width / 2)), np.float32) * mask


def laid(base: Rgb, layer: Rgb, alpha: Alpha) -> Rgb:
    """``layer`` over ``base`` with the weight ``alpha`` (h, w) in 0..1."""
    a = alpha[..., None]
    return np.clip(np.round(base * (1 - a) + layer * a), 0, 255).astype(np.uint8)


def warped(source: FaceParent, target: Points, shape: tuple[int, ...]) -> Rgb:
    """``source`` bent so that its mesh comes to lie on ``target`` (468, 2), in a picture of ``shape``.

    Piecewise affine over the triangles of the target mesh (Delaunay). Outside the mesh the nearest point's shift
    goes on, which masks leave out.
    """
    # A frame far outside keeps the map defined, and still, everywhere.
    h, w = shape[:2]
    rim = np.array([(x, y) for x in (-w, w / 2, 2 * w) for y in (-h, h / 2, 2 * h) if (x, y) != (w / 2, h / 2)])
    there = similarity(target, source.flat)
    corners = rim @ there[:, :2].T + there[:, 2]
    lattice = LinearNDInterpolator(np.vstack([target, rim]), np.vstack([source.flat, corners]))
    x, y = np.meshgrid(np.arange(w), np.arange(h))
    back = lattice(np.column_stack([x.ravel(), y.ravel()])).reshape(h, w, 2).astype(np.float32)
    return np.asarray(
        cv2.remap(source.rgb, back[..., 0], back[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def colours_of(layer: Rgb, base: Rgb, mask: Mask, share: float = 1.0) -> Rgb:
    """``layer`` with the mean and spread that ``base`` has under ``mask``, in CIE Lab; ``share`` of the way.

    E. Reinhard, M. Ashikhmin, B. Gooch, P. Shirley: Color Transfer between Images. IEEE CG&A 21(5), 2001.
    """
    a, b = (cv2.cvtColor(p, cv2.COLOR_RGB2LAB).astype(np.float32) for p in (layer, base))
    for c in range(3):
        mean_a, mean_b = float(a[mask, c].mean()), float(b[mask, c].mean())
        gain = float(np.clip(b[mask, c].std() / (a[mask, c].std() + 1e-3), 0.5, 2.0))
        matched = (a[..., c] - mean_a) * gain + mean_b
        a[..., c] += share * (matched - a[..., c])
    return np.asarray(cv2.cvtColor(np.clip(np.round(a), 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB), np.uint8)
