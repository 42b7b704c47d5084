"""Lips moved to other words: the same person's mouth of other moments, chosen to fit the new sound, pasted in.

As in C. Bregler, M. Covell, M. Slaney: Video Rewrite: Driving Visual Speech with Audio. SIGGRAPH 1997, with the sound's
loudness instead of phonemes; the paste is that of today's tools (lower half of the face at 96-192 pixels).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from unmask_lab.forge.faces.lips import TOOL_SIDES
from unmask_lab.forge.faces.own_warp import bent_to
from unmask_lab.forge.faces.parent import JAW, LIPS, NOSE, FaceParent, colours_of, hull, laid, soft
from unmask_lab.forge.faces.reenact import expression, rendered
from unmask_lab.forge.family import FamilyCard
from unmask_lab.forge.forgery import Rgb
from unmask_lab.forge.speech import RATE
from unmask_lab.forge.talking.parent import TalkingJob, TalkingMade, joined, redrawn, shapes, smoothed

CARD = FamilyCard(
    id="lips",
    makes="another recording's words, with mouths of the same person at other moments that fit its loudness",
    licence="that of the parents",
    count=0,
)
INNER = (13, 14)
NEAR, TURN = 0.15, 1.5
"""Cost of leaving the running sequence of mouths, and of a mouth of another turn of the head."""


def forge(job: TalkingJob) -> Iterator[TalkingMade]:
    """One re-sync, picture and sound."""
    side, edge = int(job.rng.choice(TOOL_SIDES)), float(job.rng.uniform(0.02, 0.08))
    mesh = smoothed(job.parent.head.mesh, 0.4)
    order = mouths(job, mesh)

    def draw(i: int, face: FaceParent) -> Rgb:
        other = job.parent.face(int(order[i]), mesh)[0]
        layer = bent_to(other, expression(face, other, 1.0), face.rgb.shape)
        mask = hull(face.flat[[*NOSE[6:], *LIPS, *JAW[2:-2]]], face.rgb.shape)
        if not mask.any():
            return face.rgb
        layer = rendered(colours_of(layer, face.rgb, mask, 0.7), face, side)
        return laid(face.rgb, layer, soft(mask, face.size * edge))

    frames = redrawn(job, mesh, draw)
    yield TalkingMade(f"lips at {side} px", frames, joined(job.parent.sound, job.speech, job.stretch))


def mouths(job: TalkingJob, mesh: NDArray[np.float32]) -> NDArray[np.int_]:
    """(n,) whose mouth is shown in each frame: as far open as the new sound is loud, at a like turn of the head."""
    forms = shapes(mesh)
    gap = np.linalg.norm(forms[:, INNER[0]] - forms[:, INNER[1]], axis=1)
    turn = forms[:, 1, 0]
    wanted = np.interp(_ranks(loudness(job.speech, len(mesh), float(job.parent.fps))), _ranks(gap, True), np.sort(gap))
    spread = float(gap.std()) + 1e-6
    usable = np.flatnonzero(job.parent.head.seen)
    chosen: list[int] = []
    for i in range(len(mesh)):
        cost = np.abs(gap[usable] - wanted[i]) / spread + TURN * np.abs(turn[usable] - turn[i])
        if chosen:
            cost = cost + NEAR * (usable != chosen[-1] + 1)
        # What the person did at this very moment would be no change.
        cost = cost + 9.0 * (np.abs(usable - i) <= 2)
        chosen.append(int(usable[int(cost.argmin())]))
    return np.array(chosen, np.int_)


def loudness(sound: NDArray[np.float32], frames: int, fps: float) -> NDArray[np.float64]:
    """(frames,) log energy around each frame, smoothed over about a tenth of a second."""
    out = np.zeros(frames)
    for i in range(frames):
        a, b = (int(max(0.0, (i + d) / fps * RATE)) for d in (-1.0, 2.0))
        part = sound[a:b]
        out[i] = np.log10(float(np.mean(part**2)) + 1e-7) if part.size else -7.0
    return out


def _ranks(values: NDArray[np.floating], ordered: bool = False) -> NDArray[np.float64]:
    """(n,) 0..1 by rank; ``ordered``: as if they were sorted already."""
    n = max(1, len(values) - 1)
    if ordered:
        return np.arange(len(values)) / n
    return np.argsort(np.argsort(values)) / n
