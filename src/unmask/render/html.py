"""Self-contained HTML: one page a subject and an index. No network, no inline style, a strict content policy."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from unmask.errors import UnmaskError
from unmask.render import charts, shots, timeline, words
from unmask.render.view import View
from unmask.report import Report

STATIC = Path(__file__).parent / "static"
SCRIPTS = {"report": ("report.js", "timeline.js"), "index": ("index.js",)}
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
    of_name = hashlib.sha256(report.subject.name.encode("utf-8", "backslashreplace")).hexdigest()
    # Subjects may share their content, or what is left of their names: both hashes tell them apart.
    # A report may come from elsewhere: its hash is believed where it is one.
    content = report.subject.sha256 or ""
    content = content if re.fullmatch(r"[0-9a-f]{64}", content) else of_name
    return f"{stem}-{content[:12]}{of_name[:4]}.html"


def report_page(report: Report) -> str:
    """The subject's page."""
    return _page("report", report=report, view=View(report), charts=charts, shots=shots, timeline=timeline)


def index_page(reports: Sequence[Report]) -> str:
    """The list of all subjects, gravest verdict first."""
    ordered = sorted(reports, key=lambda r: (words.ORDER.index(r.verdict.label), r.subject.name))
    return _page("index", rows=[(r, file_name(r)) for r in ordered], counts=words.counted(reports))


def _page(name: str, **values: object) -> str:
    script, style = _script(name), _asset("style.css")
    template = _environment().get_template(f"{name}.html.j2")
    return template.render(words=words, script=script, style=style, policy=policy(style, script), **values)


def policy(style: Markup, script: Markup) -> str:
    """The content security policy: pictures from the page itself, this style, this script, and nothing else but the
    film that the reader opens from his own disk.
    """

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")

    return (
        f"default-src 'none'; img-src data:; media-src blob:; style-src 'sha256-{digest(style)}'; "
        f"script-src 'sha256-{digest(script)}'; base-uri 'none'; form-action 'none'"
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("unmask.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = words.visible
    return environment


def _script(name: str) -> Markup:
    return Markup("").join(_asset(file) for file in SCRIPTS[name])


@cache
def _asset(name: str) -> Markup:
    return Markup(STATIC.joinpath(name).read_text("utf-8"))


def _write(path: Path, text: str) -> None:
    """All or nothing: a page that is there is whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise UnmaskError(
            "report.write", f"Cannot write {path}: {error.strerror}. Free some space or name another folder."
        ) from error
