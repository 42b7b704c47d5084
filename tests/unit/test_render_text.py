"""The terminal's table and details."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from report_samples import samples
from rich.console import Console, RenderableType

from unmask.render.text import detail, table
from unmask.report import Report


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    return samples(tmp_path_factory.mktemp("samples"))


def shown(what: RenderableType, width: int = 80, terminal: bool = False, environ: dict[str, str] | None = None) -> str:
    file = io.StringIO()
    Console(file=file, width=width, force_terminal=terminal, _environ=environ or {}, highlight=False).print(what)
    return file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_table_fits_and_has_no_control_characters(reports: dict[str, Report], width: int) -> None:
    text = shown(table(list(reports.values())), width)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert "\x1b" not in text and "\u202e" not in text
    for label in ("▲ Likely manipulated", "◆ Suspicious", "○ No sign found", "? Inconclusive", "■ Declared synthetic"):
        assert label in text


def test_eighty_columns_hold_a_file_in_two_lines(reports: dict[str, Report]) -> None:
    lines = shown(table([reports["likely"]])).splitlines()
    assert lines[0].split() == ["file", "kind", "verdict", "prob.", "LR", "sec."]
    assert lines[1].split() == ["likely.jpg", "image", "▲", "Likely", "manipulated", "97%", "32", "1.2"]
    assert lines[2].strip() == "One region was saved once, the rest twice."
    assert lines[3].strip() == "1 file: 1 likely manipulated"


def test_columns_stand_below_each_other(reports: dict[str, Report]) -> None:
    lines = shown(table(list(reports.values())), 90).splitlines()
    rows = [line for line in lines if any(symbol in line for symbol in "▲◆○■") or "? Inconclusive" in line]
    assert len(rows) == len(reports)
    assert len({next(line.index(s) for s in "▲◆○■?" if f"{s} " in line) for line in rows[:6]}) == 1


def test_summary_counts_and_warns(reports: dict[str, Report]) -> None:
    text = " ".join(shown(table(list(reports.values())), 160).split())
    assert "8 files: 1 declared synthetic, 1 likely manipulated, 1 suspicious, 3 inconclusive, 2 no sign found." in text
    assert "Absence of signs is not proof." in text


def test_hostile_names_stay_in_their_row(reports: dict[str, Report]) -> None:
    text = shown(table([reports["hostile"]]), 200)
    assert "<script>alert(1)</script>\\n\\x1b[31m\\u202egpj" in text and len(text.splitlines()) == 4


def test_colour_only_where_it_is_wanted(reports: dict[str, Report]) -> None:
    many = list(reports.values())
    assert "\x1b[1;31m" in shown(table(many), terminal=True, environ={"TERM": "xterm-256color"})
    assert "\x1b[1;31m" not in shown(table(many), terminal=True, environ={"TERM": "xterm", "NO_COLOR": "1"})
    assert "\x1b" not in shown(detail(reports["likely"]))


def test_names_are_no_markup(reports: dict[str, Report]) -> None:
    subject = reports["quiet"].subject.model_copy(update={"name": "[red]a[/red] [link=x].jpg"})
    report = reports["quiet"].model_copy(update={"subject": subject})
    assert "[red]a[/red] [link=x].jpg" in shown(table([report]), 120)
    assert "[red]a[/red] [link=x].jpg" in shown(detail(report), 120)


def test_detail_says_what_matters(reports: dict[str, Report]) -> None:
    text = " ".join(shown(detail(reports["likely"]), 100).split())
    for said in (
        "▲ Likely manipulated",
        "97%: very likely manipulated",
        "32: moderate support for “manipulated”",
        "Of 1,000 untouched files, about 4",
        "Innocent causes: Messengers recompress",
        "Where the history differs: see the HTML report",
        "Turn: 12 (fit)",
        "Not examined Whether a face was swapped",
        "0123456789abcdef" * 4,
    ):
        assert said in text, said
    order = [text.index(f"image.{n}") for n in ("jpeg", "copy_move", "noise", "ela", "grid")]
    assert order == sorted(order)


def test_detail_lists_times_and_cuts_long_lists(reports: dict[str, Report]) -> None:
    text = shown(detail(reports["sound"]), 120)
    assert "Suspected joins: 0:12.5–0:12.6, 0:40.0–0:44.0" in text
    assert shown(detail(reports["film"]), 300).count("0:5") < 10


@pytest.mark.parametrize("name", ["unsure", "declared", "damaged", "hostile"])
def test_every_sort_has_details(reports: dict[str, Report], name: str) -> None:
    text = shown(detail(reports[name]), 80)
    assert max(map(len, text.splitlines())) <= 80 and "\x1b" not in text


def test_a_thousand_rows_are_quick(reports: dict[str, Report]) -> None:
    start = time.perf_counter()
    shown(table([reports["quiet"]] * 1000))
    assert time.perf_counter() - start < 10


def test_nothing_is_read_but_the_report(reports: dict[str, Report], tmp_path: Path) -> None:
    again = Report.model_validate_json(reports["likely"].to_json())
    assert shown(detail(again)) == shown(detail(reports["likely"]))
