"""Score tables: what is written comes back, what is wrong is told, and the summary is computed by hand here."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from unmask_lab import scores
from unmask_lab.errors import LabError
from unmask_lab.evaluate import metrics
from unmask_lab.scores import Score


def table(n: int = 40, gap: float = 1.5, seed: int = 1) -> list[Score]:
    """Four sources; the first two give both classes, the third only bona fide, the fourth only synthetic files."""
    rng = np.random.default_rng(seed)
    rows = []
    for source, labels in (("a", (0, 1)), ("b", (0, 1)), ("c", (0,)), ("d", (1,))):
        for label in labels:
            for i in range(n):
                family = ("gan" if i % 2 else "diffusion") if label else ""
                raw = float(rng.normal(gap * label, 1))
                kind = "" if label else "portrait"
                rows.append(Score(f"{source}/{label}/{i}", "image.synthetic", label, source, raw, "g", family, kind))
    return rows


def test_a_table_comes_back_as_it_was_written(tmp_path: Path) -> None:
    rows = [*table(3), Score("x", "q", 0, "a", math.nan, status="drift.unlike_training", distance=3.5, fold=2)]
    scores.write(tmp_path / "t.csv", rows)
    back = scores.read(tmp_path / "t.csv")
    assert [r.path for r in back] == [r.path for r in rows]
    assert back[0].raw == pytest.approx(rows[0].raw, rel=1e-6)
    assert math.isnan(back[-1].raw) and back[-1].distance == 3.5 and back[-1].fold == 2
    scores.append(tmp_path / "t.csv", rows[:1])
    assert len(scores.read(tmp_path / "t.csv")) == len(rows) + 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "missing"),
        ("path,label,source\na,1,s\n", "raw"),
        ("path,label,source,raw\n", "no rows"),
        ("path,label,source,raw\na,1,s,nan\n", "not a number"),
        ("path,label,source,raw\na,1,s,\n", "not a number"),
        ("path,label,source,raw\na,1,s,high\n", "not a number"),
        ("path,label,source,raw\na,fake,s,1\n", "label"),
        ("path,label,source,raw\na,1,,1\n", "source"),
    ],
)
def test_bad_tables_are_refused_with_the_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(LabError, match=says):
        scores.read(tmp_path / "t.csv")


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no such score table"):
        scores.read(tmp_path / "none.csv")


def test_one_class_is_no_table_to_judge_by() -> None:
    with pytest.raises(LabError, match="synthetic or manipulated"):
        list(scores.summary([r for r in table() if r.label == 0]))


def test_measures_count_sources_and_pairs_within_them() -> None:
    rows = table()
    found = scores.measure(rows, rounds=50)
    assert (found.n_bona_fide, found.n_synthetic, found.sources, found.within_sources) == (120, 120, 4, 2)
    c = scores.columns(rows)
    by_hand = np.mean([metrics.auc(c.raw[c.source == s], c.truth[c.source == s]) for s in "ab"])
    assert found.within.value == pytest.approx(by_hand)
    assert found.auc.low < found.auc.value < found.auc.high
    text = "\n".join(scores.summary(rows, rounds=20))
    assert "n 120 bona fide, 120 synthetic" in text and "gan: AUC" in text


def test_families_are_each_set_against_all_bona_fide_files() -> None:
    rows = [Score("r", "q", 0, "a", 0.0)] * 10 + [Score("f", "q", 1, "a", 1.0, family="gan")] * 5
    rows += [Score("g", "q", 1, "a", -1.0, family="tts")] * 5 + [Score("h", "q", 1, "a", 0.0, family="few")]
    assert scores.by_family(rows) == {"gan": (5, 1.0), "tts": (5, 0.0)}


def test_roc_and_det_pass_through_the_counted_points() -> None:
    s, t = np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, True, False, False])
    alarms, found = metrics.roc(s, t)
    assert alarms.tolist() == [0, 0, 0.5, 1] and found.tolist() == [0, 0.5, 1, 1]
    assert metrics.det(s, t)[1].tolist() == [1, 0.5, 0, 0]
    assert np.trapezoid(found, alarms) == pytest.approx(metrics.auc(s, t))
    assert metrics.probit(np.array([0.5]))[0] == pytest.approx(0)
