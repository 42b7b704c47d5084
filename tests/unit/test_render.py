"""Renderers: they read the report only, escape everything, and say what the design wants said."""

from __future__ import annotations

import html.parser
import re
from pathlib import Path

import pytest
from report_samples import HOSTILE, samples
from rich.console import Console

from unmask import UnmaskError
from unmask.render import words
from unmask.render.html import file_name, index_page, report_page, write_index, write_report
from unmask.render.svg import clock
from unmask.render.text import detail, table
from unmask.report import Report, Verdict

VOID = {"meta", "input", "br", "link", "img", "hr"}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    return samples(tmp_path_factory.mktemp("samples"))


class Balance(html.parser.HTMLParser):
    """Counts elements that are opened and closed, and collects what the page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [v or "" for k, v in attrs if k in ("href", "src", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [v or "" for k, v in attrs if k in ("href", "src", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()


def parsed(page: str) -> Balance:
    balance = Balance()
    balance.feed(page)
    assert balance.open == []
    return balance


@pytest.mark.parametrize("name", ["likely", "quiet", "unsure", "declared", "sound", "film", "hostile"])
def test_pages_are_whole_and_load_nothing(reports: dict[str, Report], name: str) -> None:
    found = parsed(report_page(reports[name]))
    assert all(a.startswith(("data:image/", "#", "index.html")) for a in found.addresses)
    assert "style" not in found.attributes and not [a for a in found.attributes if a.startswith("on")]


def test_policy_allows_only_our_script_and_style(reports: dict[str, Report]) -> None:
    page = report_page(reports["likely"])
    (policy,) = re.findall(r'Security-Policy" content="([^"]+)"', page)
    assert "default-src &#39;none&#39;" in policy and "unsafe" not in policy
    assert page.count("<script") == 1


def test_hostile_names_are_shown_and_harmless(reports: dict[str, Report]) -> None:
    page = report_page(reports["hostile"])
    assert "<script>alert" not in page and "\x1b" not in page and "\u202e" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\n\\x1b[31m\\u202egpj" in page
    assert "<script>alert" not in index_page(list(reports.values()))
    name = file_name(reports["hostile"])
    assert re.fullmatch(r"[A-Za-z0-9._-]+\.html", name) and not name.startswith(".")


def test_metadata_are_escaped(reports: dict[str, Report]) -> None:
    page = report_page(reports["declared"])
    assert "<b>GIMP" not in page and "&lt;b&gt;GIMP" in page
    for text in ("Signer", "c2pa.created", "trainedAlgorithmicMedia", "in.jpg"):
        assert text in page


def test_a_page_says_what_matters(reports: dict[str, Report]) -> None:
    page = report_page(reports["likely"])
    for text in (
        "This picture was likely changed",
        "97% at even odds",
        "moderate support",
        "at most 4 in 1,000",
        "Whether a face was swapped was not examined.",
        "Messengers recompress",
        "tells another story",
        "strongest at the top right",
        "too small",
        "sha256sum",
        "source",
        "copy",
    ):
        assert text in page, text
    assert "no proof" in report_page(reports["quiet"]) or "not proof" in report_page(reports["quiet"])
    assert page.index("This picture was likely changed") < page.index("Signs of change") < page.index("No answer")


def test_times_are_text_too(reports: dict[str, Report]) -> None:
    page = report_page(reports["sound"])
    assert "0:12.5–0:12.6" in page and "0:40.0–0:44.0" in page and "noise floor" in page


def test_pages_without_a_preview_show_the_maps_alone(reports: dict[str, Report]) -> None:
    bare = reports["likely"].model_copy(
        update={"subject": reports["likely"].subject.model_copy(update={"preview": None})}
    )
    page = report_page(bare)
    parsed(page)
    assert "no-picture" in page and "data:image/png" in page and 'href="#picture"' not in page


def test_index_lists_all_and_links(reports: dict[str, Report], tmp_path: Path) -> None:
    for report in reports.values():
        write_report(report, tmp_path)
    index = write_index(list(reports.values()), tmp_path)
    found = parsed(index.read_text("utf-8"))
    links = [a for a in found.addresses if a.endswith(".html")]
    assert len(links) == len(reports)
    assert all((tmp_path / link).is_file() for link in links)
    assert not list(tmp_path.glob("*.part"))


def test_index_of_a_thousand(reports: dict[str, Report]) -> None:
    many = [reports["quiet"]] * 1000
    assert index_page(many).count("<tr data-label") == 1000


def test_same_name_and_content_in_two_places_do_not_collide(reports: dict[str, Report]) -> None:
    names = {file_name(r) for r in reports.values()}
    assert len(names) == len(reports)


def test_writing_where_one_cannot_is_an_error_with_advice(reports: dict[str, Report], tmp_path: Path) -> None:
    with pytest.raises(UnmaskError, match="Cannot write"):
        write_report(reports["quiet"], tmp_path / "missing")


def test_broken_evidence_does_not_break_the_page(reports: dict[str, Report]) -> None:
    finding = reports["likely"].findings[0]
    broken = finding.model_copy(
        update={
            "evidence": (finding.evidence[0].model_copy(update={"data": {"png": "no png", "low": "", "high": ""}}),)
        }
    )
    parsed(report_page(reports["likely"].model_copy(update={"findings": (broken,)})))


@pytest.mark.parametrize("width", [80, 120])
def test_table_fits_and_has_no_control_characters(reports: dict[str, Report], width: int) -> None:
    console = Console(width=width, record=True, force_terminal=False)
    with console.capture() as captured:
        console.print(table(list(reports.values())))
    text = captured.get()
    assert max(len(line) for line in text.splitlines()) <= width
    assert "\x1b" not in text and "\u202e" not in text
    for label in ("▲ Likely manipulated", "○ No sign found", "■ Declared synthetic"):
        assert label in text


def test_detail_names_findings_and_what_was_not_examined(reports: dict[str, Report]) -> None:
    console = Console(width=100, record=True)
    with console.capture() as captured:
        console.print(detail(reports["sound"]))
    text = captured.get()
    assert "audio.splice" in text and "12.50-12.60 s" in text and "Not examined" in text
    assert words.visible(HOSTILE).count("\n") == 0


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(1.0, "hardly"), (5, "weak"), (50, "moderate"), (5e3, "strong"), (2e7, "extremely"), (0.02, "bona fide")],
)
def test_verbal_scale(ratio: float, text: str) -> None:
    assert text in words.likelihood(Verdict(label="suspicious", likelihood_ratio=ratio, probability=0.5))


def test_clock() -> None:
    assert [clock(s) for s in (0, 12.34, 75.5, 3723)] == ["0:00.0", "0:12.3", "1:15.5", "1:02:03"]
