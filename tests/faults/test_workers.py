"""A detector or a file that goes wrong costs its own finding, and nothing else."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from unmask import Finding, Limits, Options, Scanner
from unmask.execution.contract import Examination, Job
from unmask.execution.processes import ProcessExecutor

Install = Callable[..., None]


def scan(path: Path, *, only: tuple[str, ...] = ("faulty",), workers: int = 2, **limits: float) -> object:
    options = Options(only=only, workers=workers, limits=Limits.model_validate(limits))
    with Scanner(options) as scanner:
        return scanner.scan(path)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("abort", "worker.crashed"),
        ("segfault", "worker.crashed"),
        ("exits", "worker.crashed"),
        ("raises", "detector.error"),
        ("deep", "detector.error"),
        ("nonsense", "detector.nonsense"),
        ("infinite", "detector.not_finite"),
    ],
)
def test_a_faulty_detector_gets_a_reason_and_the_others_answer(
    faulty: Install, photo: Path, name: str, code: str
) -> None:
    faulty(name, "good")
    report = scan(photo)
    bad, good = report.finding(f"faulty.{name}"), report.finding("faulty.good")
    assert (bad.status, bad.reason.code) == ("failed", code)
    assert (good.status, good.reason.code) == ("ok", "fine")
    assert bad.score is None and bad.raw_score is None
    assert not report.examined
    assert "secret" not in report.to_json()


def test_a_detector_that_eats_memory_is_stopped(faulty: Install, photo: Path) -> None:
    faulty("memory", "good")
    report = scan(photo, memory_mb=512)
    assert report.finding("faulty.memory").reason.code == "limit.memory"
    assert "--memory" in report.finding("faulty.memory").reason.text
    assert report.finding("faulty.good").status == "ok"


def test_a_detector_that_hangs_is_stopped(faulty: Install, photo: Path) -> None:
    faulty("hangs", "good")
    started = time.monotonic()
    report = scan(photo, wall_seconds=1.5)
    assert time.monotonic() - started < 20
    assert report.finding("faulty.hangs").reason.code == "limit.wall"
    assert "--max-seconds" in report.finding("faulty.hangs").reason.text
    assert report.finding("faulty.good").status == "ok"


def test_a_detector_that_spins_runs_out_of_processor_time(faulty: Install, photo: Path) -> None:
    faulty("good", "spins")
    report = scan(photo, cpu_seconds=1)
    assert report.finding("faulty.spins").reason.code == "limit.cpu"
    assert report.finding("faulty.good").status == "ok"


def test_three_crashes_at_once_blame_only_the_guilty(faulty: Install, photo: Path) -> None:
    faulty("abort", "exits", "good", "segfault")
    report = scan(photo)
    assert {f.detector: f.status for f in report.findings} == {
        "faulty.abort": "failed",
        "faulty.exits": "failed",
        "faulty.good": "ok",
        "faulty.segfault": "failed",
    }


def test_the_scanner_serves_on_after_a_crash(faulty: Install, photo: Path) -> None:
    faulty("good", "segfault")
    with Scanner(Options(only=("faulty",), workers=1)) as scanner:
        for _ in range(3):
            assert scanner.scan(photo).finding("faulty.good").status == "ok"


def test_temporary_files_are_gone_and_the_subject_is_unchanged(
    faulty: Install, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr(tempfile, "tempdir", None)
    faulty("segfault", "writes")
    before = hashlib.sha256(photo.read_bytes()).hexdigest()
    report = scan(photo)
    folder = report.finding("faulty.writes").reason.text
    assert folder.startswith(str(scratch)), "the detector did not use the folder that is cleared"
    assert list(scratch.iterdir()) == []
    assert hashlib.sha256(photo.read_bytes()).hexdigest() == before == report.subject.sha256


def test_a_killed_parent_leaves_no_worker_behind(faulty: Install, photo: Path, tmp_path: Path) -> None:
    faulty("hangs")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    code = f"import unmask; unmask.scan({str(photo)!r}, unmask.Options(only=('faulty.hangs',)))"
    parent = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(scratch)})
    # The helper and the child that it forked, busy with its folder.
    wait_until(lambda: any(scratch.iterdir()) and len(descendants(parent.pid)) >= 2)
    children = descendants(parent.pid)
    parent.kill()
    parent.wait()
    wait_until(lambda: not any(alive(pid) for pid in children))
    wait_until(lambda: not any(scratch.iterdir()))


def test_many_files_go_on_when_some_crash(faulty: Install, photo: Path, tmp_path: Path) -> None:
    faulty("good", "segfault")
    paths = []
    for i in range(6):
        path = tmp_path / f"{i}.jpg"
        path.write_bytes(photo.read_bytes() if i % 2 else b"\xff\xd8\xff\xe0 broken")
        paths.append(path)
    with Scanner(Options(only=("faulty",), workers=2)) as scanner:
        reports = {r.subject.name: r for r in scanner.scan_many(paths)}
    assert sorted(reports) == [f"{i}.jpg" for i in range(6)]
    assert all(r.finding("faulty.good").status == "ok" for r in reports.values())


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == pid:
                found += [int(entry.name), *descendants(int(entry.name))]
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_leaving_a_batch_early_ends_it_at_once(faulty: Install, photo: Path, tmp_path: Path) -> None:
    faulty("hangs", "spins")
    empty = tmp_path / "empty.jpg"
    empty.write_bytes(b"")
    limits = Limits(wall_seconds=30)
    before = set(descendants(os.getpid()))
    with Scanner(Options(only=("faulty",), workers=1, limits=limits)) as scanner:
        found = scanner.scan_many([empty, photo, photo])
        assert next(found).subject.name == "empty.jpg"
        wait_until(lambda: len(set(descendants(os.getpid())) - before) >= 2)
        time.sleep(1)  # until both detectors have begun
        started = time.monotonic()
        found.close()  # type: ignore[attr-defined]
        assert time.monotonic() - started < 10
        assert set(descendants(os.getpid())) <= before


class DyingSlot:
    """Its child answers for all detectors and then dies over the rest, each time."""

    closed = False

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        self.findings, self.runs = findings, 0

    def run(self, job: Job, result: Examination) -> tuple[str, str]:
        self.runs += 1
        result.take({"type": "plan", "detectors": [f.detector for f in self.findings]})
        for finding in self.findings:
            if finding.detector not in job.done:
                result.take({"type": "finding", "finding": finding.model_dump(mode="json")})
        return "worker.crashed", "It crashed."


def test_what_dies_after_the_last_answer_is_not_tried_again_and_again(faulty: Install, photo: Path) -> None:
    faulty("good")
    slot = DyingSlot(scan(photo).findings)  # type: ignore[attr-defined]
    executor = ProcessExecutor(0)
    result = executor._examine(slot, Job(path=str(photo), name="photo.jpg", options=Options()))  # type: ignore[arg-type]
    assert result.findings["faulty.good"].status == "ok"
    assert slot.runs == 2
