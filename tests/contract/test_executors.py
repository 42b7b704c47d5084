"""The same subject gives the same examination wherever it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from unmask import Options, Report, Scanner

SUBJECTS = ["photo", "rotated", "alpha", "cut_off", "one_pixel", "voice", "film", "deep"]


def scan(path: Path, isolation: str) -> Report:
    with Scanner(Options(preview=True), isolation=isolation) as scanner:  # type: ignore[arg-type]
        return scanner.scan(path)


def timeless(report: Report) -> Report:
    findings = tuple(f.model_copy(update={"seconds": 0.0}) for f in report.findings)
    return report.model_copy(update={"seconds": 0.0, "created": "", "findings": findings})


@pytest.mark.parametrize("name", SUBJECTS)
def test_inline_and_processes_agree(name: str, awkward: dict[str, Path]) -> None:
    assert timeless(scan(awkward[name], "inline")) == timeless(scan(awkward[name], "process"))


def test_bytes_and_path_agree(awkward: dict[str, Path]) -> None:
    path = awkward["photo"]
    with Scanner() as scanner:
        by_path, by_bytes = scanner.scan(path), scanner.scan(path.read_bytes(), name=path.name)
    assert timeless(by_path) == timeless(by_bytes)


def test_a_report_survives_json(awkward: dict[str, Path]) -> None:
    report = scan(awkward["photo"], "process")
    assert Report.model_validate_json(report.to_json()) == report


def test_many_at_once_agree_with_one_by_one(awkward: dict[str, Path]) -> None:
    paths = [awkward[n] for n in SUBJECTS]
    with Scanner(Options(workers=2)) as scanner:
        many = {r.subject.name: timeless(r) for r in scanner.scan_many(paths)}
        assert many == {p.name: timeless(scanner.scan(p)) for p in paths}
