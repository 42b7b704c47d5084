"""Training pictures: the families of `unmask_lab.forge.pictures` and the bona fide twin of every parent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from unmask_lab.forge import pictures
from unmask_lab.forge.family import Family, PictureJob, PictureMade, walk
from unmask_lab.forge.forgery import Mask, Rgb, seeded
from unmask_lab.forge.manifest import digest
from unmask_lab.forge.training import Parent, Table, TrainingPlan, TrainingRow, each, parents

LONG_SIDE = 448
LEAST_SIDE = 128
QUALITY = 95
NONE = "none"

PictureFamily = Family[PictureJob, PictureMade]


def forge_pictures(plan: TrainingPlan) -> Iterator[TrainingRow]:
    """Write the set; yields rows as files are written. Twins of all parents carry the family ``none``."""
    families: dict[str, PictureFamily] = walk(pictures, plan.only)
    ready = {name: one for name, one in families.items() if not one.card.missing(plan.weights)}
    plan.out.mkdir(parents=True, exist_ok=True)
    table = Table(plan.out, [*ready, *([] if plan.only else [NONE])])
    twins = {row.path for row in table.rows if row.family == NONE}
    return each(_rows(plan, ready, twins), table)


def _rows(plan: TrainingPlan, families: dict[str, PictureFamily], twins: set[str]) -> Iterator[TrainingRow]:
    most = max((plan.count(one.card.count) for one in families.values()), default=0)
    number = 0
    for parent in parents(plan.kit, "image", plan.seed):
        if number == most:
            return
        rgb = view(plan, parent)
        if min(rgb.shape[:2]) < LEAST_SIDE:
            continue
        put = _Writer(plan, parent)
        if (twin := put.path(NONE, 0)) not in twins:
            twins.add(twin)
            yield put(rgb, NONE, 0, "", "none: the kit's own")
        for name, one in families.items():
            if number < plan.count(one.card.count):
                job = PictureJob(rgb, seeded(plan.seed, name, str(parent.path)), plan.weights)
                for i, made in enumerate(one.forge(job)):
                    yield put(made.rgb, name, i, made.generator, one.card.licence, made.mask)
        number += 1


def view(plan: TrainingPlan, parent: Parent) -> Rgb:
    """The parent as families see it: whole at `LONG_SIDE`, or a native crop of that size, at random."""
    with Image.open(plan.kit / parent.path) as image:
        rgb = np.asarray(image.convert("RGB"), np.uint8)
    h, w = rgb.shape[:2]
    rng = seeded(plan.seed, "view", str(parent.path))
    if max(h, w) <= LONG_SIDE:
        return rgb
    if rng.random() < 0.5:
        scale = LONG_SIDE / max(h, w)
        return np.asarray(cv2.resize(rgb, (round(w * scale), round(h * scale)), interpolation=cv2.INTER_AREA), np.uint8)
    ch, cw = min(h, LONG_SIDE), min(w, LONG_SIDE)
    y, x = int(rng.integers(h - ch + 1)), int(rng.integers(w - cw + 1))
    return np.ascontiguousarray(rgb[y : y + ch, x : x + cw])


class _Writer:
    """Writes one parent's files, all as JPEG of one quality, and makes their rows."""

    def __init__(self, plan: TrainingPlan, parent: Parent) -> None:
        self.plan, self.parent = plan, parent

    def path(self, family: str, number: int) -> str:
        """Where a file goes, relative to the set."""
        return str(Path(family) / self.parent.source / f"{self.parent.path.stem}-{number}.jpg")

    def __call__(
        self, rgb: Rgb, family: str, number: int, generator: str, licence: str, mask: Mask | None = None
    ) -> TrainingRow:
        path = self.path(family, number)
        target = self.plan.out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rgb).save(target, quality=QUALITY, subsampling=2)
        label = "bona_fide" if family == NONE else "synthetic" if mask is None else "manipulated"
        return TrainingRow(
            path=path,
            modality="image",
            label=label,
            question="image.synthetic" if mask is None else "image.splice",
            family=family,
            generator=generator,
            parent=str(self.parent.path),
            source=self.parent.source,
            language="",
            licence=licence,
            seed=self.plan.seed,
            sha256=digest(target.read_bytes()),
            mask=self._mask(path, mask),
        )

    def _mask(self, path: str, mask: Mask | None) -> str:
        if mask is None:
            return ""
        name = Path("masks") / Path(path).with_suffix(".png")
        (self.plan.out / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask.astype(np.uint8) * 255).save(self.plan.out / name)
        return str(name)
