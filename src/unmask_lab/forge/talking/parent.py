"""What a forged talking head starts from: a clip with its sound, and the mesh of its face in every frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask.faces import detect
from unmask.faces.mesh import lay
from unmask_lab.forge.av_io import Frames, Sound
from unmask_lab.forge.faces.parent import FaceParent, Points
from unmask_lab.forge.forgery import Rgb
from unmask_lab.forge.speech import RATE

EVERY = 6
"""The detector looks at every so many frames; between them its box moves evenly, and the mesh is laid in each."""

LARGE, SMALL = 0.09, 0.045
"""Smallest face looked for at first, and where none was found; as shares of the frame's longer side."""

ROOM = 1.7
FADE = 0.02
"""Seconds over which one sound goes over into another."""


@dataclass(frozen=True, eq=False)
class Head:
    """The one followed face. ``mesh``: (n, 468, 3) float32 in pixels of the frames, as found in each frame alone;
    ``keypoints``: (n, 6, 2); ``size``: (n,) pixels; ``seen``: (n,) where the face was found.
    """

    mesh: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    size: NDArray[np.float32]
    seen: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Talking:
    """A clip: ``frames`` (n, h, w, 3) uint8 RGB, frames a second, ``sound`` mono at 16 kHz (empty: none), the face."""

    frames: Frames
    fps: Fraction
    sound: Sound
    head: Head

    def face(self, i: int, mesh: NDArray[np.float32]) -> tuple[FaceParent, tuple[int, int]]:
        """The face of frame ``i`` with its surroundings, under ``mesh`` (n, 468, 3), and its corner (x, y)."""
        points = mesh[i]
        low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
        half = float((high - low).max()) * ROOM / 2
        x0, y0 = (int(max(0, v)) for v in (low + high) / 2 - half)
        h, w = self.frames.shape[1:3]
        x1, y1 = (int(min(m, v)) for m, v in zip((w, h), (low + high) / 2 + half, strict=True))
        moved = points - np.array([x0, y0, 0], np.float32)
        keys = self.head.keypoints[i] - np.array([x0, y0], np.float32)
        part = np.ascontiguousarray(self.frames[i, y0:y1, x0:x1])
        return FaceParent(part, moved, keys, float(self.head.size[i])), (x0, y0)


@dataclass(frozen=True, eq=False)
class TalkingJob:
    """One clip to forge in frames ``first`` to ``last`` (exclusive).

    ``donor``: another person's clip; ``speech``: somebody else's speech at 16 kHz, as long as the parent's film.
    """

    parent: Talking
    donor: Talking
    speech: Sound
    first: int
    last: int
    rng: np.random.Generator
    weights: Path = Path()

    @property
    def stretch(self) -> tuple[float, float]:
        """The forged stretch in seconds."""
        return float(self.first / self.parent.fps), float(self.last / self.parent.fps)


@dataclass(frozen=True, eq=False)
class TalkingMade:
    """A forged clip; what is None stays the parent's. ``offset``: seconds by which the sound comes too late."""

    generator: str
    frames: Frames | None = None
    sound: Sound | None = None
    offset: float | None = None


def follow(frames: Frames) -> Head:
    """Find the largest face, and lay the mesh in every frame.

    Raises:
        ValueError: no face in any frame that was looked at.
    """
    looked = sorted({*range(0, len(frames), EVERY), len(frames) - 1})
    found = [(i, faces[0]) for i in looked if (faces := detect(frames[i], smallest=LARGE))]
    if len(found) < 0.8 * len(looked):
        found = [(i, faces[0]) for i in looked if (faces := detect(frames[i], smallest=SMALL))]
    if not found:
        raise ValueError("no face in the clip")
    at = np.array([i for i, _ in found], np.float64)
    every = np.arange(len(frames))
    boxes = _between(every, at, np.array([face.box for _, face in found]))
    keys = _between(every, at, np.stack([face.keypoints for _, face in found])).astype(np.float32)
    mesh, seen = np.zeros((len(frames), 468, 3), np.float32), np.zeros(len(frames), np.bool_)
    for i in every:
        x, y, w, h = (float(v) for v in boxes[i])
        mesh[i], presence = lay(frames[i], (x, y, w, h), keys[i])
        seen[i] = presence > 0.5 and np.abs(at - i).min() <= EVERY
    size = np.sqrt(boxes[:, 2] * boxes[:, 3]).astype(np.float32)
    return Head(mesh, keys, size, seen)


def _between(every: NDArray[np.int_], at: NDArray[np.float64], values: NDArray[Any]) -> NDArray[np.float64]:
    """Values at all frames, from those at some: (n, ...)."""
    flat = values.reshape(len(at), -1)
    out = np.stack([np.interp(every, at, flat[:, k]) for k in range(flat.shape[1])], axis=1)
    return out.reshape(len(every), *values.shape[1:])


def smoothed(values: NDArray[Any], keep: float = 0.5) -> NDArray[np.float32]:
    """(n, ...) values over time without their trembling: an exponential mean forwards, then backwards (no delay)."""
    out = np.asarray(values, np.float32).copy()
    for order in (range(1, len(out)), range(len(out) - 2, -1, -1)):
        step = 1 if order.step > 0 else -1
        for i in order:
            out[i] = keep * out[i - step] + (1 - keep) * out[i]
    return out


def redrawn(job: TalkingJob, mesh: NDArray[np.float32], draw: Callable[[int, FaceParent], Rgb]) -> Frames:
    """The parent's frames with the face of each frame in the stretch drawn anew: ``draw(i, face)`` gives its square."""
    frames = job.parent.frames.copy()
    for i in range(job.first, job.last):
        face, (x, y) = job.parent.face(i, mesh)
        if job.parent.head.seen[i] and min(face.rgb.shape[:2]) >= 16:
            h, w = face.rgb.shape[:2]
            frames[i, y : y + h, x : x + w] = draw(i, face)
    return frames


def shapes(mesh: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 468, 2): the meshes turned, scaled and shifted onto their mean, whose spread is 1. What remains is mimic."""
    flat = mesh[..., :2] - mesh[..., :2].mean(axis=1, keepdims=True)
    flat = flat / np.sqrt((flat**2).sum(axis=(1, 2), keepdims=True) / flat.shape[1])
    mean = flat[0]
    for _ in range(2):
        flat = np.stack([_turned(one, mean) for one in flat])
        mean = flat.mean(axis=0)
    return np.asarray(flat, np.float32)


def _turned(one: Points, mean: Points) -> Points:
    a, b = one @ (1, 1j), mean @ (1, 1j)
    turn = (np.conj(a) * b).sum()
    moved = a * turn / max(1e-9, abs(turn))
    return np.stack([moved.real, moved.imag], axis=1).astype(np.float32)


def matched(job: TalkingJob, most: int = 24, loyalty: float = 0.15) -> NDArray[np.int_]:
    """(n,) for each frame of the parent the donor's frame whose mimic and turn are nearest.

    ``most`` frames of the donor are looked at; another one is taken only if it is better by ``loyalty`` (0..1), so that
    the face does not change at every frame.
    """
    seen = np.flatnonzero(job.donor.head.seen)
    pool = seen[np.unique(np.linspace(0, len(seen) - 1, most).astype(int))]
    both = shapes(np.concatenate([job.parent.head.mesh, job.donor.head.mesh[pool]]))
    own, theirs = both[: len(job.parent.frames)], both[len(job.parent.frames) :]
    cost = np.sqrt(((own[:, None] - theirs[None]) ** 2).sum(axis=-1).mean(axis=-1))
    chosen = [int(cost[0].argmin())]
    for row in cost[1:]:
        best = int(row.argmin())
        chosen.append(best if row[best] < (1 - loyalty) * row[chosen[-1]] else chosen[-1])
    return np.asarray(pool[chosen], np.int_)


def donor_faces(job: TalkingJob, order: Sequence[int]) -> dict[int, FaceParent]:
    """The donor's face in each of the frames named."""
    return {int(i): job.donor.face(int(i), job.donor.head.mesh)[0] for i in sorted(set(order))}


def joined(base: Sound, upper: Sound, stretch: tuple[float, float]) -> Sound:
    """``base`` with the stretch (seconds) replaced by ``upper``'s same stretch; both at 16 kHz."""
    n = max(base.size, upper.size)
    seconds = np.arange(n) / RATE
    rise = np.clip((seconds - stretch[0]) / FADE + 0.5, 0, 1) if stretch[0] > 0 else np.ones(n)
    fall = np.clip((stretch[1] - seconds) / FADE + 0.5, 0, 1)
    weight = np.minimum(rise, fall).astype(np.float32)
    low, high = (np.pad(x, (0, n - x.size)).astype(np.float32) for x in (base, upper))
    return np.asarray(low * (1 - weight) + high * weight, np.float32)
