"""Pictures and film frames by generators of this year, out of public packages: ``unmask-lab gallery``.

The packages `comfyui-workflow-templates-media-*` (MIT) show what each workflow makes: one thumbnail a workflow, with
the name of the model beside. Most are 300 to 400 pixels large, square, WebP, so whoever trains on them has to give bona
fide pictures of the same form, too. What is read is listed in ``gallery.toml``.
"""

from __future__ import annotations

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


def maker(model: str) -> str:
    """Who makes a model: by ``gallery.toml``, or the first word of its name."""
    word = re.split(r"[\s\-.\d]", model.lower(), maxsplit=1)[0] or model.lower()
    return next((name for name, words in chosen()["makers"].items() if word in words), word)


def read(folder: Path) -> list[Row]:
    """The rows of a folder that `write` made, their paths made absolute. Raises `LabError` ``manifest.missing``."""
    rows = manifest.read(folder / "manifest.csv")
    return [replace(row, path=str(folder.resolve() / row.path)) for row in rows]
