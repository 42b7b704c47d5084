"""The examples that ship: small, licensed, and answered as promised."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from unmask import Report, Scanner

OTHER = (".md", ".toml")


@pytest.fixture(scope="module")
def reports(examples: Path) -> dict[str, Report]:
    with Scanner() as scanner:
        return {r.subject.name: r for r in scanner.scan_many(p for p in examples.iterdir() if p.suffix not in OTHER)}


@pytest.fixture(scope="module")
def expected(examples: Path) -> dict[str, list[str]]:
    return tomllib.loads((examples / "expected.toml").read_text("utf-8"))


def test_each_example_gets_the_expected_verdict(reports: dict[str, Report], expected: dict[str, list[str]]) -> None:
    assert sorted(reports) == sorted(expected)
    wrong = {n: (r.verdict.label, expected[n]) for n, r in reports.items() if r.verdict.label not in expected[n]}
    assert wrong == {}


def test_no_untouched_example_is_called_manipulated(reports: dict[str, Report]) -> None:
    for name in ("dogs.jpg", "dandelion.jpg", "dandelion-recompressed.jpg", "mountain.webp", "voice.flac", "pan.mp4"):
        assert reports[name].verdict.label in ("no_sign_found", "inconclusive"), name
        assert reports[name].examined, name


def test_forged_regions_are_shown_where_they_are(reports: dict[str, Report]) -> None:
    splice = reports["mountain-splice.jpg"]
    assert splice.verdict.label == "likely_manipulated"
    maps = [e for f in splice.findings if f.score and f.score > 0.6 for e in f.evidence if e.kind == "heatmap"]
    assert maps


def test_every_example_is_licensed_and_small(examples: Path) -> None:
    table = (examples / "LICENSES.md").read_text("utf-8")
    files = [p for p in examples.iterdir() if p.suffix not in OTHER]
    assert 8 <= len(files) <= 14
    for path in files:
        assert f"| {path.name} |" in table
    assert sum(p.stat().st_size for p in files) < 2_000_000
