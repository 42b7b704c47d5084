"""Self-contained HTML: one page a subject and an index. No network, no inline style, a strict content policy."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from unmask.errors import UnmaskError
from unmask.render import svg, words
from unmask.report import Evidence, Finding, Report

STATIC = Path(__file__).parent / "static"
MAX_NAME = 60


def write_report(report: Report, folder: Path) -> Path:
    """Write the subject's page into ``folder``; the path is returned. Raises `UnmaskError` where it cannot."""
    path = folder / file_name(report)
    _write(path, report_page(report))
    return path


def write_index(reports: Sequence[Report], folder: Path) -> Path:
    """Write ``index.html`` for pages written before; the path is returned. Raises `UnmaskError`."""
    path = folder / "index.html"
    _write(path, index_page(reports))
    return path


def file_name(report: Report) -> str:
    """A safe name: letters and digits of the subject's name, then digits of its hash (or of its name's)."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", report.subject.name).strip("._-")[:MAX_NAME] or "subject"
    digits = report.subject.sha256 or hashlib.sha256(report.subject.name.encode()).hexdigest()
    # Two subjects may share name and content; their names tell them apart as far as they can.
    tail = hashlib.sha256(report.subject.name.encode()).hexdigest()[:4]
    return f"{stem}-{digits[:12]}{tail}.html"


def report_page(report: Report) -> str:
    """The subject's page."""
    script, style = _asset("report.js"), _asset("style.css")
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            view=View(report),
            words=words,
            svg=svg,
            script=script,
            style=style,
            policy=policy(style, script),
        )
    )


def index_page(reports: Sequence[Report]) -> str:
    """The list of all subjects."""
    script, style = _asset("index.js"), _asset("style.css")
    counts = Counter(r.verdict.label for r in reports)
    return (
        _environment()
        .get_template("index.html.j2")
        .render(
            rows=[
                (r, file_name(r))
                for r in sorted(reports, key=lambda r: (words.ORDER.index(r.verdict.label), r.subject.name))
            ],
            counts=[(label, counts[label]) for label in words.ORDER if counts[label]],
            words=words,
            script=script,
            style=style,
            policy=policy(style, script),
        )
    )


def policy(style: Markup, script: Markup) -> str:
    """The content security policy: pictures from the page itself, this style, this script, and nothing else."""

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")

    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest(style)}'; "
        f"script-src 'sha256-{digest(script)}'; base-uri 'none'; form-action 'none'"
    )


class View:
    """What the template needs of a report, prepared."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.width, self.height = svg.picture_size(report)
        self.findings = words.sorted_findings(report)
        self.signs = [f for f in self.findings if words.grade(f) in ("sign", "weak")]
        self.others = [f for f in self.findings if words.grade(f) in ("quiet", "fact")]
        self.silent = [f for f in self.findings if f.status != "ok"]
        self.layers = self._layers()
        self.lanes = [
            (f.about.title, e)
            for f in self.findings
            for e in f.evidence
            if e.kind == "segments" and _has(e, "segments")
        ]

    @property
    def has_picture(self) -> bool:
        """Whether there is a picture to look at."""
        return self.report.subject.preview is not None

    def _layers(self) -> list[dict[str, Any]]:
        """Maps and boxes for the viewer: those of signs first."""
        out: list[dict[str, Any]] = []
        for finding in self.findings:
            for evidence in finding.evidence:
                if evidence.kind in ("heatmap", "boxes") and self.report.subject.kind == "image":
                    out.append({"finding": finding, "evidence": evidence, "markup": self.layer(evidence)})
        return [layer for layer in out if layer["markup"]]

    def layer(self, evidence: Evidence) -> Markup:
        """A map or boxes as SVG."""
        make = svg.map_layer if evidence.kind == "heatmap" else svg.box_layer
        return make(evidence, self.width, self.height)

    def facts(self, finding: Finding) -> list[Evidence]:
        """The finding's facts."""
        return [e for e in finding.evidence if e.kind == "fact"]

    def value(self, evidence: Evidence) -> str:
        """A fact's value as text."""
        value = (evidence.data or {}).get("value")
        return words.visible(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))

    def segments(self, evidence: Evidence) -> list[dict[str, Any]]:
        """A list of stretches, for reading."""
        return svg._dicts((evidence.data or {}).get("segments"))[:50]

    def subject_facts(self) -> list[tuple[str, str]]:
        """What is known of the file, as rows."""
        s = self.report.subject
        rows = [("Name", words.visible(s.name)), ("SHA-256", s.sha256 or "not readable")]
        rows += [("Size", f"{s.bytes:,} bytes")] if s.bytes is not None else []
        rows += [("Kind", f"{s.kind}, {s.format or 'unknown format'}")]
        rows += [("Picture", f"{s.width} × {s.height} pixels")] if s.width else []
        rows += [("Length", svg.clock(s.duration))] if s.duration is not None else []
        rows += [
            (k.replace("_", " ").capitalize(), words.visible(str(v)))
            for k, v in s.facts.items()
            if v not in (None, "", [], {})
        ]
        return rows

    def metadata_rows(self) -> list[tuple[str, str, str]]:
        """Tags as (name, value, source)."""
        tags = svg._dicts(self.report.provenance.metadata.get("tags"))
        return [tuple(words.visible(str(t.get(k, ""))) for k in ("name", "value", "source")) for t in tags]  # type: ignore[misc]

    def manifests(self) -> list[dict[str, Any]]:
        """Content Credentials, the active one first."""
        return svg._dicts(self.report.provenance.c2pa.get("manifests"))

    def annex(self) -> str:
        """The report as JSON for reading: pictures are left out."""
        data = self.report.model_dump(mode="json")
        data["subject"]["preview"] = None
        for finding in data["findings"]:
            finding.pop("about")
            for evidence in finding["evidence"]:
                if evidence["kind"] in ("heatmap", "plot") and evidence["data"]:
                    evidence["data"] = "left out here"
        return json.dumps(data, indent=1, ensure_ascii=True)


def _has(evidence: Evidence, key: str) -> bool:
    return bool((evidence.data or {}).get(key))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("unmask.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = lambda value: words.visible(str(value))
    return environment


@cache
def _asset(name: str) -> Markup:
    return Markup(STATIC.joinpath(name).read_text("utf-8"))


def _write(path: Path, text: str) -> None:
    """All or nothing: a page that is there is whole."""
    temporary = None
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, suffix=".part", delete=False) as file:
            temporary = file.name
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise UnmaskError(
            "report.write", f"Cannot write {path}: {error.strerror}. Free some space or name another folder."
        ) from error
