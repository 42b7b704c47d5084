"""Pictures of today's generators out of packages: what is taken, under whose name, and what is refused."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unmask_lab import gallery
from unmask_lab.errors import LabError

MARK = (250, 10, 10)


def thumbnail(shots: int, side: int = 100) -> bytes:
    """Frames of rising brightness, a red mark in the upper left."""
    pictures = []
    for i in range(shots):
        pixels = np.full((side, side, 3), 40 + 2 * i, np.uint8)
        pixels[:10, :10] = MARK
        pictures.append(Image.fromarray(pixels))
    out = io.BytesIO()
    pictures[0].save(out, "WEBP", save_all=shots > 1, append_images=pictures[1:], lossless=True)
    return out.getvalue()


def wheel(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as out:
        for name, data in files.items():
            out.writestr(f"pack/templates/{name}", data)
    return path


def index(*templates: tuple[str, str, str]) -> bytes:
    listed = [{"name": name, "models": [model], "tags": [tag]} for name, model, tag in templates]
    return json.dumps([{"title": "Image", "templates": listed}]).encode()


@pytest.fixture(autouse=True)
def lists(monkeypatch: pytest.MonkeyPatch) -> None:
    makers = {"alibaba": ["wan", "qwen", "z"], "google": ["gemini"]}
    told = {"pictures": ["still", "gone"], "films": ["moving"], "badge": ["moving"], "makers": makers}
    monkeypatch.setattr(gallery, "chosen", lambda: told)


def test_listed_pictures_and_frames_are_taken_with_their_makers(tmp_path: Path) -> None:
    media = {"still-1.webp": thumbnail(1), "moving-1.webp": thumbnail(40), "other-1.webp": thumbnail(1)}
    texts = {"index.json": index(("still", "Gemini 3", "API"), ("moving", "Wan2.2", ""), ("other", "X", ""))}
    wheels = [wheel(tmp_path / "a.whl", media), wheel(tmp_path / "b.whl", texts)]
    rows = gallery.write(wheels, tmp_path / "out")
    assert [(r.generator, r.source, r.family) for r in rows[:2]] == [
        ("Gemini 3", "gallery-google", "closed_service"),
        ("Wan2.2", "gallery-alibaba", "diffusion"),
    ]
    assert len(rows) == 1 + len(gallery.PLACES) and all(row.positive for row in rows)
    shots = [np.asarray(Image.open(tmp_path / "out" / row.path)) for row in rows]
    assert shots[0].shape == (100, 100, 3) and tuple(shots[0][0, 0]) == MARK
    assert all(shot.shape == (78, 78, 3) and shot.max() < 200 for shot in shots[1:]), "the badge is cut away"
    assert len({int(shot.mean()) for shot in shots[1:]}) == len(gallery.PLACES), "frames of different moments"
    again = gallery.read(tmp_path / "out")
    assert all(Path(row.path).is_absolute() and Path(row.path).is_file() for row in again)


def test_makers_of_many_names_are_one() -> None:
    assert [gallery.maker(m) for m in ("Z-Image-Turbo", "Wan2.5", "Wan", "Qwen-Image 2512")] == ["alibaba"] * 4
    assert (gallery.maker("PixVerse"), gallery.maker("SD3.5"), gallery.maker("3")) == ("pixverse", "sd", "3")


def test_the_shipped_lists_name_each_thumbnail_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    told = gallery.chosen()
    names = told["pictures"] + told["films"]
    assert len(set(names)) == len(names) > 150 and set(told["badge"]) <= set(told["films"])
    words = [word for listed in told["makers"].values() for word in listed]
    assert len(set(words)) == len(words)


def test_what_is_no_wheel_or_has_no_index_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.whl").write_bytes(b"no zip")
    for path in (tmp_path / "a.whl", tmp_path / "none.whl"):
        with pytest.raises(LabError) as caught:
            gallery.write([path], tmp_path / "out")
        assert caught.value.code == "gallery.wheel"
    with pytest.raises(LabError) as no_index:
        gallery.write([wheel(tmp_path / "b.whl", {"still-1.webp": thumbnail(1)})], tmp_path / "out")
    assert no_index.value.code == "gallery.index" and not (tmp_path / "out").exists()


def test_artwork_is_taken_from_unpacked_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    art = {
        "game-story": {"package": "game", "holds": ["/story/"], "most": 2},
        "other": {"package": "missing", "holds": [""], "most": 5},
    }
    monkeypatch.setattr(gallery, "chosen", lambda: {"art": art})
    rng = np.random.default_rng(0)
    for name, size in (("story/a.png", 300), ("story/b.png", 300), ("story/c.png", 300), ("story/small.png", 120)):
        path = tmp_path / "in" / "game" / "usr" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (size, size, 4), np.uint8)).save(path)
    Image.fromarray(rng.integers(0, 256, (300, 300, 3), np.uint8)).save(tmp_path / "in" / "game" / "usr" / "icon.png")
    rows = gallery.write_art(tmp_path / "in", tmp_path / "out")
    assert len(rows) == 2 and {row.source for row in rows} == {"art-game"} and not any(row.positive for row in rows)
    assert [row.path for row in gallery.write_art(tmp_path / "in", tmp_path / "again")] == [row.path for row in rows]
    with Image.open(tmp_path / "out" / rows[0].path) as made:
        assert made.size == (300, 300) and made.mode == "RGB"
    with pytest.raises(LabError) as caught:
        gallery.write_art(tmp_path / "out", tmp_path / "none")
    assert caught.value.code == "gallery.art" and not (tmp_path / "none").exists()
