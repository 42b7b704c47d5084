"""A set of forged films: a second deleted, shown twice, or moved; both classes are coded by the same encoder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from unmask_lab.forge.av_io import Frames, read_film, write_film
from unmask_lab.forge.forgery import seeded
from unmask_lab.forge.images import Plan
from unmask_lab.forge.manifest import Row, digest
from unmask_lab.kit import Item, kind_of_source, read_kit

LONG_SIDE = 640
PIECE_SECONDS = 5.0
PIECES = 4
LEAST_SECONDS = 4
CRF = {"clean": (18, 23), "messenger": (27, 31)}


@dataclass(frozen=True)
class FilmForgery:
    """A changed film; ``segments`` are seconds in the forged film."""

    frames: Frames
    segments: tuple[tuple[float, float], ...]
    text: str


def delete_second(rng: np.random.Generator, frames: Frames, fps: Fraction) -> FilmForgery:
    """Take out about one second."""
    n = int(fps * Fraction(rng.uniform(0.6, 1.3)))
    at = int(rng.integers(n, len(frames) - 2 * n))
    kept = np.concatenate([frames[:at], frames[at + n :]])
    return FilmForgery(kept, ((float(at / fps), float(at / fps)),), f"{n} frames deleted")


def duplicate_second(rng: np.random.Generator, frames: Frames, fps: Fraction) -> FilmForgery:
    """Show about one second twice: right after itself, or over what came later."""
    n = int(fps * Fraction(rng.uniform(0.6, 1.2)))
    start = int(rng.integers(0, len(frames) - 3 * n))
    at = start + n if rng.random() < 0.5 else int(rng.integers(start + n, len(frames) - n))
    out = np.concatenate([frames[:at], frames[start : start + n], frames[at + n :]])
    return FilmForgery(out, ((float(at / fps), float((at + n) / fps)),), f"{n} frames shown twice")


def reorder_second(rng: np.random.Generator, frames: Frames, fps: Fraction) -> FilmForgery:
    """Move about one second to another place."""
    n = int(fps * Fraction(rng.uniform(0.6, 1.2)))
    start = int(rng.integers(0, len(frames) - n))
    piece, rest = frames[start : start + n], np.concatenate([frames[:start], frames[start + n :]])
    at = int(rng.integers(0, len(rest)))
    out = np.concatenate([rest[:at], piece, rest[at:]])
    return FilmForgery(out, ((float(at / fps), float((at + n) / fps)),), f"{n} frames moved")


FAMILIES = {"delete": delete_second, "duplicate": duplicate_second, "reorder": reorder_second}


def forge_films(plan: Plan) -> Iterator[Row]:
    """Write the film part of a set: pieces of five seconds, at most 640 pixels wide, without sound."""
    for items in read_kit(plan.kit, "video", plan.half).values():
        for item in items:
            for piece in range(PIECES):
                frames, fps = read_film(plan.kit / item.path, piece * PIECE_SECONDS, PIECE_SECONDS, LONG_SIDE)
                if len(frames) >= LEAST_SECONDS * fps:
                    yield from _pieces(plan, item, piece, frames, fps)


def _pieces(plan: Plan, item: Item, piece: int, frames: Frames, fps: Fraction) -> Iterator[Row]:
    key = f"{item.path}#{piece}"
    yield _write(plan, item, piece, "none", "clean", None, frames, fps)
    yield _write(plan, item, piece, "none", "messenger", None, frames, fps)
    for family, forge in FAMILIES.items():
        forgery = forge(seeded(plan.seed, family, key), frames, fps)
        for variant in CRF:
            yield _write(plan, item, piece, family, variant, forgery, forgery.frames, fps)


def _write(
    plan: Plan,
    item: Item,
    piece: int,
    family: str,
    variant: str,
    forgery: FilmForgery | None,
    frames: Frames,
    fps: Fraction,
) -> Row:
    path = Path("video") / item.source / f"{item.path.stem}-{piece}-{family}-{variant}.mp4"
    target = plan.folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    low, high = CRF[variant]
    crf = int(seeded(plan.seed, "crf", variant, f"{item.path}#{piece}").integers(low, high + 1))
    write_film(target, frames, fps, crf)
    return Row(
        path=str(path),
        modality="video",
        label="manipulated" if forgery else "bona_fide",
        family=family,
        parent=f"{item.path}#{piece}",
        parent_source=item.source,
        kind_of_real_media=kind_of_source(item.source, "video"),
        mask="",
        sha256=digest(target.read_bytes()),
        half=plan.half,
        variant=variant,
        text=forgery.text if forgery else "",
        segments=";".join(f"{a:.3f}-{b:.3f}" for a, b in forgery.segments) if forgery else "",
    )
