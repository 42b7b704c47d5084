"""Calibration of trained detectors: monotone, bounded, honest on unseen sources, written without collateral."""

from __future__ import annotations

import math
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from unmask_lab import learned, ratios, scores
from unmask_lab.errors import LabError
from unmask_lab.scores import Score

DETECTOR = "image.copy_move"


def table(per_source: int = 60, sources: int = 12, gap: float = 2.0, copies: int = 2, seed: int = 3) -> list[Score]:
    """Normal scores of one variance: the true log10 LR is known, ``gap * (raw - gap / 2) / ln 10``."""
    rng = np.random.default_rng(seed)
    rows = []
    for s in range(sources):
        for i in range(per_source):
            label = (s + i) % 2
            for copy in range(copies):
                raw = float(rng.normal(gap * label, 1))
                kind, family = ("", f"f{i % 3}") if label else (f"kind {s % 3}", "")
                row = Score(f"{s}/{i}", "q", label, f"s{s}", raw, "g", family, kind, f"laundered:{copy}")
                rows.append(replace(row, distance=float(rng.uniform(0, 1))))
    return rows


def test_the_smooth_table_finds_the_true_ratios_and_never_lies_flat_between() -> None:
    c = scores.columns(table(200))
    fitted = ratios.smooth(c.raw, c.truth, np.ones(len(c.raw)), learned.independent(c))
    at = np.array([-0.5, 0.5, 1.0, 1.5, 2.5])
    assert np.abs(fitted(at) - 2 * (at - 1) / math.log(10)).max() < 0.15
    assert np.all(np.diff(fitted.log10_lr) > 0)


def test_ratios_are_bounded_by_what_the_parents_can_show() -> None:
    raw = np.r_[np.linspace(0, 1, 50), np.linspace(2, 3, 50)]
    truth = np.arange(100) >= 50
    fitted = ratios.smooth(raw, truth, np.ones(100), (50, 50))
    assert max(fitted.log10_lr) <= math.log10(50) + 1e-4 and min(fitted.log10_lr) >= -math.log10(50) - 1e-4
    assert max(fitted.log10_lr) > 1
    few = ratios.smooth(raw, truth, np.ones(100), (5, 5))
    assert max(few.log10_lr) <= math.log10(5) + 1e-4, "copies of five parents are five parents"


def test_a_useless_score_gives_ratios_of_one() -> None:
    c = scores.columns(table(gap=0.0))
    fitted = ratios.smooth(c.raw, c.truth, np.ones(len(c.raw)), learned.independent(c))
    middle = np.percentile(c.raw, (10, 90))
    assert np.abs(fitted(middle)).max() < 0.15


def test_probabilities_are_honest_on_sources_left_out() -> None:
    found = learned.calibrate(table(120, 16))
    assert found.ece < 0.04
    assert found.found[0] > found.found[1] > 0.1


def test_labels_keep_their_false_alarms_overall_and_by_kind() -> None:
    rows = table(200, 12, copies=1)
    # One kind of real media looks synthetic: its own rate binds, not the mean over all.
    odd = [replace(r, raw=r.raw + 1.0) if r.kind == "kind 1" and not r.label else r for r in rows]
    plain, bound = learned.calibrate(rows), learned.calibrate(odd)
    assert max(rate for rate, _ in bound.by_kind.values()) <= 0.05 + 1 / 300
    assert bound.suspicious >= plain.suspicious
    c = scores.columns(odd)
    values = learned.cross_fitted(c, learned.weights(c))
    assert (values[~c.truth] >= bound.likely_manipulated).mean() <= 0.01


def test_a_share_of_the_budget_is_stricter() -> None:
    rows = table(200)
    whole, third = learned.calibrate(rows), learned.calibrate(rows, 0.3)
    assert third.suspicious > whole.suspicious and third.likely_manipulated >= whole.likely_manipulated


def test_small_groups_do_not_rule_and_copies_are_one_parent() -> None:
    def by_file(copies: int) -> np.ndarray:
        c = scores.columns(table(50, 6, copies=copies))
        return np.bincount(np.unique(c.path, return_inverse=True)[1], learned.weights(c))

    assert np.allclose(by_file(1), by_file(4))
    rows = table(50, 6)
    lone = [*rows, Score("x", "q", 1, "s0", 0.0, family="rare")]
    w = learned.weights(scores.columns(lone))
    assert w[-1] == pytest.approx(1 / learned.FULL_WEIGHT)


CARD = """id = "x.y"
[parameters]
# A comment that stays.
report_above = 3.5  # log-odds
other = 1

[strata.old]
raw = [0, 1]

[false_alarms]
"a" = { rate = 0.1, n = 2 }
"""


def test_cards_and_rules_are_written_without_collateral(tmp_path: Path) -> None:
    both = {"tower": learned.calibrate(table(seed=1)), "small": learned.calibrate(table(gap=1.0, seed=2))}
    card, rules = tmp_path / "card.toml", tmp_path / "verdict.toml"
    card.write_text(CARD)
    rules.write_text(
        '[shares]\nimage = 0.5\n\n[learned."x.y".strata.any]\nsuspicious = 9\n\n[fusion.image]\nbias = 1\n'
    )
    for _ in range(2):
        learned.write_card(card, both, "made")
        learned.write_rules(rules, "x.y", both, "made")
    told = tomllib.loads(card.read_text())
    assert set(told["strata"]) == {"tower", "small"} and "calibration" not in told
    assert told["parameters"]["other"] == 1
    assert "# A comment that stays." in card.read_text()
    assert told["parameters"]["drift_limit_tower"] == pytest.approx(0.995, abs=0.01)
    assert {f"report_above_{s}" for s in both} < set(told["parameters"])
    assert not {"report_above", "drift_limit"} & set(told["parameters"]), "what nothing reads does not stay"
    assert set(told["false_alarms"]) == {"kind 0", "kind 1", "kind 2"}
    judged = tomllib.loads(rules.read_text())
    assert judged["shares"] == {"image": 0.5} and judged["fusion"] == {"image": {"bias": 1}}
    strata = judged["learned"]["x.y"]["strata"]
    assert set(strata) == {"tower", "small"} and strata["tower"]["suspicious"] < strata["tower"]["likely_manipulated"]
    rates = strata["small"]["false_alarm_rate"]
    assert rates == sorted(rates, reverse=True) and rates[-1] == 0


def test_a_card_without_parameters_gets_them(tmp_path: Path) -> None:
    card = tmp_path / "card.toml"
    card.write_text('id = "x.y"\n\n[labels]\na = "b"\n')
    learned.write_card(card, {"any": learned.calibrate(table())}, "made")
    told = tomllib.loads(card.read_text())
    assert told["labels"] == {"a": "b"} and told["parameters"]["report_above"] > 0 and "calibration" in told


def test_the_drift_limit_tells_whom_it_would_refuse() -> None:
    rows = [replace(r, distance=5.0) if i == 1 else r for i, r in enumerate(table())]
    assert rows[1].label == 0
    found = learned.calibrate(rows)
    assert found.drift_limit is not None and 0.98 < found.drift_limit < 1
    assert found.refused[rows[1].kind] > 0
    plain = learned.calibrate([replace(r, distance=math.nan) for r in table()])
    assert plain.drift_limit is None and plain.refused == {}


def test_reports_begin_where_the_label_does() -> None:
    found = learned.calibrate(table(200))
    assert found.table(np.array([found.report_above]))[0] == pytest.approx(found.suspicious, abs=1e-3)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda rows: [r for r in rows if r.label], "scores.one_class"),
        (lambda rows: [r for r in rows if r.source in ("s0", "s1")], "fit.sources"),
        (lambda rows: [], "scores.empty"),
        (lambda rows: [replace(r, raw=math.nan) for r in rows], "scores.not_a_number"),
    ],
)
def test_bad_tables_write_nothing(tmp_path: Path, change, code: str) -> None:  # type: ignore[no-untyped-def]
    scores.write(tmp_path / "t.csv", change(table(8, 5)))
    rules = tmp_path / "verdict.toml"
    rules.write_text("# untouched\n")
    with pytest.raises(LabError) as raised:
        list(learned.fit([tmp_path / "t.csv"], DETECTOR, rules=rules))
    assert raised.value.code == code
    assert rules.read_text() == "# untouched\n"


def test_an_unknown_detector_is_told(tmp_path: Path) -> None:
    scores.write(tmp_path / "t.csv", table(8, 5))
    with pytest.raises(LabError, match="no detector"):
        list(learned.fit([tmp_path / "t.csv"], "image.nothing", write=False))


def test_the_question_names_the_detector(tmp_path: Path) -> None:
    rows = [replace(r, question="image.grid" if r.label else "") for r in table(30, 6)]
    scores.write(tmp_path / "t.csv", rows)
    assert next(learned.fit([tmp_path / "t.csv"], write=False)).startswith("image.grid/any: ")
    scores.write(tmp_path / "t.csv", [*rows, replace(rows[-1], label=1, question="face.swap")])
    with pytest.raises(LabError, match="2 questions"):
        list(learned.fit([tmp_path / "t.csv"], write=False))


def test_kinds_come_from_the_kit_where_the_table_names_none(tmp_path: Path) -> None:
    (tmp_path / "manifest-audio.csv").write_text("path,label,method\naudio/real/x/1.flac,real,EMO-DB\n")
    rows = [Score("audio/real/x/1.flac", "q", 0, "x", 0.0), Score("other", "q", 0, "x", 0.0, kind="singing")]
    assert [r.kind for r in learned.named_kinds(rows, tmp_path)] == ["emotional speech", "singing"]
