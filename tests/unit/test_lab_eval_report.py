"""The report of an evaluation: its figures are the tables' own, and the page stands alone."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from unmask_lab import scores
from unmask_lab.errors import LabError
from unmask_lab.evaluate import learned_page, learned_report, metrics, svg
from unmask_lab.evaluate.report import put_tables
from unmask_lab.launder import ladder
from unmask_lab.scores import Score


def rows(seed: int = 1) -> list[Score]:
    """Two detectors and a baseline, 8 sources in 4 folds; the generator ``lone`` is in one fold only and is missed."""
    rng = np.random.default_rng(seed)
    out = []
    for s in range(8):
        for i in range(12):
            label = i % 2
            generator = "" if not label else "lone" if s == 0 else f"g{i % 3}"
            kind = "" if label else ("portrait" if s < 4 else "snapshot")
            base = Score(f"{s}/{i}", "image.synthetic", label, f"s{s}", 0.0, generator, "gan" if label else "", kind)
            base = replace(base, fold=s % 4, seconds=0.25)
            strength = 0.0 if generator == "lone" else 2.0
            for variant in ("clean", "laundered:1", "laundered:2", "jpeg95", "jpeg40"):
                weak = 0.5 if variant == "jpeg40" else 1.0
                raw = float(rng.normal(label * strength * weak, 1))
                out.append(replace(base, variant=variant, raw=raw, detector="ours"))
                out.append(replace(base, variant=variant, raw=float(rng.normal()), detector="theirs", fold=-1))
            out.append(replace(base, raw=float(rng.normal()), detector="baseline.bytes", seconds=float("nan")))
    return [*out, replace(out[0], path="odd", raw=float("nan"), status="declined:small")]


@pytest.fixture
def study(tmp_path: Path) -> learned_report.Study:
    scores.write(tmp_path / "t.csv", rows())
    return learned_report.study([tmp_path / "t.csv"], "Was <it> generated?", rounds=20)


def test_the_headline_counts_generators_that_no_other_fold_has(study: learned_report.Study) -> None:
    ours, theirs = study.serious
    h = learned_report.figures(ours, 20)
    assert h.unseen_generators == 1 and h.unseen.value < 0.65 < h.laundered.value
    assert learned_report.figures(theirs, 20).unseen_generators == 0, "nobody knows what it was trained on"
    assert h.seconds == 0.25 and 0 < h.declined < 0.01
    c = scores.columns([r for r in rows() if r.detector == "ours" and r.variant.startswith("laundered")])
    assert h.laundered.value == pytest.approx(metrics.auc(c.raw, c.truth), abs=1e-6)


def test_cost_may_come_from_another_run_of_the_same_detector(tmp_path: Path) -> None:
    scores.write(tmp_path / "t.csv", rows())
    timed = [replace(r, seconds=1.5) for r in rows() if r.detector == "ours" and r.variant == "clean"]
    scores.write(tmp_path / "cost.csv", timed)
    found = learned_report.study([tmp_path / "t.csv"], rounds=0, cost=[tmp_path / "cost.csv"])
    ours, theirs = found.serious
    assert learned_report.figures(ours, 0).seconds == 1.5, "the seconds are those of the cost table"
    assert learned_report.figures(theirs, 0).seconds == 0.25
    assert len(ours.rows) == len([r for r in rows() if r.detector == "ours" and not r.variant.startswith("jpeg")])


def test_every_table_is_there_with_its_numbers(study: learned_report.Study) -> None:
    text = "\n\n".join(learned_report.blocks(study))
    assert "48 bona fide and 48 other files of 8 sources" in text
    for words in (
        "unseen generators",
        "By copy",
        "By family",
        "By generator",
        "Within sources",
        "by kind of real media",
        "ECE",
    ):
        assert words in text, words
    assert "| baseline.bytes |" in text and "portrait" in text and "| lone |" in text
    for line in text.splitlines():
        if line.startswith("|---"):
            columns = line.count("|")
        elif line.startswith("| "):
            assert line.count("|") >= 3
    assert columns > 2


def test_a_calibration_that_fits_no_copy_is_shown_by_copy() -> None:
    many = (
        replace(r, path=f"{seed}/{r.path}", source=f"{seed}/{r.source}") for seed in range(1, 9) for r in rows(seed)
    )
    listed = [r for r in many if r.detector == "ours" and r.variant in {"clean", "laundered:1"} and r.status == "ok"]
    # Both classes of the laundered copies score higher by 4, so one calibration is wrong for either copy.
    moved = [replace(r, raw=r.raw + 4) if r.variant == "laundered:1" else r for r in listed]
    even, uneven = (
        learned_report.errors_by_copy(learned_report.Judged("ours", tuple(each))) for each in (listed, moved)
    )
    assert set(even) == {"clean", "laundered:1"}
    for variant, (one, own) in uneven.items():
        assert one > own + 0.1, variant
        assert own == pytest.approx(even[variant][1], abs=0.02), "a shift of all scores changes nothing"


def test_robustness_compares_the_same_files_clean_and_worn(study: learned_report.Study) -> None:
    points = dict(learned_report.curves(study)["JPEG quality"]["ours"])
    assert list(points) == ["clean", "jpeg95", "jpeg40"]
    assert points["jpeg40"] < points["jpeg95"]
    assert set(ladder.curves("image")) > set(learned_report.curves(study))


def test_alarms_by_kind_share_one_level(study: learned_report.Study) -> None:
    found = learned_report.alarms(study.serious[0])
    assert {a.kind for a in found} == {"portrait", "snapshot"} and all(a.sources == 4 for a in found)
    assert np.mean([a.shares[0] for a in found]) <= 0.05


def test_the_page_stands_alone(study: learned_report.Study, tmp_path: Path) -> None:
    learned_page.write(tmp_path / "e.html", study)
    page = (tmp_path / "e.html").read_text()
    assert "Was &lt;it&gt; generated?" in page and "<script" not in page
    assert not re.search(r'(src|href)="(?!#)', page) and "default-src &#39;none&#39;" in page
    assert page.count('<svg class="plot"') >= 6 and page.count('aria-labelledby="table-') >= 14
    assert page.count("<table") == page.count("</table>") and "nan" not in page
    assert all("aria-label" in tag for tag in re.findall(r'<svg class="plot"[^>]*>', page))


def test_curves_are_drawn_where_they_belong() -> None:
    line = svg.Line("a", [0, 0.5, 1], [0, 1, 1])
    drawn = str(svg.chart("t", svg.shares("x"), svg.shares("y"), [line], "Say.", diagonal=True))
    height = svg.BOTTOM - svg.TOP
    assert f'points="0.0,{height:.1f} 500.0,0.0 1000.0,0.0"' in drawn
    assert svg.chart("t", svg.shares("x"), svg.shares("y"), [svg.Line("a", [0], [0])], "") == ""
    axis = svg.probits("p", lambda rate: float(metrics.probit(np.asarray([rate]))[0]))
    assert 0 < axis(0.02) < axis(0.4) < axis(0.8) < axis(0.99) == 1


def test_bad_tables_and_documents_are_told(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="No score table"):
        learned_report.study([])
    scores.write(tmp_path / "one.csv", [r for r in rows() if r.label])
    with pytest.raises(LabError, match="both classes"):
        learned_report.study([tmp_path / "one.csv"])
    with pytest.raises(LabError, match="cannot be read"):
        put_tables(tmp_path / "none.md", ["x"], "voices")
    (tmp_path / "d.md").write_text("a\n<!-- voices: begin -->\nold\n<!-- voices: end -->\nb\n")
    put_tables(tmp_path / "d.md", ["new"], "voices")
    assert (tmp_path / "d.md").read_text() == "a\n<!-- voices: begin -->\n\nnew\n\n<!-- voices: end -->\nb\n"
