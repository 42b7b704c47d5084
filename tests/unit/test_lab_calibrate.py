"""Calibration and fusion: monotone, bounded, honest on unseen sources, and written without harm to the cards."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from unmask.verdict import Fusion, fuse, read_rules
from unmask_lab import calibrate, ratios
from unmask_lab.data import Data, balanced_weights
from unmask_lab.errors import LabError
from unmask_lab.evaluate.report import put_tables
from unmask_lab.forge.manifest import Row
from unmask_lab.fusion import false_alarm_table, fit, reaching, split, threshold


def gaussian(n: int, shift: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.arange(2 * n) >= n
    return rng.normal(0, 1, 2 * n) + shift * truth, truth


def test_ratios_follow_the_true_ratio() -> None:
    scores, truth = gaussian(6000, 2.0, 1)
    table = ratios.fit(scores, truth, np.ones(len(scores)), (1000, 1000))
    x = np.linspace(-0.5, 2.5, 7)
    true = (2.0 * x - 2.0) / np.log(10)
    assert np.abs(table(x) - true).max() < 0.3


def test_ratios_never_exceed_the_number_of_parents() -> None:
    truth = np.arange(400) >= 200
    table = ratios.fit(np.where(truth, 10.0, 0.0), truth, np.ones(400), (20, 50))
    assert table.log10_lr[0] == pytest.approx(-np.log10(50), abs=0.02)
    assert table.log10_lr[-1] == pytest.approx(np.log10(20), abs=0.02)


def test_ratios_are_monotone_and_flat_for_a_useless_score() -> None:
    rng = np.random.default_rng(3)
    truth = np.arange(1000) >= 500
    table = ratios.fit(rng.normal(0, 1, 1000), truth, np.ones(1000), (100, 100))
    assert (np.diff(table.log10_lr) >= 0).all() and (np.diff(table.x) >= 0).all()
    assert np.abs(table(np.linspace(-1, 1, 5))).max() < 0.25
    constant = ratios.fit(np.zeros(1000), truth, np.ones(1000), (100, 100))
    assert len(constant.x) == 2 and np.abs(constant.log10_lr).max() < 1e-6


def test_weights_of_classes_do_not_move_the_ratios() -> None:
    scores, truth = gaussian(3000, 1.5, 4)
    few = np.r_[np.arange(3000), 3000 + np.arange(300)]
    one = ratios.fit(scores, truth, np.ones(len(scores)), (500, 500))
    other = ratios.fit(scores[few], truth[few], np.ones(len(few)), (500, 500))
    x = np.linspace(-0.5, 2, 5)
    assert np.abs(one(x) - other(x)).max() < 0.35


def row(i: int, manipulated: bool, kind: str = "snapshot") -> Row:
    label, family = ("manipulated", "splice") if manipulated else ("bona_fide", "none")
    parent = f"source-{i % 20}/{i % 100}"
    return Row(f"f{i}", "image", label, family, parent, f"source-{i % 20}", kind, "", "", "calibration", "clean")


def made(n: int, seed: int = 5) -> Data:
    """Two good detectors, one that knows nothing, one that is often silent."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.5
    raw = {
        "image.good": rng.normal(0, 1, n) + 2.0 * truth,
        "image.fair": rng.normal(0, 1, n) + 1.0 * truth,
        "image.noise": rng.normal(0, 1, n),
        "image.rare": np.where(rng.random(n) < 0.7, np.nan, rng.normal(0, 1, n) + 2.0 * truth),
    }
    return Data(tuple(row(i, bool(t)) for i, t in enumerate(truth)), raw, ({},) * n)


def test_fusion_trusts_the_good_and_not_the_useless() -> None:
    data = made(4000)
    fitted = fit(data, list(data.raw))
    assert all(w >= 0 for w in fitted.weights.values())
    assert fitted.weights["image.good"] > 0.6 and fitted.weights["image.rare"] > 0.4
    span = fitted.calibrations["image.noise"].log10_lr
    assert max(span) - min(span) < 1.0
    assert fitted.suspicious < fitted.likely_manipulated


def test_thresholds_hold_on_new_material() -> None:
    data, new = made(4000), made(4000, seed=6)
    fitted = fit(data, list(data.raw))
    score = np.full(len(new.rows), fitted.bias)
    for name, table in fitted.calibrations.items():
        answered = ~np.isnan(new.raw[name])
        score[answered] += fitted.weights[name] * table(new.raw[name][answered])
    bona = score[~new.truth]
    assert (bona >= fitted.suspicious).mean() < 0.07
    assert (bona >= fitted.likely_manipulated).mean() < 0.02
    assert (score[new.truth] >= fitted.suspicious).mean() > 0.6


def test_thresholds_hold_in_the_worst_kind() -> None:
    rng = np.random.default_rng(8)
    scores = np.r_[rng.normal(0, 1, 900), rng.normal(3, 1, 100)]
    kinds = np.array(["snapshot"] * 900 + ["screenshot"] * 100)
    parents = np.arange(1000).astype(str)
    level = threshold(scores, kinds, parents, 0.05)
    assert (scores[kinds == "screenshot"] >= level).mean() <= 0.05
    alone = threshold(scores, kinds, np.array(["one"] * 1000), 0.05)
    assert alone < level, "a kind of a single parent must not set the threshold"


def test_no_source_is_on_both_sides_of_a_fold() -> None:
    sources = np.array([f"s{i % 23}" for i in range(500)])
    folds = split(sources, 5)
    assert all(len(set(folds[sources == s])) == 1 for s in set(sources))
    assert len(set(folds)) == 5


def test_false_alarm_table_falls() -> None:
    table = false_alarm_table(np.random.default_rng(1).normal(0, 1, 1000), np.ones(1000))
    scores, shares = zip(*table, strict=True)
    assert list(scores) == sorted(scores) and list(shares) == sorted(shares, reverse=True)
    assert shares[0] == pytest.approx(0.5, abs=0.02) and shares[-2] == pytest.approx(0.005, abs=0.003)
    assert shares[-1] == 0


def test_every_parent_and_family_weighs_the_same() -> None:
    rows = [row(i, False) for i in (0, 0, 0, 1)]
    weights = balanced_weights(Data(tuple(rows), {}, ({},) * 4))
    assert weights[:3].sum() == pytest.approx(weights[3])


CARD = """\
# A card's own comment stays.
id = "image.x"
[parameters]  # so does this
a = 1.0
[calibration]
raw = [0.0, 1.0]
log10_lr = [0.0, 1.0]
[false_alarms]
"old" = { rate = 0.5, n = 1 }
"""


def test_tables_are_replaced_and_everything_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    path.write_text(CARD)
    body = '[calibration]\nraw = [2.0, 3.0]\n\n[false_alarms]\n"new" = { rate = 0.1, n = 9 }'
    calibrate.replace_tables(path, "calibration|false_alarms", body)
    text = path.read_text()
    assert text.startswith(CARD.split("[calibration]", maxsplit=1)[0].rstrip("\n"))
    read = tomllib.loads(text)
    assert read["calibration"] == {"raw": [2.0, 3.0]} and list(read["false_alarms"]) == ["new"]
    calibrate.replace_tables(path, "calibration|false_alarms", body)
    assert path.read_text() == text, "writing twice must change nothing"


def test_fusion_table_is_what_the_verdict_reads(tmp_path: Path) -> None:
    data = made(1000)
    fitted = fit(data, list(data.raw))
    path = tmp_path / "verdict.toml"
    path.write_text('# head\n[questions.image]\n"a.b" = "c"\n\n[fusion.image]\nold = 1\n\n[fusion.audio]\nkept = 2\n')
    calibrate.write_fusion(path, "image", fitted, "made numbers")
    read = tomllib.loads(path.read_text())
    assert read["fusion"]["audio"] == {"kept": 2} and read["questions"]["image"] == {"a.b": "c"}
    assert path.read_text().startswith("# head\n")
    fusion = Fusion.model_validate(read["fusion"]["image"])
    assert fusion.likely_manipulated == fitted.likely_manipulated
    path.write_text(path.read_text().replace("[fusion.audio]\nkept = 2\n", ""))
    assert fuse("image", [], [], read_rules(path)).label == "inconclusive"


def test_only_the_calibration_half_is_fitted_on(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(
        "path,modality,label,family,parent,parent_source,kind_of_real_media,mask,sha256,half,variant\n"
        "a,image,bona_fide,none,p,s,k,,0,test,clean\n"
    )
    with pytest.raises(ValueError, match="calibration half"):
        list(calibrate.calibrate(tmp_path, tmp_path / "none.csv"))


def test_a_document_keeps_its_words_around_the_tables(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.md"
    begin, end = "<!-- tables: begin -->", "<!-- tables: end -->"
    path.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    put_tables(path, ["new"])
    put_tables(path, ["newer"])
    assert path.read_text() == f"before\n{begin}\n\nnewer\n\n{end}\nafter\n"
    path.write_text("no markers")
    with pytest.raises(LabError, match="has no"):
        put_tables(path, ["x"])


def test_a_share_of_the_budget_moves_the_labels_up() -> None:
    data = made(600)
    whole, third = fit(data, list(data.raw)), fit(data, list(data.raw), 0.3)
    assert third.suspicious > whole.suspicious and third.likely_manipulated >= whole.likely_manipulated
    told = [rate for score, rate in third.false_alarms if score <= third.suspicious]
    assert min(told) <= 0.05 * 0.3


def test_two_sources_are_enough_to_fit() -> None:
    data = made(400)
    rows = tuple(replace(r, parent_source=f"s{i % 2}", parent=f"s{i % 2}/{i % 12}") for i, r in enumerate(data.rows))
    fitted = fit(Data(rows, data.raw, data.results), ["image.good"])
    assert fitted.weights["image.good"] > 0.3
    assert fitted.table.log10_lr[-1] <= np.log10(12) + 1e-3


def test_a_label_needs_a_ratio_as_well() -> None:
    table = ratios.Table((0.0, 1.0, 2.0), (-0.2, 0.0, 2.0))
    assert reaching(table, 1.0) == 1.5 and reaching(table, -0.5) == 0.0 and reaching(table, 3.0) == 3.0


def test_the_faintest_sign_is_not_enough_where_bona_fide_files_show_none() -> None:
    data = made(600)
    rng = np.random.default_rng(9)
    raw = np.where(data.truth & (rng.random(600) < 0.5), rng.uniform(0, 1, 600), 0.0)
    raw[np.flatnonzero(~data.truth)[:3]] = 0.02
    fitted = fit(Data(data.rows, {"image.good": raw}, data.results), ["image.good"])
    faint = fitted.bias + fitted.weights["image.good"] * fitted.calibrations["image.good"](np.array([0.005]))[0]
    assert faint < fitted.likely_manipulated


def test_too_few_bona_fide_files_make_nothing_likely() -> None:
    data = made(120)
    fitted = fit(data, ["image.good"])
    best = fitted.bias + fitted.weights["image.good"] * fitted.calibrations["image.good"].log10_lr[-1]
    assert fitted.n_bona_fide < 99 and fitted.likely_manipulated > best
    assert fitted.suspicious < best


def test_what_a_detector_calls_quiet_never_speaks_for_a_change() -> None:
    table = ratios.hushed(ratios.Table((0.0, 4.0, 8.0), (-0.2, 0.2, 1.8)), 3.0)
    values = table(np.asarray([0.0, 2.9, 3.0, 4.0, 8.0]))
    assert values[0] == pytest.approx(-0.2)
    assert values[1] <= 0.0
    assert values[2:] == pytest.approx([0.1, 0.2, 1.8])
    assert list(table.x) == sorted(table.x) and list(table.log10_lr) == sorted(table.log10_lr)
    nothing = ratios.hushed(ratios.Table((0.0, 1.0), (-0.1, 0.3)), 5.0)
    assert nothing(np.asarray([1.0]))[0] == 0.0
