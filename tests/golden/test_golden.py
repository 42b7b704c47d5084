"""Scores that must not move unnoticed: every detector on every example, and the verdict.

After a wanted change: `UNMASK_UPDATE_GOLDEN=1 pytest tests/golden`, raise the detector's version in its card, look at
the difference, then commit it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from unmask import Options, Scanner
from unmask.card import find_cards
from unmask.models.store import has_model

GOLDEN = Path(__file__).with_name("scores.json")
GOLDEN_TOWER = Path(__file__).with_name("scores_tower.json")
# Float sums differ in their last digits between processors; decisions do not hang on them.
TOLERANCE = 0.02


def measure(examples: Path, only: tuple[str, ...] = ()) -> dict[str, Any]:
    out: dict[str, Any] = {}
    with Scanner(Options(only=only)) as scanner:
        paths = sorted(p for p in examples.iterdir() if p.suffix not in (".md", ".toml"))
        for report in scanner.scan_many(paths):
            out[report.subject.name] = {
                "label": report.verdict.label,
                "findings": {
                    f.detector: {"version": f.version, "status": f.status, "code": f.reason.code, "raw": f.raw_score}
                    for f in report.findings
                },
            }
    return out


def test_scores_are_those_of_the_golden_file(examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what ships; a model that happens to be installed besides must not change the result."""
    monkeypatch.setenv("UNMASK_MODELS", str(tmp_path))
    compare(measure(examples), GOLDEN)


def test_scores_with_the_tower(examples: Path) -> None:
    if not has_model("clip-vit-b16-1"):
        pytest.skip("clip-vit-b16 is not installed: unmask models get clip-vit-b16")
    if not any(card.id == "image.synthetic" for card in find_cards()):
        pytest.skip("nothing asks the tower yet")
    compare(measure(examples, ("image.synthetic", "video.synthetic")), GOLDEN_TOWER)


def compare(found: dict[str, Any], file: Path) -> None:
    if os.environ.get("UNMASK_UPDATE_GOLDEN"):
        file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    golden = json.loads(file.read_text())
    assert sorted(found) == sorted(golden)
    for name, expected in golden.items():
        assert found[name]["label"] == expected["label"], name
        assert sorted(found[name]["findings"]) == sorted(expected["findings"]), name
        for detector, old in expected["findings"].items():
            new = found[name]["findings"][detector]
            where = f"{detector} on {name}"
            assert {k: new[k] for k in ("version", "status", "code")} == {
                k: old[k] for k in ("version", "status", "code")
            }, where
            if old["raw"] is not None:
                assert new["raw"] == pytest.approx(old["raw"], rel=TOLERANCE, abs=TOLERANCE), where
