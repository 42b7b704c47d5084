"""Cards: read without imports, strict, and the source of every calibrated score."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.card import Calibration, Card, find_cards, interpolate, ratio_to_probability, read_card
from unmask.errors import CardError

GOOD = """
id = "image.test"
version = "1"
title = "Test"
question = "Is it?"
why = "Because."
innocent_causes = "Many."
kinds = ["image"]
licence = "Apache-2.0"
scored = true
"""


def card(tmp_path: Path, text: str) -> Card:
    (tmp_path / "card.toml").write_text(text)
    return read_card(tmp_path, "none")


def test_good_card(tmp_path: Path) -> None:
    found = card(tmp_path, GOOD)
    assert found.accepts("image", "jpeg") and not found.accepts("audio", "wav")
    assert found.ok("a", "A.", 2.0).score is None, "no calibration, no score"


TABLE = "fitted_on='x'\nn_bona_fide=9\nn_manipulated=9\nraw=[0,1]\nlog10_lr="


def test_each_stratum_has_its_own_calibration(tmp_path: Path) -> None:
    text = f"{GOOD}[calibration]\n{TABLE}[0,1]\n[strata.tower]\n{TABLE}[0,2]\n[strata.small]\n{TABLE}[0,0.5]\n"
    found = card(tmp_path, text)
    tower, small, plain = (found.ok("a", "A.", 1.0, stratum=s) for s in ("tower", "small", None))
    assert [f.stratum for f in (tower, small, plain)] == ["tower", "small", None]
    assert tower.score is not None and small.score is not None and plain.score is not None
    assert tower.score > plain.score > small.score > 0.5
    wrong = found.ok("a", "A.", 1.0, stratum="other")
    assert (wrong.status, wrong.reason.code) == ("failed", "detector.nonsense")


def test_a_card_without_strata_has_one_calibration_for_all(tmp_path: Path) -> None:
    found = card(tmp_path, f"{GOOD}[calibration]\n{TABLE}[0,1]\n").ok("a", "A.", 1.0, stratum="any")
    assert found.score == pytest.approx(10 / 11) and found.stratum == "any"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("id = ", "TOML"),
        (f"{GOOD}[strata.x]\n{TABLE}[1,0]", "decrease"),
        (GOOD.replace('id = "image.test"', 'id = "Image Test"'), "id"),
        (GOOD + "colour = 1\n", "colour"),
        (GOOD.replace("scored = true", ""), "scored"),
        (GOOD + "[calibration]\nraw=[1,0]\nlog10_lr=[0,1]\nfitted_on='x'\nn_bona_fide=9\nn_manipulated=9", "decrease"),
        (GOOD + "[calibration]\nraw=[0,1]\nlog10_lr=[1,0]\nfitted_on='x'\nn_bona_fide=9\nn_manipulated=9", "decrease"),
        (GOOD + "[calibration]\nraw=[0,1]\nlog10_lr=[0]\nfitted_on='x'\nn_bona_fide=9\nn_manipulated=9", "log10_lr"),
    ],
)
def test_bad_cards_say_what_is_wrong(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(CardError, match=word):
        card(tmp_path, text)


def test_missing_card(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"card\.toml"):
        read_card(tmp_path / "nowhere", "none")


def test_cards_are_found_without_importing_detectors() -> None:
    code = "import sys; from unmask.card import find_cards; find_cards(); print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "numpy" not in out.split()
    assert not [m for m in out.split() if m.startswith("unmask.detectors.")]


def test_ids_are_unique_and_match_folders() -> None:
    for found in find_cards():
        assert found.folder.name == found.id.replace(".", "_")


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=9, unique=True), st.floats(-99, 99), st.floats(-99, 99))
def test_calibration_never_decreases(raw: list[float], a: float, b: float) -> None:
    raw = sorted(raw)
    table = Calibration(
        raw=tuple(raw), log10_lr=tuple(0.1 * i for i in range(len(raw))), fitted_on="x", n_bona_fide=1, n_manipulated=1
    )
    low, high = sorted((a, b))
    assert table.log_ratio(low) <= table.log_ratio(high) + 1e-12
    assert 0 <= table.probability(a) <= 1


def test_interpolation_and_odds() -> None:
    assert interpolate((0, 1, 1, 2), (0, 10, 20, 30), 0.5) == 5
    assert interpolate((0, 1), (3, 4), -9) == 3 and interpolate((0, 1), (3, 4), 9) == 4
    assert ratio_to_probability(0) == 0.5
    assert ratio_to_probability(2) == pytest.approx(100 / 101)


def test_not_finite_scores_become_failures(tmp_path: Path) -> None:
    finding = card(tmp_path, GOOD).ok("a", "A.", float("inf"))
    assert finding.status == "failed" and finding.raw_score is None
