"""Manifests: what is in them, folds of whole sources, and everything that a manifest may get wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from lab_made import texture
from PIL import Image

from unmask_lab import commands, manifest
from unmask_lab.duplicates import BITS, NEAR, Groups, near_pairs, perceptual_hash
from unmask_lab.errors import LabError
from unmask_lab.forge import manifest as forged_set
from unmask_lab.manifest import Row


def row(path: str, label: str = "bona_fide", **more: str) -> Row:
    source = more.pop("source", path)
    return Row(path, "image", label, source=source, **more)


def bits(a: str, b: str) -> int:
    return (int(a, 16) ^ int(b, 16)).bit_count()


def run(*args: object) -> subprocess.CompletedProcess[str]:
    code = "from unmask_lab.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True, check=False)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two sources of bona fide pictures and two generators."""
    seed = 0
    for label in ("real", "made"):
        for source in ("a", "b"):
            folder = tmp_path / "set" / label / f"{label}-{source}"
            folder.mkdir(parents=True)
            for _ in range(2):
                Image.fromarray(texture(seed, 96, 128)).save(folder / f"{seed}.jpg")
                seed += 1
    return tmp_path / "set"


def test_hash_stays_near_for_copies_and_far_for_others() -> None:
    rgb = texture(1)
    small = cv2.resize(rgb, (240, 180), interpolation=cv2.INTER_AREA)
    coded = cv2.imdecode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 50])[1], cv2.IMREAD_COLOR)
    assert bits(perceptual_hash(rgb), perceptual_hash(np.asarray(coded, np.uint8))) <= NEAR
    assert abs(bits(perceptual_hash(rgb), perceptual_hash(texture(2))) - BITS / 2) < BITS / 4
    assert perceptual_hash(np.full((64, 64, 3), 200, np.uint8)) == ""


def test_near_pairs_are_the_near_ones() -> None:
    first, other = perceptual_hash(texture(3)), perceptual_hash(texture(4))
    close = f"{int(first, 16) ^ 0b1011:064x}"
    assert near_pairs(["", first, other, close, ""]) == [(1, 3)]
    assert near_pairs([first, close], most=2) == []
    assert near_pairs(["", ""]) == []


def test_groups_join() -> None:
    groups = Groups(5)
    groups.join_equal(["x", "", "x", "y", ""])
    groups.join(2, 3)
    assert [groups.of(i) for i in range(5)] == [0, 1, 0, 0, 4]


@pytest.mark.parametrize(
    ("method", "modality", "family"),
    [
        ("StyleGAN2 LSUN cat", "image", "gan"),
        ("FLUX.1-dev / FLUX.1-Krea-dev", "image", "diffusion"),
        ("GPT-4o/nano-banana gallery", "image", "closed_service"),
        ("Alpha-VLLM/Lumina-DiMOO", "image", "autoregressive"),
        ("never heard of it", "image", "other"),
        ("tacotron2+hifigan-v1", "audio", "tts_neural"),
        ("hifigan-v1", "audio", "vocoder"),
        ("vits", "audio", "tts_neural"),
        ("vits-vc", "audio", "voice_conversion"),
        ("wavegrad2", "audio", "tts_neural"),
        ("vocos-encodec", "audio", "neural_codec"),
        ("assem-vc-singer", "audio", "singing"),
        ("espeak-ng", "audio", "tts_classic"),
        ("never heard of it", "audio", "unknown"),
    ],
)
def test_families(method: str, modality: str, family: str) -> None:
    assert manifest.family_of(method, modality) == family


def test_questions() -> None:
    assert manifest.question_of("DFDC face crops", "image") == "face.swap"
    assert manifest.question_of("Photoshop face composite", "image") == "image.splice"
    assert manifest.question_of("SDXL", "image") == "image.synthetic"
    assert manifest.question_of("vits", "audio") == "voice.synthetic"


def test_written_and_read_again(tmp_path: Path) -> None:
    rows = [row("a, b.jpg", sha256="0" * 64), row('c"d.png', "synthetic", generator="x\ny", question="image.synthetic")]
    manifest.write(tmp_path / "m.csv", rows)
    assert manifest.read(tmp_path / "m.csv") == rows


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("path,modality,label\n", "manifest.empty"),
        ("", "manifest.empty"),
        ("path,label\na.jpg,bona_fide\n", "manifest.broken"),
        ("path,modality,label,colour\na.jpg,image,bona_fide,red\n", "manifest.broken"),
        ("path,modality,label\na.jpg,image,authentic\n", "manifest.broken"),
        ("path,modality,label\na.jpg,smell,bona_fide\n", "manifest.broken"),
        ("path,modality,label\na.jpg,ima", "manifest.broken"),
        ("path,modality,label\na.jpg,image,bona_fide,more\n", "manifest.broken"),
        ("path,modality,label\n\xff\xfe\n", "manifest.broken"),
    ],
    ids=["no rows", "nothing", "no column", "column", "label", "kind", "cut off", "too many", "not text"],
)
def test_broken_table_is_refused(tmp_path: Path, text: str, code: str) -> None:
    (tmp_path / "m.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(LabError) as caught:
        manifest.read(tmp_path / "m.csv")
    assert caught.value.code == code


def test_missing_table(tmp_path: Path) -> None:
    with pytest.raises(LabError) as caught:
        manifest.read(tmp_path / "none.csv")
    assert caught.value.code == "manifest.missing"


def test_folders_become_sources(pictures: Path) -> None:
    rows = manifest.from_folder(pictures / "made", "image", "synthetic", hashes=True)
    assert [r.source for r in rows] == ["made-a", "made-a", "made-b", "made-b"]
    assert {(r.generator == r.source, r.question, len(r.sha256), len(r.phash)) for r in rows} == {
        (True, "image.synthetic", 64, 64)
    }
    assert manifest.from_folder(pictures / "real", "image", "bona_fide")[0].generator == ""
    for folder, kind, code in ((pictures / "none", "image", "manifest.missing"), (pictures, "audio", "manifest.empty")):
        with pytest.raises(LabError) as caught:
            manifest.from_folder(folder, kind, "bona_fide")
        assert caught.value.code == code


def test_forged_set(tmp_path: Path) -> None:
    parent = forged_set.Row(
        "images/p.jpg", "image", "bona_fide", "none", "k/p.jpg", "s", "portrait", "", "", "test", "c"
    )
    forged = replace(parent, path="images/f.jpg", label="manipulated", family="copy_move", mask="masks/f.png")
    forged_set.write(tmp_path, [parent, forged])
    first, second = manifest.from_forged(tmp_path)
    assert (first.question, first.split, first.family) == ("", "test", "")
    assert (second.question, second.family, second.mask) == ("image.copy_move", "copy_move", "masks/f.png")
    voice = replace(forged, path="audio/f.wav", modality="audio", family="splice", mask="")
    forged_set.write(tmp_path, [voice])
    assert manifest.from_forged(tmp_path)[0].question == "audio.splice"
    assert manifest.groups([first, second]).tolist() == [0, 0]
    assert manifest.moved([second], tmp_path, tmp_path / "x")[0].mask == "../masks/f.png"


def test_folds_keep_what_belongs_together() -> None:
    first = perceptual_hash(texture(5))
    near = f"{int(first, 16) ^ 1:064x}"
    rows = [
        *[row(f"{s}/{i}.jpg", "synthetic" if i % 2 else "bona_fide", source=s) for s in "abcdefgh" for i in range(6)],
        row("x1", source="x", phash=first),
        row("y1", source="y", phash=near),
        row("z1", source="z", repository="Owner/Z"),
        row("w1", "synthetic", source="w", repository="owner/z"),
    ]
    places = manifest.folds(rows, 3, seed=1)
    of = dict(zip((r.path for r in rows), places, strict=True))
    assert of["x1"] == of["y1"] and of["z1"] == of["w1"]
    assert all(len({of[f"{s}/{i}.jpg"] for i in range(6)}) == 1 for s in "abcdefgh")
    for fold in range(3):
        assert {r.positive for r, p in zip(rows, places, strict=True) if p == fold} == {True, False}
        assert 12 <= (places == fold).sum() <= 24
    assert (manifest.folds(rows, 3, seed=1) == places).all()
    split = [replace(r, split=str(p)) for r, p in zip(rows, places, strict=True)]
    manifest.check(split)
    with pytest.raises(LabError) as caught:
        manifest.folds(rows[:6], 2, seed=1)
    assert caught.value.code == "manifest.folds"


REAL, MADE = row("r1", split="train"), row("m1", "synthetic", split="train")
SIGHT = perceptual_hash(texture(6))


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([], "manifest.empty"),
        ([REAL], "manifest.one_class"),
        ([REAL, MADE, row("t", split="test")], "manifest.one_class"),
        ([REAL, MADE, REAL], "manifest.twice"),
        ([replace(REAL, sha256="1"), replace(MADE, sha256="1")], "manifest.twice"),
        ([REAL, MADE, row("r2", source="r1", split="test"), row("m2", "synthetic", split="test")], "manifest.leak"),
        ([replace(REAL, repository="A/b"), MADE, row("q", repository="a/B", split="test")], "manifest.leak"),
        ([replace(REAL, phash=SIGHT), MADE, row("q", phash=SIGHT, split="test")], "manifest.leak"),
        ([replace(REAL, sha256="1"), MADE, row("q", sha256="1", split="test")], "manifest.leak"),
        ([replace(REAL, parent="p"), MADE, row("q", parent="p", split="test")], "manifest.leak"),
    ],
    ids=["empty", "one", "one split", "path", "label", "source", "repository", "looks", "bytes", "parent"],
)
def test_check_refuses(rows: list[Row], code: str) -> None:
    if code == "manifest.leak":
        rows = [*rows, row("other", "synthetic", split="test"), row("another", split="test")]
    with pytest.raises(LabError) as caught:
        manifest.check(rows)
    assert caught.value.code == code


@pytest.mark.parametrize("damage", ["missing", "altered", "cut", "text", "mask"])
def test_check_opens_the_files(pictures: Path, damage: str) -> None:
    rows = [
        *manifest.moved(manifest.from_folder(pictures / "real", "image", "bona_fide"), pictures / "real", pictures),
        *manifest.moved(manifest.from_folder(pictures / "made", "image", "synthetic"), pictures / "made", pictures),
    ]
    manifest.check(rows, pictures)
    path = pictures / rows[0].path
    if damage == "missing":
        path.unlink()
    elif damage == "altered":
        rows = [manifest.hashed(r, pictures) for r in rows]
        Image.fromarray(texture(99, 96, 128)).save(path)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:400])
    elif damage == "text":
        path.write_text("not a picture")
    else:
        rows[0] = replace(rows[0], mask="masks/none.png")
    with pytest.raises(LabError) as caught:
        manifest.check(rows, pictures)
    assert caught.value.code == "manifest.file"
    assert ("none.png" if damage == "mask" else path.name) in caught.value.text


def test_command_writes_checks_and_never_overwrites(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.csv"
    args = ("manifest", out, "--bona-fide", pictures / "real", "--synthetic", pictures / "made", "--folds", 2)
    made = run(*args)
    assert made.returncode == 0 and "8 files, 4 sources" in made.stdout, made.stderr
    before = out.read_bytes()
    again = run(*args, "--seed", 7)
    assert again.returncode == 3 and "manifest.exists" in again.stderr and "--replace" in again.stderr
    assert out.read_bytes() == before
    assert "No fault found" in run("check-manifest", out).stdout
    assert run("check-manifest", out).returncode == 0
    next(pictures.rglob("*.jpg")).unlink()
    found = run("check-manifest", out)
    assert found.returncode == 3 and "manifest.file" in found.stderr and "Traceback" not in found.stderr


def test_full_disk_keeps_the_old_table(tmp_path: Path) -> None:
    """A limit on the size of files stands for a disk that is full."""
    path = tmp_path / "m.csv"
    manifest.write(path, [REAL])
    code = f"""
import resource
from pathlib import Path
from unmask_lab import commands, manifest
from unmask_lab.errors import LabError
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    manifest.write(Path({str(path)!r}), [manifest.Row(str(i), "image", "bona_fide") for i in range(999)])
except LabError as error:
    print(error.code)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "disk.full"
    assert manifest.read(path) == [REAL]
    assert [p.name for p in tmp_path.iterdir()] == ["m.csv"]


@pytest.mark.kit
def test_every_method_of_the_kit_has_a_family(kit: Path) -> None:
    for modality, unknown in (("image", "other"), ("audio", "unknown")):
        rows = manifest.from_kit(kit, modality)
        named = {r.generator for r in rows if r.family == unknown}
        assert all("unstated" in name or "Photoshop" in name for name in named), named
        assert all((kit / r.path).is_file() for r in rows[::97])
        places = manifest.folds(rows, 5, seed=1)
        manifest.check([replace(r, split=str(p)) for r, p in zip(rows, places, strict=True)])


def test_every_error_and_option_is_in_the_document() -> None:
    root = Path(__file__).parents[2]
    text = (root / "docs" / "training.md").read_text("utf-8")
    lab = root / "src" / "unmask_lab"
    own = ("errors.py", "files.py", "manifest.py", "duplicates.py", "commands.py")
    own_train = ("train/loop.py", "train/export.py", "train/options.py", "train/stored.py")
    for path in [lab / name for name in (*own, *own_train)]:
        for code in re.findall(r'LabError\(\s*"([a-z_.]+)"', path.read_text("utf-8")):
            assert f"`{code}`" in text, f"{code} ({path.name}) is not in docs/training.md"
    for command in commands.app.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__
        assert f"unmask-lab {name}" in text
        found = typer.main.get_command_from_info(command, pretty_exceptions_short=True, rich_markup_mode=None)
        for parameter in found.params:
            for option in parameter.opts:
                assert not option.startswith("--") or option == "--help" or option in text, f"{name} {option}"
