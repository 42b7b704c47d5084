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

from unmask import Scanner

GOLDEN = Path(__file__).with_name("scores.json")
# Float sums differ in their last digits between processors; decisions do not hang on them.
TOLERANCE = 0.02


def measure(examples: Path) -> dict[str, Any]:
    out: dict[str, Any] = {}
    with Scanner() as scanner:
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


def test_scores_are_those_of_the_golden_file(examples: Path) -> None:
    found = measure(examples)
    if os.environ.get("UNMASK_UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    golden = json.loads(GOLDEN.read_text())
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
