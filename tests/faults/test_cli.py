"""The command line on hostile files and in hostile surroundings: a message, an exit code, no traceback."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FAST = ["--only", "image.metadata", "--only", "image.jpeg"]


def unmask(*arguments: str | bytes | Path, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "unmask.cli.main", *arguments]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)  # type: ignore[call-overload]
    assert "Traceback" not in found.stderr + found.stdout, found.stderr
    return found  # type: ignore[no-any-return]


def reports(found: subprocess.CompletedProcess[str]) -> dict[str, dict]:
    return {r["subject"]["name"]: r for r in map(json.loads, found.stdout.splitlines())}


def a_jpeg(seed: int = 0, side: int = 160) -> bytes:
    rng = np.random.default_rng(seed)
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (side, side, 3), np.uint8)).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def test_hostile_files_each_get_a_reason_and_the_good_one_is_reported(tmp_path: Path) -> None:
    good = a_jpeg()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as z:
        z.writestr("a.txt", "x")
    files = {
        "good.jpg": good,
        "empty.jpg": b"",
        "zip.jpg": archive.getvalue(),
        "text.png": b"hello, this is no picture",
        "zeros.mp4": bytes(4096),
        "cut.jpg": good[: len(good) // 2],
        "header.png": b"\x89PNG\r\n\x1a\n",
        "riff.wav": b"RIFF\xff\xff\xff\xffWAVEfmt \xff\xff\xff\xff",
        "polyglot.jpg": good + archive.getvalue(),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    before = {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in files}
    found = unmask("scan", "--json", *[tmp_path / n for n in files])
    assert found.returncode == 3
    by_name = reports(found)
    assert sorted(by_name) == sorted(files)
    for name, report in by_name.items():
        assert report["subject"]["sha256"] == before[name]
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == before[name]
        if name not in ("good.jpg", "polyglot.jpg"):
            assert report["verdict"]["label"] == "inconclusive", name
            assert report["verdict"]["reasons"][0]["text"].endswith("."), name
    assert "could not be examined fully" in found.stderr
    assert all(f["status"] != "failed" for f in by_name["good.jpg"]["findings"])


def test_missing_unreadable_folders_and_devices(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(tmp_path / "socket.jpg"))
        found = unmask(
            "scan",
            "--json",
            tmp_path / "no.jpg",
            tmp_path / "pipe.jpg",
            tmp_path / "socket.jpg",
            "/dev/zero",
            "a\nb.jpg",
        )
    assert found.returncode == 3
    codes = {n: r["findings"][0]["reason"]["code"] for n, r in reports(found).items()}
    assert codes == {
        "no.jpg": "subject.missing",
        "pipe.jpg": "subject.special",
        "socket.jpg": "subject.special",
        "zero": "subject.special",
        "a\nb.jpg": "subject.missing",
    }


def test_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "secret.jpg"
    path.write_bytes(a_jpeg())
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root reads everything")
    assert (
        reports(unmask("scan", "--json", path))["secret.jpg"]["findings"][0]["reason"]["code"] == "subject.unreadable"
    )


def test_names_with_newlines_escapes_and_foreign_bytes(tmp_path: Path) -> None:
    names = [
        b"new\nline.jpg",
        b"\xff\xfe\x80.jpg",
        b"bell\x1b[31mred.jpg",
        b"-dash.jpg",
        "żółw 🐢.jpg".encode(),
    ]
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(a_jpeg())
    as_json = unmask("scan", "--json", *FAST, tmp_path)
    assert as_json.returncode == 0, as_json.stderr
    assert len(as_json.stdout.splitlines()) == len(names)
    assert "\\xff\\xfe\\x80.jpg" in reports(as_json)
    as_table = unmask("scan", *FAST, "--html", tmp_path / "out", tmp_path, env={**os.environ, "COLUMNS": "200"})
    assert as_table.returncode == 0, as_table.stderr
    assert "\x1b[31m" not in as_table.stdout + as_table.stderr
    assert len(list((tmp_path / "out").glob("*.html"))) == len(names) + 1


def test_a_folder_is_walked_and_what_is_no_media_is_counted(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "no_extension").write_bytes(a_jpeg())
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "broken.png").write_bytes(b"oh")
    found = unmask("scan", "--json", *FAST, tmp_path)
    assert sorted(reports(found)) == ["broken.png", "no_extension"]
    assert "1 other files" in found.stderr
    assert found.returncode == 3


def test_fail_on_and_usage(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(a_jpeg())
    assert unmask("scan", *FAST, "--fail-on", "no_sign_found", path).returncode == 1
    assert unmask("scan", *FAST, "--fail-on", "declared_synthetic", path).returncode == 0
    for wrong in (["--fail-on", "bad"], ["--only", "image.nothing"], ["--nope"], ["--workers", "-1"]):
        found = unmask("scan", *wrong, path)
        assert found.returncode == 2 and found.stderr.startswith("unmask: "), wrong
    assert unmask("scan", "https://example.org/a.jpg").returncode == 2
    assert unmask("report", tmp_path / "none.jsonl").returncode == 2


def test_old_reports_render_again(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(a_jpeg())
    lines = unmask("scan", "--json", *FAST, tmp_path / "a.jpg").stdout
    (tmp_path / "old.jsonl").write_text(lines)
    (tmp_path / "a.jpg").unlink()
    found = unmask("report", tmp_path / "old.jsonl", "--html", tmp_path / "out", "--details")
    assert found.returncode == 0 and "a.jpg" in found.stdout
    assert (tmp_path / "out" / "index.html").is_file()
    (tmp_path / "old.jsonl").write_text(lines + '{"schema_version": "9"}\n')
    wrong = unmask("report", tmp_path / "old.jsonl")
    assert wrong.returncode == 2 and "line 2" in wrong.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_full_disk_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(a_jpeg())
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "unmask.cli.main", "scan", "--json", *FAST, str(tmp_path / "a.jpg")]
        found = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert found.returncode == 3
    assert "No space left" in found.stderr and "Traceback" not in found.stderr


def test_unwritable_report_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(a_jpeg())
    (tmp_path / "file").write_text("in the way")
    found = unmask("scan", *FAST, "--html", tmp_path / "file" / "x", tmp_path / "a.jpg")
    assert found.returncode == 2 and "Cannot make the folder" in found.stderr


def test_a_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    for i in range(4):
        (tmp_path / f"{i}.jpg").write_bytes(a_jpeg(i))
    command = [sys.executable, "-m", "unmask.cli.main", "scan", "--json", *FAST, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == ""


def test_interrupted_in_mid_batch_loses_nothing_that_was_done(faulty: Callable[..., None], tmp_path: Path) -> None:
    faulty("good")
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(600):
        (folder / f"{i:03}.jpg").write_bytes(a_jpeg(i, 64))
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "unmask.cli.main",
        "scan",
        "--json",
        "--only",
        "faulty",
        "--html",
        str(out),
        str(folder),
    ]
    # Tests that run in the background may ignore Ctrl-C, and a child would inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.stdout is not None and process.stderr is not None
    lines = [process.stdout.readline() for _ in range(4)]
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)  # the rest of the batch is not waited for
    assert process.returncode == 130
    done = [json.loads(line) for line in (*lines, *rest.splitlines())]
    assert 4 <= len(done) < 600
    assert f"Interrupted: {len(done)} of 600" in errors and "Traceback" not in errors
    assert (out / "index.html").is_file()
    assert len(list(out.glob("*.html"))) == len(done) + 1


def test_hostile_containers_of_the_kit(kit: Path) -> None:
    names = ["nested_moov_1000.mp4", "riff_bomb_1000.wav", "id3v23_compression_underflow.mp3"]
    started = time.monotonic()
    found = unmask("scan", "--json", *[kit / "provenance" / n for n in names])
    assert time.monotonic() - started < 30
    assert sorted(reports(found)) == sorted(names)
    assert found.returncode in (0, 3)


def test_a_full_disk_under_the_report_is_said(tmp_path: Path) -> None:
    import resource

    (tmp_path / "a.jpg").write_bytes(a_jpeg())

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    found = unmask("scan", *FAST, "--html", tmp_path / "out", tmp_path / "a.jpg", preexec_fn=small_files)
    assert found.returncode == 3
    assert "Cannot write" in found.stderr
    assert not list((tmp_path / "out").glob("*.part"))


def test_paths_that_the_system_refuses_are_findings_and_the_others_are_examined(tmp_path: Path) -> None:
    (tmp_path / "good.jpg").write_bytes(a_jpeg())
    found = unmask("scan", "--json", *FAST, "x" * 300 + ".jpg", str(tmp_path / "good.jpg"))
    assert found.returncode == 3
    assert "File name too long" in found.stderr and "Free some space" not in found.stderr
    assert reports(found)["good.jpg"]["findings"][0]["status"] != "failed"


def test_a_file_of_terabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse.jpg"
    with path.open("wb") as file:
        file.write(a_jpeg())
        file.truncate(9 * 1024**4)
    started = time.monotonic()
    found = unmask("scan", "--json", str(path))
    assert time.monotonic() - started < 10
    report = reports(found)["sparse.jpg"]
    assert report["findings"][0]["reason"]["code"] == "limit.bytes"
    assert report["subject"]["bytes"] == 9 * 1024**4 and found.returncode == 3


@pytest.mark.parametrize("arguments", [["report", "x\x1b[31m\n"], ["scan", "http://\x1b[31m"], ["scan", "--\x1b[31m"]])
def test_no_message_of_an_error_reaches_the_terminal_raw(arguments: list[str]) -> None:
    found = unmask(*arguments)
    assert found.returncode == 2
    assert "\x1b" not in found.stderr and "\\x1b" in found.stderr


def test_a_stream_that_knows_only_ascii(tmp_path: Path) -> None:
    path = tmp_path / "b\u00e9\u2028\x85.jpg"
    path.write_bytes(a_jpeg())
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    found = unmask("scan", "--json", *FAST, str(path), env=environment, encoding="utf-8")
    assert found.returncode == 0
    kept = tmp_path / "kept.jsonl"
    kept.write_text(found.stdout, "utf-8")
    # Characters that end a line elsewhere do not end a line of JSON.
    again = unmask("report", str(kept), env=environment, encoding="utf-8")
    assert again.returncode == 0 and "b\u00e9" in again.stdout


HOSTILE_VALUES = [
    {"sha256": "/../../../x\x1b[31m"},
    {"sha256": "\x1b[31m[bold]x[/nothing]"},
    {"duration": float("nan")},
    {"duration": 1e308},
    {"width": -5, "height": 10**400},
    {"format": "\x1b[31m"},
]


@pytest.mark.parametrize("values", HOSTILE_VALUES, ids=str)
def test_a_hostile_report_neither_escapes_nor_breaks(tmp_path: Path, values: dict[str, object]) -> None:
    (tmp_path / "good.jpg").write_bytes(a_jpeg())
    report = reports(unmask("scan", "--json", *FAST, str(tmp_path / "good.jpg")))["good.jpg"]
    report["subject"].update(values)
    report["tool"]["options"] = {"only": 5, "skip": {"a": "<script>"}}
    report["findings"][0]["detector"] = "\x1b]0;x\x07"
    label = {"x": 1e308, "y": -1e308, "w": 10**400, "h": 5e-324, "label": "<script>\x1b"}
    curve = {
        "x": [1e308, -1e308, 10**400],
        "series": [{"name": "\x1b", "y": [1e308, 5e-324, -1e308]}],
        "marks": [label],
    }
    report["findings"][0]["evidence"] = [
        {"kind": "boxes", "title": "\x1b", "data": {"boxes": [label], "lines": [[1e308, 2, 3, 10**400]]}},
        {"kind": "plot", "title": "\x1b", "data": curve},
        {"kind": "segments", "title": "\x1b", "data": {"segments": [{"start": -1e308, "end": 1e308, "label": 5}]}},
    ]
    chain = [{"label": str(i), "ingredients": [{"manifest": str(i + 1)}]} for i in range(3000)]
    report["provenance"]["c2pa"] = {"present": True, "state": "\x1b", "manifests": chain}
    report["verdict"]["abstained"] = [{"code": "not_examined.x", "text": "\x1b[31m"}]
    kept = tmp_path / "kept.jsonl"
    kept.write_text(json.dumps(report) + "\n")
    out = tmp_path / "a" / "out"
    found = unmask("report", str(kept), "--details", "--html", str(out))
    assert "\x1b" not in found.stdout + found.stderr
    assert found.returncode in (0, 2), found.stderr
    pages = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*.html"))
    assert all(p.parent == Path("a/out") for p in pages)
    assert len(pages) == (2 if found.returncode == 0 else 0)
    assert not any("<script>\x1b" in (tmp_path / p).read_text() for p in pages)
