"""A set of forged pictures: parents, forgeries, twins and laundered copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from unmask_lab.forge.copy_move import copy_move
from unmask_lab.forge.forgery import Forgery, Rgb, seeded
from unmask_lab.forge.launder import Encoded, decode, first_generation, jpeg, png, saved, variants
from unmask_lab.forge.manifest import Row, digest
from unmask_lab.forge.removal import removal
from unmask_lab.forge.retouch import retouch
from unmask_lab.forge.scenes import SCENES
from unmask_lab.forge.splice import splice
from unmask_lab.kit import Half, Item, half_of, kind_of_source, read_kit

MIN_SIDE, MIN_LONG_SIDE = 200, 320
RETOUCHED_SHARE = 0.34
SCENE_SHARE = 0.5
PHOTOS = "photos"
EXTRA_VARIANTS = ("jpeg85", "messenger")


@dataclass(frozen=True)
class Plan:
    """What to make: from ``kit``, into ``out`` (one folder a half), the same for the same seed.

    ``per_source`` parents of each source are forged; up to ``bona_fide_per_source`` pictures of it, small ones too,
    join as bona fide files only, because false alarms need many sources and many pictures. ``photos`` holds more
    photographs, of any size, in one folder a photographer: bona fide only, of the kind "large photograph".
    """

    kit: Path
    out: Path
    seed: int
    half: Half
    per_source: int
    bona_fide_per_source: int = 0
    photos: Path | None = None

    def file(self, item: Item) -> Path:
        """Where the file of ``item`` lies."""
        if self.photos is not None and item.path.parts[0] == PHOTOS:
            return self.photos.joinpath(*item.path.parts[1:])
        return self.kit / item.path

    @property
    def folder(self) -> Path:
        """Where this half goes."""
        return self.out / self.half


def forge_images(plan: Plan) -> Iterator[Row]:
    """Write the picture part of a set; yields the manifest's rows as files are written."""
    sources = read_kit(plan.kit, "image", plan.half)
    chosen = {source: choose(plan, items) for source, items in sources.items()}
    everyone = [item for items in chosen.values() for item in items]
    for item in everyone:
        rng = seeded(plan.seed, "donor", str(item.path))
        others = [other for other in everyone if other.source != item.source]
        yield from _family(plan, item, others[int(rng.integers(len(others)))])
    for source, items in sources.items():
        taken = set(chosen[source])
        extra = [item for item in _shuffled(plan, items) if item not in taken]
        for item in extra[: max(0, plan.bona_fide_per_source - len(taken))]:
            yield from _bona_fide(plan, item)

    for item in _photos(plan):
        yield from _bona_fide(plan, item, "large photograph")


def _photos(plan: Plan) -> Iterator[Item]:
    if plan.photos is None:
        return
    for path in sorted(plan.photos.glob("*/*.jp*g")):
        if half_of(path.parent.name) == plan.half:
            yield Item(Path(PHOTOS) / path.relative_to(plan.photos), path.parent.name, "image")


def _shuffled(plan: Plan, items: list[Item]) -> list[Item]:
    return [items[int(i)] for i in seeded(plan.seed, "choose", items[0].source).permutation(len(items))]


def choose(plan: Plan, items: list[Item]) -> list[Item]:
    """Up to ``per_source`` pictures of a source that are large enough, at random but the same for a seed."""
    kept: list[Item] = []
    for item in _shuffled(plan, items):
        if len(kept) == plan.per_source:
            break
        with Image.open(plan.file(item)) as image:
            if min(image.size) >= MIN_SIDE and max(image.size) >= MIN_LONG_SIDE:
                kept.append(item)
    return kept


def _family(plan: Plan, item: Item, donor: Item) -> Iterator[Row]:
    """All files of one parent."""
    rng = seeded(plan.seed, "parent", str(item.path))
    parent, exif = first_generation(rng, plan.file(item).read_bytes())
    save, launder = saved(rng), variants(rng)
    rgb = decode(parent.data)
    put = _Writer(plan, item)
    yield put(parent, "none", "original")
    for family, forgery in _children(plan, item, rgb, decode(plan.file(donor).read_bytes())):
        clean = save(rgb if forgery is None else forgery.rgb, exif)
        yield put(clean, family, "clean", forgery)
        pixels = decode(clean.data)
        for variant, treat in launder.items():
            yield put(treat(pixels), family, variant, forgery)
    yield from _scenes(plan, item, rgb, put)


def _bona_fide(plan: Plan, item: Item, kind: str | None = None) -> Iterator[Row]:
    """One more bona fide picture: as it is, as an editor saved it, and two laundered copies."""
    rng = seeded(plan.seed, "parent", str(item.path))
    parent, exif = first_generation(rng, plan.file(item).read_bytes())
    save, launder = saved(rng), variants(rng)
    put = _Writer(plan, item)
    yield put(parent, "none", "original", kind=kind)
    clean = save(decode(parent.data), exif)
    yield put(clean, "none", "clean", kind=kind)
    for variant in EXTRA_VARIANTS:
        yield put(launder[variant](decode(clean.data)), "none", variant, kind=kind)


def _children(plan: Plan, item: Item, rgb: Rgb, donor: Rgb) -> Iterator[tuple[str, Forgery | None]]:
    """The bona fide twin and the forgeries, each with its own generator."""
    yield "none", None
    makers: dict[str, Callable[[np.random.Generator], Forgery]] = {
        "splice": lambda rng: splice(rng, rgb, donor),
        "removal": lambda rng: removal(rng, rgb),
        "copy_move": lambda rng: copy_move(rng, rgb),
    }
    if seeded(plan.seed, "retouched", str(item.path)).random() < RETOUCHED_SHARE:
        makers["retouch"] = lambda rng: retouch(rng, rgb)
    for family, make in makers.items():
        yield family, make(seeded(plan.seed, family, str(item.path)))


def _scenes(plan: Plan, item: Item, rgb: Rgb, put: _Writer) -> Iterator[Row]:
    """Bona fide copies of suspicious looks: a screenshot, a meme or a scan of every second parent."""
    rng = seeded(plan.seed, "scene", str(item.path))
    if rng.random() >= SCENE_SHARE:
        return
    kind = list(SCENES)[int(rng.integers(len(SCENES)))]
    made = SCENES[kind](rng, rgb)
    encoded = png(made) if kind == "screenshot" and rng.random() < 0.5 else jpeg(made, int(rng.integers(80, 96)))
    yield put(encoded, "none", f"{kind}", kind=kind)
    yield put(variants(rng)["messenger"](decode(encoded.data)), "none", f"{kind}_messenger", kind=kind)


class _Writer:
    """Writes one parent's files and makes their rows."""

    def __init__(self, plan: Plan, item: Item) -> None:
        self.plan, self.item = plan, item
        self.stem = f"{item.path.stem}"
        self.folder = Path("images") / item.source

    def __call__(
        self, encoded: Encoded, family: str, variant: str, forgery: Forgery | None = None, kind: str | None = None
    ) -> Row:
        path = self.folder / f"{self.stem}-{family}-{variant}.{encoded.extension}"
        target = self.plan.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(encoded.data)
        return Row(
            path=str(path),
            modality="image",
            label="bona_fide" if forgery is None else "manipulated",
            family=family,
            parent=str(self.item.path),
            parent_source=self.item.source,
            kind_of_real_media=kind or kind_of_source(self.item.source),
            mask=self._mask(family, variant, forgery),
            sha256=digest(encoded.data),
            half=self.plan.half,
            variant=variant,
            text=forgery.text if forgery else "",
        )

    def _mask(self, family: str, variant: str, forgery: Forgery | None) -> str:
        """One mask serves all variants, because none of them crops."""
        if forgery is None:
            return ""
        path = Path("masks") / self.item.source / f"{self.stem}-{family}.png"
        if variant == "clean":
            (self.plan.folder / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(forgery.picture_of_mask()).save(self.plan.folder / path)
        return str(path)
