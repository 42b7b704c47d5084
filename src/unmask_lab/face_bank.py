"""Every face of the kit's pictures, cut once with its surroundings at native resolution, for forging and training."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from unmask.faces import Face, detect, mesh
from unmask_lab.errors import LabError
from unmask_lab.forge.faces.parent import FaceParent
from unmask_lab.forge.forgery import Rgb
from unmask_lab.kit import half_of, kind_of_source

LEAST, MOST_SIDE, ROOM, MOST_FACES = 56.0, 448, 2.3, 12
FRAMES = 6
# Pictures of these methods hold a face that a tool changed; wholly generated ones are another question.
CHANGED = (
    "Photoshop", "DFDC", "SimSwap", "face-swap", "CodeFormer", "encoder edits", "InterFace", "StyleCLIP",
    "IC-Light", "PuLID", "InstantID", "InfiniteYou",
)  # fmt: skip


@dataclass(frozen=True)
class Origin:
    """Where a face comes from. ``native``: pixels of the face in the file; ``whole``: the file's height and width."""

    path: str
    index: int
    source: str
    label: str
    method: str
    kind: str
    half: str
    native: float
    sharpness: float
    yaw: float
    faces: int
    whole: tuple[int, int]


@dataclass(frozen=True, eq=False)
class BankFace:
    """A face with its origin."""

    parent: FaceParent
    origin: Origin


def cut(rgb: Rgb, face: Face) -> FaceParent:
    """A face with `ROOM` times its box around it, reduced where that is larger than `MOST_SIDE`."""
    x, y, w, h = face.box
    half = max(w, h) * ROOM / 2
    middle = np.array([x + w / 2, y + h / 2 - 0.08 * h])
    low = np.maximum(0, middle - half).astype(int)
    high = np.minimum(rgb.shape[1::-1], middle + half).astype(int)
    part = np.ascontiguousarray(rgb[low[1] : high[1], low[0] : high[0]])
    unit = min(1.0, MOST_SIDE / max(part.shape[:2]))
    if unit < 1:
        size = round(part.shape[1] * unit), round(part.shape[0] * unit)
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    points = mesh(rgb, face)
    points[:, :2] = (points[:, :2] - low + 0.5) * unit - 0.5
    points[:, 2] *= unit
    keypoints = ((face.keypoints - low + 0.5) * unit - 0.5).astype(np.float32)
    return FaceParent(part, points.astype(np.float32), keypoints, face.size * unit)


def gather(kit: Path) -> Iterator[BankFace]:
    """Faces of at least `LEAST` pixels in the kit's bona fide and face-changed pictures and films, in its order."""
    with (kit / "manifest-images.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            bona_fide = row["label"] == "real" or "/pristine/" in row["path"]
            if bona_fide or any(name in row["method"] for name in CHANGED):
                rgb = np.asarray(Image.open(kit / row["path"]).convert("RGB"), np.uint8)
                yield from _faces(rgb, row["path"], row["method"], bona_fide)
    with (kit / "manifest-video.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            for name, rgb in _frames(kit, row["path"]):
                yield from _faces(rgb, name, row["method"], row["label"] == "real")


def _faces(rgb: Rgb, path: str, method: str, bona_fide: bool) -> Iterator[BankFace]:
    found = [face for face in detect(rgb)[:MOST_FACES] if face.size >= LEAST]
    folder = Path(path.partition("#")[0]).parent.name
    source = f"video-{folder}" if "#" in path else folder
    for i, face in enumerate(found):
        origin = Origin(
            path,
            i,
            source,
            "real" if bona_fide else "fake",
            method,
            "film frame" if "#" in path else kind_of_source(folder),
            half_of(folder),
            face.size,
            face.sharpness,
            face.pose.yaw,
            len(found),
            (rgb.shape[0], rgb.shape[1]),
        )
        yield BankFace(cut(rgb, face), origin)


def _frames(kit: Path, path: str) -> Iterator[tuple[str, Rgb]]:
    import av

    with av.open(str(kit / path)) as container:
        step = max(1, (container.streams.video[0].frames or 200) // FRAMES)
        taken = 0
        for i, frame in enumerate(container.decode(video=0)):
            if i % step == step // 2:
                yield f"{path}#{i}", frame.to_ndarray(format="rgb24")
                taken += 1
            if taken == FRAMES:
                return


def write(path: Path, faces: Sequence[BankFace]) -> None:
    """Keep a bank as one ``.npz`` without pickles."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        pixels=np.concatenate([f.parent.rgb.ravel() for f in faces]),
        shapes=np.array([f.parent.rgb.shape for f in faces]),
        mesh=np.stack([f.parent.mesh for f in faces]),
        keypoints=np.stack([f.parent.keypoints for f in faces]),
        sizes=np.array([f.parent.size for f in faces]),
        origins=np.array(json.dumps([asdict(f.origin) for f in faces])),
    )


def read(path: Path) -> list[BankFace]:
    """A kept bank.

    Raises:
        LabError: missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            data = {key: file[key] for key in file.files}
        origins = json.loads(str(data["origins"]))
        ends = np.cumsum(data["shapes"].prod(axis=1))
        parts = np.split(data["pixels"], ends[:-1])
        return [
            BankFace(
                FaceParent(
                    part.reshape(tuple(data["shapes"][i])),
                    data["mesh"][i],
                    data["keypoints"][i],
                    float(data["sizes"][i]),
                ),
                Origin(**{**origin, "whole": tuple(origin["whole"])}),
            )
            for i, (part, origin) in enumerate(zip(parts, origins, strict=True))
        ]
    except (OSError, EOFError, KeyError, ValueError) as error:
        raise LabError("faces.bank", f"{path} is no bank of faces ({error}): make it again.") from error


def open_bank(kit: Path, path: Path) -> list[BankFace]:
    """The bank at ``path``, made from the kit where it is missing."""
    if not path.is_file():
        write(path, list(gather(kit)))
    return read(path)
