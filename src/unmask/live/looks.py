"""One look at a frame: its pixels, its faces, and what face.swap says of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask.card import Card
from unmask.detectors.face_swap.faces import FaceScore, score_faces
from unmask.faces.align import sharpness
from unmask.faces.detect import SMALLEST, detect
from unmask.faces.face import Face
from unmask.faces.mesh import LEFT_EYE, LEFT_SIDE, LIPS, NOSE_TIP, RIGHT_EYE, RIGHT_SIDE, lay, mesh
from unmask.live.settings import LiveSettings
from unmask.live.tracks import EndlessTracker
from unmask.report import Reason

Rgb = NDArray[np.uint8]
Mesh = NDArray[np.float32]
# Thumbnails of neighbouring looks that differ by so many grey levels show another scene.
_CUT, _THUMB = 40.0, 32
# A mesh is followed from frame to frame, as in the paper of the face mesh, and sought anew after so many seconds.
_FOLLOW_SECONDS, _LEAST_PRESENCE = 0.5, 0.6


@dataclass(frozen=True, eq=False)
class SeenFace:
    """A face in a look. ``score``: face.swap's, None where the face is too small or blurred (``why``) or there are
    too many; ``mesh``: (468, 3) in pixels of the frame, where it was wanted.
    """

    number: int
    face: Face
    score: FaceScore | None
    why: Reason | None
    mesh: Mesh | None = None


@dataclass(frozen=True, eq=False)
class Seen:
    """What a look saw. ``reason``: why there is nothing to judge (black, no face), or None; ``cut``: a new scene."""

    time: float
    rgb: Rgb
    faces: tuple[SeenFace, ...]
    more: int
    reason: Reason | None
    cut: bool


def upright(frame: Any) -> Rgb:
    """(h, w, 3) RGB of an `av.VideoFrame`, turned as its display matrix says."""
    pixels = frame.to_ndarray(format="rgb24")
    turn = -round(float(frame.rotation or 0) / 90.0) * 90 % 360
    return np.ascontiguousarray(np.rot90(pixels, k=-(turn // 90))) if turn else np.asarray(pixels, np.uint8)


def is_black(rgb: Rgb, below: float) -> bool:
    """Whether even the brightest hundredth of the frame lies below ``below`` grey levels."""
    return float(np.percentile(rgb[::8, ::8, 1], 99)) < below


class Looker:
    """Looks at frames one after the other.

    Args:
        settings: of the live watcher.
        card: of face.swap: sizes, sharpness and how many faces are examined.
        swap: ask face.swap at all.
    """

    def __init__(self, settings: LiveSettings, card: Card, swap: bool) -> None:
        self._settings, self._p, self._swap = settings.looking, card.parameters, swap
        self._tracker = EndlessTracker()
        self._thumb: NDArray[np.float32] | None = None
        self._searched = -1e9
        self._followed: SeenFace | None = None
        self._sought = -1e9
        self._small_seen = True

    def look(self, time: float, rgb: Rgb, with_mesh: bool = False) -> Seen:
        """See who is there.

        Args:
            time: seconds, growing.
            rgb: (h, w, 3) uint8, upright.
            with_mesh: lay the mesh over the largest face.

        Raises:
            ModelError: a model cannot be used on this machine.
        """
        cut = self._new_scene(rgb)
        if is_black(rgb, self._settings.black_below):
            self._tracker.update([], time)
            return Seen(time, rgb, (), 0, Reason(code="live.black", text="The picture is black."), cut)
        followed = self._follow(time, rgb) if with_mesh and not cut else None
        if followed is not None:
            return Seen(time, rgb, (followed,), 0, None, False)
        found = self._find(time, rgb)
        known = self._tracker.update(found, time)
        most = int(self._p["most_faces"])
        faces = tuple(
            self._face(rgb, number, face, i == 0 and with_mesh) for i, (number, face) in enumerate(known[:most])
        )
        self._followed, self._sought = (faces[0] if faces and with_mesh else None), time
        reason = None if known else Reason(code="swap.no_face", text="No face is to be seen.")
        return Seen(time, rgb, faces, max(0, len(known) - most), reason, cut)

    def _follow(self, time: float, rgb: Rgb) -> SeenFace | None:
        """The largest face where its mesh was in the look before; None where it must be sought anew."""
        last = self._followed
        if last is None or last.mesh is None or time - self._sought > _FOLLOW_SECONDS:
            return None
        points = key_points(last.mesh)
        laid, presence = lay(rgb, bounds(last.mesh), points)
        if presence < _LEAST_PRESENCE:
            return None
        box = bounds(laid)
        face = Face(box, key_points(laid), last.face.score, round(presence, 4), round(sharpness(rgb, box), 3))
        why = unusable(face, self._p)
        score = score_faces(rgb, [face])[0] if self._swap and why is None else None
        self._followed = SeenFace(last.number, face, score, why, laid)
        return self._followed

    def _find(self, time: float, rgb: Rgb) -> list[Face]:
        """Small faces are sought now and then, and as long as there are some."""
        full = self._small_seen or time - self._searched >= self._settings.full_search_every
        between = self._settings.small_between
        found = detect(rgb, smallest=SMALLEST if full else between)
        if full:
            self._searched = time
            small = 1.2 * between * max(rgb.shape[:2])
            self._small_seen = any(face.size < small for face in found)
        return found

    def _face(self, rgb: Rgb, number: int, face: Face, with_mesh: bool) -> SeenFace:
        laid = mesh(rgb, face) if with_mesh else None
        why = unusable(face, self._p)
        score = score_faces(rgb, [face])[0] if self._swap and why is None else None
        return SeenFace(number, face, score, why, laid)

    def _new_scene(self, rgb: Rgb) -> bool:
        step = max(1, max(rgb.shape[:2]) // _THUMB)
        thumb = rgb[::step, ::step, 1].astype(np.float32)
        before, self._thumb = self._thumb, thumb
        if before is None or before.shape != thumb.shape or float(np.abs(thumb - before).mean()) > _CUT:
            self._tracker.cut()
            return before is not None
        return False


def key_points(laid: Mesh) -> NDArray[np.float32]:
    """(6, 2) key points of a face, as `unmask.faces.face.Face` has them, from its mesh."""
    groups = (RIGHT_EYE, LEFT_EYE, NOSE_TIP, LIPS, RIGHT_SIDE, LEFT_SIDE)
    return np.asarray([laid[list(group), :2].mean(axis=0) for group in groups], np.float32)


def bounds(laid: Mesh) -> tuple[float, float, float, float]:
    """x, y, w, h around a mesh."""
    low, high = laid[:, :2].min(axis=0), laid[:, :2].max(axis=0)
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])


def unusable(face: Face, p: dict[str, float]) -> Reason | None:
    """Why a face cannot be examined; None where it can. ``p``: parameters of face.swap's card."""
    if face.size < p["least_size"]:
        text = f"The face is {face.size:.0f} pixels wide; {p['least_size']:.0f} are needed."
        return Reason(code="swap.small_faces", text=text)
    if face.sharpness < p["least_sharpness"]:
        return Reason(code="swap.blurred", text="The face is too blurred.")
    return None


def largest(seen: Seen) -> SeenFace | None:
    """The largest face of a look."""
    return max(seen.faces, key=lambda one: one.face.size, default=None)


def usable_scores(faces: Sequence[SeenFace], drift_limit: float) -> list[tuple[int, float]]:
    """(number, raw score) of the faces that face.swap knows."""
    return [(f.number, f.score.score) for f in faces if f.score is not None and f.score.distance <= drift_limit]
