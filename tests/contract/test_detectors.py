"""`check_detector` on every installed detector: what DESIGN asks of a detector, whatever it looks for."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from unmask import Finding, Limits, Options, Scanner
from unmask.card import Card, find_cards
from unmask.execution.work import plan, run_one
from unmask.report import Finding as FindingModel
from unmask.subject import Subject

CARDS = find_cards()
MEMORY_MB = 1024
FORBIDDEN = re.compile(r"\b(authentic|deepfake|fake)\b", re.IGNORECASE)


def examine(card: Card, path: Path) -> Finding | None:
    subject = Subject(path)
    try:
        chosen = plan([card], subject, Options())
    except Exception:
        return None  # what cannot even be named is refused before any detector runs
    return run_one(card, subject, Options()) if chosen else None


def check_finding(card: Card, name: str, finding: Finding) -> None:
    """One finding keeps the contract."""
    where = f"{card.id} on {name}"
    assert FindingModel.model_validate_json(finding.model_dump_json()) == finding, where
    assert finding.reason.code not in ("detector.error", "detector.nonsense", "detector.not_finite"), (
        f"{where}: {finding.reason.text}"
    )
    assert finding.reason.text.endswith((".", ")", "!")), f"{where}: {finding.reason.text!r} is no sentence"
    assert not FORBIDDEN.search(finding.reason.text), f"{where}: {finding.reason.text}"
    if not card.scored:
        assert finding.raw_score is None and finding.score is None, f"{where}: facts carry no score"
    elif finding.status == "ok":
        assert finding.raw_score is not None, f"{where}: a scored detector that answers gives a number"
    for evidence in finding.evidence:
        assert evidence.title and not FORBIDDEN.search(evidence.text), f"{where}: {evidence.title}"
    assert len(finding.model_dump_json()) < 400_000, f"{where}: the evidence is too large"


@pytest.mark.parametrize("card", CARDS, ids=[c.id for c in CARDS])
def test_detector_keeps_the_contract(card: Card, awkward: dict[str, Path]) -> None:
    answered = 0
    for name, path in awkward.items():
        before = hashlib.sha256(path.read_bytes()).hexdigest()
        finding = examine(card, path)
        if finding is None:
            continue
        answered += 1
        check_finding(card, name, finding)
        again = examine(card, path)
        assert again is not None
        still = {"seconds": 0.0}
        assert finding.model_copy(update=still) == again.model_copy(update=still), f"{card.id} wavers on {name}"
        assert hashlib.sha256(path.read_bytes()).hexdigest() == before, f"{card.id} changed {name}"
    assert answered, f"{card.id} accepted no subject at all"


@pytest.mark.parametrize("card", [c for c in CARDS if c.scored], ids=[c.id for c in CARDS if c.scored])
@pytest.mark.parametrize(
    "name", ["one_pixel", "tiny", "thin", "blank", "black", "silent", "short", "no_samples", "one_frame"]
)
def test_scored_detector_does_not_judge_what_holds_nothing(card: Card, name: str, awkward: dict[str, Path]) -> None:
    finding = examine(card, awkward[name])
    if finding is not None and finding.status == "ok":
        assert finding.score is None or finding.score < 0.5, f"{card.id} sees a sign in {name}"


def test_all_detectors_stay_inside_the_memory_budget(tmp_path: Path) -> None:
    from subjects import jpeg, photo_like

    path = tmp_path / "large.jpg"
    path.write_bytes(jpeg(photo_like(4000, 3000), 92))
    with Scanner(Options(only=("image", "provenance"), limits=Limits(memory_mb=MEMORY_MB))) as scanner:
        report = scanner.scan(path)
    failed = {f.detector: f.reason.text for f in report.findings if f.status == "failed"}
    assert failed == {}


@pytest.mark.parametrize("card", CARDS, ids=[c.id for c in CARDS])
def test_card_is_complete(card: Card) -> None:
    assert card.papers or not card.scored, f"{card.id} names no paper"
    for text in (card.title, card.question, card.why, card.innocent_causes):
        assert len(text) > 8 and not FORBIDDEN.search(text), f"{card.id}: {text}"
    assert card.question.endswith("?"), f"{card.id}: {card.question}"
    if card.scored:
        assert card.calibration is not None or card.strata, f"{card.id} is scored but not calibrated"
        assert card.false_alarms, f"{card.id} states no false-alarm rates"
        assert card.known_misses, f"{card.id} claims to miss nothing"
