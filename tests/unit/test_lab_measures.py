"""Measures against values worked out by hand, and tables that a broken measure would change."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from unmask.card import find_cards
from unmask.report import Box, Evidence
from unmask_lab.evaluate import metrics
from unmask_lab.evaluate.pixels import agreement, map_of
from unmask_lab.forge.forgery import CHANGED, SOURCE

TRUTH = np.array([False] * 4 + [True] * 4)
SCORES = np.array([0.0, 1.0, 2.0, 5.0, 3.0, 4.0, 6.0, 7.0])


def test_auc_by_counting_pairs() -> None:
    pairs = [(p > n) + 0.5 * (p == n) for p in SCORES[TRUTH] for n in SCORES[~TRUTH]]
    assert metrics.auc(SCORES, TRUTH) == pytest.approx(np.mean(pairs)) == pytest.approx(14 / 16)
    assert metrics.auc(np.zeros(8), TRUTH) == 0.5
    assert np.isnan(metrics.auc(SCORES, np.ones(8, bool)))


def test_detection_rate_respects_the_false_alarms() -> None:
    assert metrics.tpr_at(SCORES, TRUTH, 0.0) == 0.5
    assert metrics.tpr_at(SCORES, TRUTH, 0.25) == 1.0
    assert metrics.tpr_at(np.zeros(8), TRUTH, 0.05) == 0.0, "equal scores may not pass a threshold they share"


def test_equal_error_rate() -> None:
    assert metrics.eer(SCORES, TRUTH) == pytest.approx(0.25)
    assert metrics.eer(np.where(TRUTH, 1.0, 0.0), TRUTH) == 0.0


def test_calibration_error_is_zero_for_honest_and_large_for_boastful_numbers() -> None:
    rng = np.random.default_rng(1)
    p = rng.uniform(0, 1, 20_000)
    truth = rng.uniform(0, 1, 20_000) < p
    assert metrics.ece(p, truth) < 0.02
    assert metrics.ece(np.where(p > 0.5, 0.99, 0.01), truth) > 0.15


def test_calibration_error_ignores_the_size_of_the_classes() -> None:
    truth = np.array([True] * 10 + [False] * 1000)
    assert metrics.ece(np.full(1010, 0.5), truth) == pytest.approx(0.0, abs=1e-9)


def test_bootstrap_draws_parents_not_files() -> None:
    rng = np.random.default_rng(2)
    value = np.repeat(rng.normal(0, 1, 12), 50)
    parents = np.repeat(np.array([f"p{i}" for i in range(12)]), 50)
    wide = metrics.bootstrap(lambda i: float(value[i].mean()), parents)
    narrow = metrics.bootstrap(lambda i: float(value[i].mean()), np.arange(600).astype(str))
    assert wide.low < wide.value < wide.high
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)
    assert str(metrics.Interval(0.714, 0.66, 1.0)) == ".71 [.66, 1.0]"


def test_pixels_against_a_known_map() -> None:
    mask = np.zeros((100, 100), np.uint8)
    mask[:50] = CHANGED
    exact = agreement((mask > 0).astype(np.float32), mask)
    assert exact.f1_best == exact.f1_fixed == exact.auc == 1.0
    inverse = agreement((mask == 0).astype(np.float32), mask)
    assert inverse.auc == 0.0 and inverse.f1_fixed == 0.0
    faint = agreement((mask > 0).astype(np.float32) * 0.4, mask)
    assert faint.f1_best == 1.0 and faint.f1_fixed == 0.0
    half = np.zeros((100, 100), np.float32)
    half[:25] = 1
    assert agreement(half, mask).f1_fixed == pytest.approx(2 * 0.5 / 1.5, abs=0.01)


def test_the_source_of_a_copy_counts_neither_way() -> None:
    mask = np.zeros((100, 100), np.uint8)
    mask[:20] = CHANGED
    mask[60:80] = SOURCE
    both = (mask > 0).astype(np.float32)
    assert agreement(both, mask).f1_fixed == 1.0
    nothing = agreement(np.zeros((100, 100), np.float32), np.zeros((100, 100), np.uint8))
    assert np.isnan(nothing.auc)


def test_maps_are_read_from_heatmaps_and_boxes() -> None:
    card = find_cards()[0]
    buffer = io.BytesIO()
    Image.fromarray(np.full((3, 4), 255, np.uint8)).save(buffer, "PNG")
    png = base64.b64encode(buffer.getvalue()).decode()
    heat = Evidence(kind="heatmap", title="t", data={"png": png, "width": 4, "height": 3, "low": "", "high": ""})
    boxes = {"boxes": [{"x": 400, "y": 0, "w": 400, "h": 300, "label": ""}]}
    box = Evidence(kind="boxes", title="t", data=boxes, region=Box(x=0, y=0, w=1, h=1))
    found = map_of(card.ok("a.b", "t", None, [heat]), (4, 3))
    assert found is not None and found.shape == (3, 4) and (found == 1).all()
    drawn = map_of(card.ok("a.b", "t", None, [box]), (800, 600))
    assert drawn is not None and drawn[:, : drawn.shape[1] // 2].max() == 0
    assert drawn[: drawn.shape[0] // 2, drawn.shape[1] // 2 :].min() == 1
    assert map_of(card.ok("a.b", "t"), (4, 3)) is None
