"""Words, numbers and times as reports say them."""

from __future__ import annotations

import re

import pytest
from report_samples import HOSTILE

from unmask.render import charts, words
from unmask.render.view import show
from unmask.report import Evidence, Reason, Verdict


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (1.0, "hardly"),
        (5, "weak support for “manipulated”"),
        (50, "moderate support"),
        (500, "moderately strong"),
        (5e3, "strong support"),
        (5e4, "very strong"),
        (2e7, "extremely strong"),
        (0.02, "moderate support for “untouched”"),
        (0.0, "extremely strong support for “untouched”"),
    ],
)
def test_verbal_scale(ratio: float, said: str) -> None:
    assert said in words.likelihood(Verdict(label="suspicious", likelihood_ratio=ratio, probability=0.5))


@pytest.mark.parametrize(
    ("rate", "said"), [(1.0, "Nearly all"), (0.05, "Of 100 .* about 5"), (0.01, "100 .* 1 "), (0.0001, "1,000 .* 1 ")]
)
def test_false_alarms(rate: float, said: str) -> None:
    assert re.search(said, words.false_alarms(Verdict(label="suspicious", false_alarm_rate=rate)) or "")


def test_nothing_is_sure() -> None:
    assert words.percent(1.0) == "99.9%" and words.percent(0.0) == "under 1%" and words.percent(0.25) == "25%"


def test_numbers_have_two_digits() -> None:
    assert [words.number(v) for v in (0.25, 3.21, 32.3, 99.6, 1234)] == ["0.25", "3.2", "32", "100", "1,200"]


def test_clock() -> None:
    assert [words.clock(s) for s in (0, 12.34, 59.96, 75.5, 3723)] == [
        "0:00.0",
        "0:12.3",
        "1:00.0",
        "1:15.5",
        "1:02:03",
    ]


def test_values_read_well() -> None:
    assert show({"0,1": 5, "1,0": 6}) == "0,1: 5; 1,0: 6"
    assert show(["a", 1]) == "a, 1" and show(True) == "yes" and show(None) == "none"
    assert show("a\nb") == "a\\nb" and len(show("x" * 99999)) < 2000


def test_a_plot_says_where_it_is_highest() -> None:
    data = {"x": [0, 1, 2], "series": [{"name": "curve", "y": [1, 7, 2]}], "x_label": "time", "y_label": "level"}
    drawn = charts.plot(Evidence(kind="plot", title="Plot", data=data))  # type: ignore[arg-type]
    assert "curve is highest, 7, at 1" in drawn and "time" in drawn and 'points="0.0,' in drawn


def test_names_with_all_controls_are_visible() -> None:
    assert words.visible(HOSTILE).count("\n") == 0
    assert (
        words.visible("a\u00a0b\u200bc\x00") == "a\\xa0b\\u200bc\\x00" and words.visible("Bär 犬.jpg") == "Bär 犬.jpg"
    )


def test_only_what_no_detector_asked_is_not_examined() -> None:
    reasons = (Reason(code="not_examined.x", text="one"), Reason(code="declined.y", text="two"))
    assert words.not_examined(Verdict(label="inconclusive", abstained=reasons)) == ["one"]
