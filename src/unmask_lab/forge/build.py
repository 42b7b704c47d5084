"""Builds a whole forged set: pictures, recordings and films of one half."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from unmask_lab.forge import manifest
from unmask_lab.forge.films import forge_films
from unmask_lab.forge.images import Plan, forge_images
from unmask_lab.forge.manifest import Row
from unmask_lab.forge.sounds import forge_sounds

MODALITIES = ("image", "audio", "video")


def build(plan: Plan, modalities: Collection[str] = MODALITIES) -> Path:
    """Write the set and its manifest; other modalities' rows of an older manifest are kept. Returns the manifest."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    old = plan.folder / manifest.NAME
    kept = [row for row in manifest.read(old) if row.modality not in modalities] if old.is_file() else []
    return manifest.write(plan.folder, [*kept, *_rows(plan, modalities)])


def _rows(plan: Plan, modalities: Collection[str]) -> Iterator[Row]:
    if "image" in modalities:
        yield from forge_images(plan)
    if "audio" in modalities:
        yield from forge_sounds(plan)
    if "video" in modalities:
        yield from forge_films(plan)
