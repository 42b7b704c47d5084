"""The library's front door."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import unmask
from unmask import Options, Scanner, UsageError
from unmask.report import Report, SubjectInfo
from unmask.scanner import printable
from unmask.walk import Walk, check_local


def a_jpeg(path: Path, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 255, (200, 240, 3), np.uint8)
    Image.fromarray(pixels).save(path, "JPEG", quality=85)
    return path


def test_scan_by_path_string_and_bytes(tmp_path: Path) -> None:
    path = a_jpeg(tmp_path / "a.jpg")
    options = Options(only=("image.metadata",))
    one, two, three = (unmask.scan(x, options) for x in (path, str(path), path.read_bytes()))
    assert one.subject.sha256 == two.subject.sha256 == three.subject.sha256
    assert [f.detector for f in one.findings] == ["image.metadata"]
    assert (one.subject.width, one.subject.height, one.subject.bytes) == (240, 200, path.stat().st_size)


def test_a_script_without_a_main_guard_works(tmp_path: Path) -> None:
    a_jpeg(tmp_path / "a.jpg")
    script = tmp_path / "script.py"
    script.write_text(f"import unmask\nprint(unmask.scan({str(tmp_path / 'a.jpg')!r}).verdict.label)\n")
    found = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.count("\n") == 1


def test_names_are_checked_before_anything_starts() -> None:
    with pytest.raises(UsageError, match=r"image\.jpeg"):
        Scanner(Options(only=("image.nothing",)))
    with pytest.raises(UsageError):
        Scanner(Options(skip=("imag",)))


def test_skip_and_prefixes(tmp_path: Path) -> None:
    path = a_jpeg(tmp_path / "a.jpg")
    asked = {f.detector for f in unmask.scan(path, Options(only=("image",), skip=("image.copy_move",))).findings}
    assert "image.jpeg" in asked and "image.copy_move" not in asked and "provenance.c2pa" not in asked


def test_scan_many_is_lazy_and_complete(tmp_path: Path) -> None:
    taken = []

    def paths():  # type: ignore[no-untyped-def]
        for i in range(20):
            taken.append(i)
            yield a_jpeg(tmp_path / f"{i}.jpg", i)

    with Scanner(Options(only=("image.metadata",), workers=2)) as scanner:
        stream = scanner.scan_many(paths())
        first = next(stream)
        assert isinstance(first, Report) and len(taken) < 20
        assert len(list(stream)) == 19


def test_scan_many_may_be_left_early(tmp_path: Path) -> None:
    paths = [a_jpeg(tmp_path / f"{i}.jpg", i) for i in range(8)]
    with Scanner(Options(only=("image.metadata",), workers=2)) as scanner:
        next(scanner.scan_many(paths))
        assert scanner.scan(paths[0]).verdict.label


def test_the_report_says_which_options_differed(tmp_path: Path) -> None:
    path = a_jpeg(tmp_path / "a.jpg")
    options = Options(only=("image.metadata",), preview=True, workers=1, limits=unmask.Limits(wall_seconds=99))
    assert unmask.scan(path, options).tool.options == {"only": ["image.metadata"], "limits": {"wall_seconds": 99.0}}


def test_preview_only_on_request(tmp_path: Path) -> None:
    path = a_jpeg(tmp_path / "a.jpg")
    assert unmask.scan(path, Options(only=("image.metadata",))).subject.preview is None
    preview = unmask.scan(path, Options(only=("image.metadata",), preview=True)).subject.preview
    import base64

    assert Image.open(io.BytesIO(base64.b64decode(preview or ""))).size == (240, 200)


def test_a_name_that_lies_is_a_fact(tmp_path: Path) -> None:
    facts = unmask.scan(a_jpeg(tmp_path / "a.png"), Options(only=("image.metadata",))).subject.facts
    assert "jpeg" in str(facts["name_disagrees"])


def test_a_subject_that_changes_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = a_jpeg(tmp_path / "a.jpg")

    class Meddler:
        def examine(self, job):  # type: ignore[no-untyped-def]
            from unmask.execution.contract import Examination

            path.write_bytes(b"\xff\xd8\xff other")
            return Examination(SubjectInfo(name=job.name, kind="image"))

        def close(self) -> None: ...

    report = Scanner(executor=Meddler()).scan(path)
    assert report.findings[0].reason.code == "subject.changed" and report.verdict.label == "inconclusive"


def test_names_that_are_no_text_become_printable() -> None:
    assert printable(os.fsdecode(b"a\xff\n.jpg")) == "a\\xff\n.jpg"


def test_walk_takes_media_by_content_and_broken_media_by_name(tmp_path: Path) -> None:
    a_jpeg(tmp_path / "picture.dat")
    (tmp_path / "broken.mp4").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path)
    walk = Walk([tmp_path, tmp_path / "notes.txt"])
    assert [p.name for p in walk] == ["broken.mp4", "picture.dat", "notes.txt"]
    assert walk.passed_over >= 1


def test_addresses_are_refused() -> None:
    with pytest.raises(UsageError, match="download"):
        check_local(["HTTPS://example.org/x.jpg"])


@pytest.mark.parametrize(("files", "sized", "threads"), [(1, True, 4), (2, True, 2), (9, True, 1), (1, False, 1)])
def test_cores_that_no_other_file_needs_work_for_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int, sized: bool, threads: int
) -> None:
    """A generator does not tell how many files will come."""
    seen: set[int] = set()
    monkeypatch.setattr(Scanner, "_ready", lambda self, workers: None)
    monkeypatch.setattr(Scanner, "_scan", lambda self, path, name, threads: seen.add(threads))
    scanner = Scanner(Options(workers=4))
    monkeypatch.setattr(scanner, "_cores", 4)
    paths = [tmp_path / str(i) for i in range(files)]
    assert len(list(scanner.scan_many(paths if sized else iter(paths)))) == files
    assert seen == {threads}
