"""A machine that computes other numbers gets no answer from a trained detector, and the report says why."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from unmask import Options, Scanner
from unmask.card import find_cards
from unmask.errors import ModelError
from unmask.models import runtime, store

PICTURE, VOICE = "dogs.jpg", "voice.flac"
LEARNED = {
    "image.synthetic": PICTURE,
    "image.splice": PICTURE,
    "image.faces": PICTURE,
    "voice.synthetic": VOICE,
    "face.swap": PICTURE,
}
INSTALLED = [card.id for card in find_cards() if card.id in LEARNED]


def refuse(card: store.ModelCard, *_: object) -> float:
    raise ModelError("model.numbers", f"The model {card.name} gives other numbers on this machine, so it is not used.")


@pytest.fixture
def other_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reference comes out differently here."""
    monkeypatch.setattr(runtime, "check_numbers", refuse)
    monkeypatch.setattr(runtime, "_sessions", {})


@pytest.mark.parametrize("detector", INSTALLED)
def test_a_trained_detector_declines_with_the_reason(detector: str, examples: Path, other_machine: None) -> None:
    with Scanner(Options(only=(detector,)), isolation="inline") as scanner:
        report = scanner.scan(examples / LEARNED[detector])
    found = report.finding(detector)
    assert found is not None and (found.status, found.reason.code) == ("declined", "model.numbers"), found.reason
    assert "other numbers on this machine" in found.reason.text
    assert found.score is found.raw_score is None
    assert report.tool.models == ()
    assert report.verdict.label == "inconclusive"
    assert any("other numbers" in reason.text for reason in report.verdict.reasons)


def test_silence_is_no_answer_where_a_trained_detector_could_not_speak(examples: Path, other_machine: None) -> None:
    learned = [i for i in INSTALLED if i in ("image.synthetic", "image.splice")]
    if not learned:
        pytest.skip("no trained detector of pictures is installed")
    with Scanner(isolation="inline") as scanner:
        verdict = scanner.scan(examples / PICTURE).verdict
    assert verdict.label == "inconclusive"
    assert {f"declined.{i}" for i in learned} <= {reason.code for reason in verdict.abstained}


def test_many_threads_may_ask_first() -> None:
    """Four models opened at once in a fresh process: threads that wait for each other would outlast the limit."""
    code = (
        "import sys, threading; sys.setswitchinterval(1e-6)\n"
        "from unmask.models.runtime import open_model\n"
        "names = 'face-detection-short-range-1', 'face-landmark-1', 'silero-vad-1', 'face-swap-2'\n"
        "threads = [threading.Thread(target=open_model, args=(name,)) for name in names]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]"
    )
    for _ in range(3):
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
