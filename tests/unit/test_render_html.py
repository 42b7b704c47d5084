"""The HTML report and its index: they read the report only, escape everything, and say what they ought to say."""

from __future__ import annotations

import html.parser
import json
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from report_samples import HOSTILE, samples

from unmask import UnmaskError
from unmask.render import charts, words
from unmask.render.html import file_name, index_page, report_page, write_index, write_report
from unmask.render.view import View, show
from unmask.report import Evidence, Reason, Report, Verdict

VOID = {"meta", "input", "br", "link", "img", "hr"}
NAMES = ["likely", "quiet", "unsure", "declared", "sound", "film", "damaged", "hostile"]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    return samples(tmp_path_factory.mktemp("samples"))


class Page(html.parser.HTMLParser):
    """A page's elements, checked for balance, with what it would load and what people read."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.attributes: set[str] = set()
        self.ids: list[str] = []
        self.headings: list[int] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [v or "" for k, v in attrs if k in ("href", "src", "xlink:href")]
        self.ids += [v or "" for k, v in attrs if k == "id"]

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID or (self.open and self.open[-1] != tag and tag in ("rect", "line")):
            return
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.text += f" {data}"


def changed(report: Report, **update: Any) -> Report:
    return Report.model_validate(report.model_dump() | update)


def with_evidence(report: Report, shown: Iterable[Evidence]) -> Report:
    first = report.findings[0].model_copy(update={"evidence": tuple(shown)})
    return report.model_copy(update={"findings": (first, *report.findings[1:])})


# The page as such ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_pages_are_whole_and_load_nothing(reports: dict[str, Report], name: str) -> None:
    page = Page(report_page(reports[name]))
    assert all(a.startswith(("data:image/", "#", "index.html")) for a in page.addresses)
    assert {a[1:] for a in page.addresses if a.startswith("#")} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert "style" not in page.attributes and not [a for a in page.attributes if a.startswith("on")]
    assert page.headings[0] == 1 and page.headings.count(1) == 1
    steps = zip(page.headings, page.headings[1:], strict=False)
    assert all(after <= before + 1 for before, after in steps)


@pytest.mark.parametrize("name", NAMES)
def test_no_word_of_certainty(reports: dict[str, Report], name: str) -> None:
    text = Page(report_page(reports[name])).text.lower()
    assert not re.search(r"\b(authentic|real|fake|genuine|deepfake)\b", text)
    assert "absence of signs is not proof" in text


def test_policy_allows_only_our_script_and_style(reports: dict[str, Report]) -> None:
    page = report_page(reports["likely"])
    (policy,) = re.findall(r'Security-Policy" content="([^"]+)"', page)
    assert "default-src &#39;none&#39;" in policy and "unsafe" not in policy and "http" not in policy
    assert page.count("<script") == 1 and page.count("<style") == 1


def test_hostile_names_are_shown_and_harmless(reports: dict[str, Report]) -> None:
    page = report_page(reports["hostile"])
    assert "<script>alert" not in page and "\x1b" not in page and "\u202e" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\n\\x1b[31m\\u202egpj" in page
    assert "{{ 7*7 }}" in page and "49.jpg" not in page
    assert "<script>alert" not in index_page(list(reports.values()))
    name = file_name(reports["hostile"])
    assert re.fullmatch(r"[A-Za-z0-9._-]+\.html", name) and not name.startswith(".")


@pytest.mark.parametrize("name", ["..", "../../etc/passwd", "con", "a" * 4000, "…", "", ".hidden", "-rf"])
def test_file_names_stay_in_the_folder(reports: dict[str, Report], name: str, tmp_path: Path) -> None:
    report = reports["quiet"]
    path = write_report(
        report.model_copy(update={"subject": report.subject.model_copy(update={"name": name})}), tmp_path
    )
    assert path.parent == tmp_path and path.is_file() and len(path.name) < 100 and path.name[0] not in ".-"


def test_every_text_of_a_report_is_escaped(reports: dict[str, Report]) -> None:
    """Whatever a stranger's JSON says, no markup of his reaches the page."""
    tree = json.loads(reports["declared"].to_json()) | {"findings": json.loads(reports["likely"].to_json())["findings"]}
    keep = {"schema_version", "kind", "status", "label", "png", "preview", "sha256", "state", "manifest"}

    def poison(node: Any, key: str = "") -> Any:
        if isinstance(node, dict):
            poisoned = {k: poison(v, k) for k, v in node.items()}
            if key == "verdict" or ("probability" in node and "abstained" in node):
                poisoned["label"] = node["label"]
            return poisoned
        if isinstance(node, list):
            return [poison(v, key) for v in node]
        return f'{node}"><img src=x>' if isinstance(node, str) and key not in keep else node

    tree = poison(tree)
    tree["findings"][1]["evidence"][0]["data"]["boxes"][0]["label"] = "<img src=x>"
    page = report_page(Report.model_validate(tree))
    assert "<img" not in page
    Page(page)


# What it says ----------------------------------------------------------------------------------------------


def test_a_page_says_what_matters(reports: dict[str, Report]) -> None:
    text = report_page(reports["likely"])
    for said in (
        "This picture was likely changed",
        "<strong>97%</strong> very likely manipulated",
        "32: moderate support for “manipulated”",
        "32 times as likely in a manipulated file",
        "Of 1,000 untouched files, about 4 reach a score this high.",
        "Whether a face was swapped was not examined.",
        "Messengers recompress",
        "tells another story",
        "Where the history differs: strongest at the top right",
        "2 places marked: source at the top left; copy, turned by 12 degrees at the bottom right",
        "too small",
        "sha256sum --check",
        "unmask scan FILE",
        "face 1",
    ):
        assert said in text, said


def test_findings_come_in_order_of_weight(reports: dict[str, Report]) -> None:
    page = report_page(reports["likely"])
    places = [page.index(f"<h3>{title}") for title in ("Compression history", "Copied parts")]
    places += [page.index(f"<summary><h3>{t}") for t in ("Noise of the regions", "Error level picture", "JPEG grid")]
    places.append(page.index("Does not apply"))
    assert places == sorted(places)


def test_no_sign_says_that_it_is_no_proof(reports: dict[str, Report]) -> None:
    page = report_page(reports["quiet"])
    assert "No sign of change was found in this picture." in page and "Absence of signs is not proof." in page
    assert "unlikely to be manipulated, on what was examined" in page and "weak support for “untouched”" in page


def test_what_decided_without_a_score_comes_first(reports: dict[str, Report]) -> None:
    view = View(reports["declared"])
    assert [f.detector for f in view.signs] == ["provenance.c2pa"]
    assert view.grade(view.signs[0]) == "decisive"
    assert "says itself that a machine made it" in report_page(reports["declared"])


def test_single_signs_below_a_verdict_of_no_sign_are_called_so(reports: dict[str, Report]) -> None:
    quiet = reports["likely"].model_copy(update={"verdict": reports["quiet"].verdict})
    page = report_page(quiet)
    assert "together too weak for the verdict" in page and "What speaks for the verdict" not in page


def test_a_damaged_file_is_said_to_be_so(reports: dict[str, Report]) -> None:
    text = Page(report_page(reports["damaged"])).text
    assert "This file could not be examined." in text and "the file is cut off" in text
    assert "Neither “manipulated” nor “untouched” follows" in text and "could not be read" in text


def test_times_are_text_and_lanes(reports: dict[str, Report]) -> None:
    page = report_page(reports["sound"])
    assert "0:12.5–0:12.6" in page and "0:40.0–0:44.0" in page and "noise floor" in page
    assert page.count('class="stretch"') == 2
    film = report_page(reports["film"])
    assert film.count('class="stretch"') == 61 and "and 20 more" in film
    # What has no length is drawn all the same.
    assert not re.search(r'width="0\.00%"[^>]*class="stretch"', film)


def test_the_chain_of_origin(reports: dict[str, Report]) -> None:
    page = report_page(reports["declared"])
    assert "<b>GIMP" not in page and "&lt;b&gt;GIMP" in page
    for said in (
        "Signed by Signer, Issuer",
        "Made (c2pa.created), with Gen, source: trainedAlgorithmicMedia",
        "Colours or brightness adjusted (c2pa.color_adjustments), contrast",
        "org.example.other",
        "carries no credential of its own",
        "its credential is shown above",
        "valid, signer unknown",
        "time stamp by Clock",
        "TrustMark",
    ):
        assert said in page, said


def test_a_chain_that_names_itself_a_million_times_ends(reports: dict[str, Report]) -> None:
    items = [{"title": "x", "manifest": f"m{i}"} for i in range(24)]
    manifests = [{"label": f"m{i}", "ingredients": items * 2} for i in range(24)]
    origin = {"c2pa": {"present": True, "state": "valid", "manifests": manifests}}
    page = report_page(changed(reports["declared"], provenance=origin))
    assert len(page) < 1_000_000
    Page(page)


def test_the_annex_holds_the_json_without_pictures(reports: dict[str, Report]) -> None:
    raw = View(reports["likely"]).annex()
    found = json.loads(raw)
    assert found["findings"][0]["score"] == 0.97 and found["subject"]["sha256"] == reports["likely"].subject.sha256
    assert "iVBOR" not in raw and "/9j/" not in raw


def test_pages_without_a_preview_show_the_maps_alone(reports: dict[str, Report]) -> None:
    subject = reports["likely"].subject.model_copy(update={"preview": None})
    page = report_page(reports["likely"].model_copy(update={"subject": subject}))
    Page(page)
    assert "no-picture" in page and "data:image/png" in page and 'href="#picture"' not in page


@pytest.mark.parametrize("name", ["sound", "film"])
def test_maps_of_films_and_sounds_stand_in_their_finding(reports: dict[str, Report], name: str) -> None:
    page = report_page(with_evidence(reports[name], reports["likely"].findings[0].evidence[:1]))
    Page(page)
    assert page.count('<use href="#layer-') == 1 and 'id="stage"' not in page and "no-picture" in page
    assert f'viewBox="0 0 {"64 40" if name == "sound" else "640 400"}"' in page


def test_a_map_stands_once_in_a_page(reports: dict[str, Report]) -> None:
    page = report_page(reports["likely"])
    assert page.count("data:image/png") == 3 and page.count("data:image/jpeg") == 1


# What is broken or foreign ---------------------------------------------------------------------------------

BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("heatmap", {"png": "no png", "low": "", "high": ""}),
    ("heatmap", {"png": "aGVsbG8=", "low": 1}),
    ("heatmap", {}),
    ("boxes", {"boxes": [{"x": "a", "label": 3}, 7, None], "lines": [[1, 2], "x", [1, 2, 3, "4"]]}),
    ("boxes", {"boxes": "none"}),
    ("segments", {"segments": [{"start": None}, {"start": 9, "end": 2, "label": ["x"]}, 5], "count": "many"}),
    ("plot", {"x": [1], "series": []}),
    ("plot", {"x": [1, 1, 1], "series": [{"name": None, "y": [2, 2, 2]}], "marks": [{"x": "?"}]}),
    ("plot", {"x": [0, 1, 2], "series": [{"y": [1e300, -1e300, None]}, {"y": [1]}]}),
    ("fact", {}),
    ("fact", {"value": {"a": [1, {"b": None}]}}),
]


@pytest.mark.parametrize(("kind", "data"), BROKEN)
@pytest.mark.parametrize("name", ["likely", "sound"])
def test_broken_evidence_does_not_break_the_page(
    reports: dict[str, Report], name: str, kind: str, data: dict[str, Any]
) -> None:
    shown = [Evidence(kind=kind, title="Odd", data=data), Evidence(kind=kind, title="None")]  # type: ignore[arg-type]
    Page(report_page(with_evidence(reports[name], shown)))


def test_a_map_that_would_fill_the_memory_is_left_out(reports: dict[str, Report]) -> None:
    import base64
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.new("L", (9000, 9000)).save(buffer, "PNG")
    bomb = Evidence(kind="heatmap", title="Bomb", data={"png": base64.b64encode(buffer.getvalue()).decode()})
    assert "layer-image-jpeg-1" not in report_page(with_evidence(reports["likely"], [bomb]))


@pytest.mark.parametrize("preview", ["", "bm8=", '"><script>', "%%%"])
def test_a_preview_that_is_none_is_left_out(reports: dict[str, Report], preview: str) -> None:
    subject = reports["quiet"].subject.model_copy(update={"preview": preview})
    page = report_page(reports["quiet"].model_copy(update={"subject": subject}))
    assert "data:image/jpeg" not in page
    Page(page)


# The index and the disk ------------------------------------------------------------------------------------


def test_index_lists_all_and_links(reports: dict[str, Report], tmp_path: Path) -> None:
    for report in reports.values():
        write_report(report, tmp_path)
    page = Page(write_index(list(reports.values()), tmp_path).read_text("utf-8"))
    links = [a for a in page.addresses if a.endswith(".html")]
    assert len(links) == len(reports) == len(set(links))
    assert all((tmp_path / link).is_file() for link in links)
    assert not list(tmp_path.glob("*.part")) and not list(tmp_path.glob(".*"))


def test_index_puts_the_gravest_first_and_counts(reports: dict[str, Report]) -> None:
    page = index_page(list(reports.values()))
    places = [page.index(f">{name}.") for name in ("declared", "likely", "sound", "damaged", "film")]
    assert places == sorted(places)
    assert "Inconclusive <strong>3</strong>" in page and "8 files examined" in page


def test_index_of_a_thousand(reports: dict[str, Report]) -> None:
    start = time.perf_counter()
    page = index_page([reports["quiet"]] * 1000)
    assert page.count("data-label=") == 1000
    assert time.perf_counter() - start < 5


def test_index_of_none() -> None:
    assert "0 files examined" in Page(index_page([])).text


def test_writing_where_one_cannot_is_an_error_with_advice(reports: dict[str, Report], tmp_path: Path) -> None:
    with pytest.raises(UnmaskError, match=r"Cannot write .* Free some space or name another folder"):
        write_report(reports["quiet"], tmp_path / "missing")


def test_a_full_disk_leaves_the_old_page_whole(tmp_path: Path) -> None:
    """A limit on the file size stands for a full disk: the system refuses in the middle of the page."""
    program = textwrap.dedent(
        """
        import resource, sys, tempfile
        from pathlib import Path
        sys.path.insert(0, sys.argv[2])
        from report_samples import samples
        from unmask import UnmaskError
        from unmask.render.html import write_report
        report = samples(Path(tempfile.mkdtemp()))["likely"]
        path = write_report(report, Path(sys.argv[1]))
        path.write_text("old")
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        try:
            write_report(report, Path(sys.argv[1]))
        except UnmaskError as error:
            assert error.code == "report.write", error.code
            assert path.read_text() == "old"
            print(error.text)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Cannot write") and "Free some space" in done.stdout
    assert len(list(tmp_path.iterdir())) == 1


# Words and charts ------------------------------------------------------------------------------------------


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
