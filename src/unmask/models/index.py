"""Package indexes: which to ask, and where a file lies in one.

The indexes are those that pip and uv would use here, so that whoever works behind a mirror has nothing to set up.
Both forms of the simple index are read: HTML (PEP 503) and JSON (PEP 691). What comes out is only an address; what
lies there is believed by its hash alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from urllib.request import url2pathname

from unmask.errors import ModelError
from unmask.models import web
from unmask.models.pip_settings import pip_settings

DEFAULT = "https://pypi.org/simple"
MAX_PAGE_BYTES = 32 * 1024**2
ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
JSON_TYPE = "application/vnd.pypi.simple.v1+json"


@dataclass(frozen=True)
class Link:
    """A file that an index offers, with the SHA-256 that the index states (or none)."""

    url: str
    sha256: str | None


def indexes(chosen: str | None = None, environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The indexes to ask, in their order: the one given, else those of uv's and pip's settings, else the public one."""
    if chosen:
        return (chosen,)
    config = pip_settings(environment)
    if _on(environment.get("PIP_NO_INDEX") or config.get("no-index")) or _on(environment.get("UV_OFFLINE")):
        return ()
    first = (
        environment.get("UV_DEFAULT_INDEX")
        or environment.get("UV_INDEX_URL")
        or environment.get("PIP_INDEX_URL")
        or config.get("index-url")
        or DEFAULT
    )
    extra = [environment.get("UV_EXTRA_INDEX_URL", ""), environment.get("PIP_EXTRA_INDEX_URL", "")]
    extra.append(config.get("extra-index-url", ""))
    return tuple(dict.fromkeys((first, *" ".join(extra).split())))


def link_folders(environment: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Folders of wheels on this machine that pip is told of (``find-links``)."""
    named = f"{environment.get('PIP_FIND_LINKS', '')} {pip_settings(environment).get('find-links', '')}".split()
    return tuple(path for path in map(local_path, dict.fromkeys(named)) if path is not None and path.is_dir())


def local_path(place: str) -> Path | None:
    """The path that a path or a ``file:`` address names; None for other addresses."""
    if "://" not in place and not place.startswith("file:"):
        return Path(place).expanduser()
    parts = urlsplit(place)
    return Path(url2pathname(unquote(parts.path))) if parts.scheme == "file" else None


def _on(value: str | None) -> bool:
    return (value or "").strip().lower() in ("1", "true", "yes", "on", "t", "y")


def find_file(index: str, package: str, file: str) -> Link | None:
    """Where ``file`` of ``package`` lies, or None where this index has none of that name.

    Raises:
        ModelError: ``model.offline`` or ``model.index``, the index cannot be asked or answers nonsense.
    """
    base = f"{index.rstrip('/')}/{package}/"
    folder = local_path(base)
    if folder is not None:
        page = folder / "index.html"
        if not page.is_file():
            return None
        return _pick(_html_links(page.read_text("utf-8", "replace"), page.as_uri()), file)
    answer = web.fetch(base, {"Accept": ACCEPT}, MAX_PAGE_BYTES)
    if answer is None:
        return None
    if answer.type == JSON_TYPE:
        link = _pick(_json_links(answer.body, answer.url), file)
    else:
        link = _pick(_html_links(answer.body.decode("utf-8", "replace"), answer.url), file)
    return replace(link, url=web.with_login_of(index, link.url)) if link else None


def _pick(links: Iterator[tuple[str, Link]], file: str) -> Link | None:
    return next((link for name, link in links if name == file), None)


def _json_links(body: bytes, base: str) -> Iterator[tuple[str, Link]]:
    try:
        for entry in json.loads(body)["files"]:
            url, _ = urldefrag(urljoin(base, str(entry["url"])))
            yield str(entry["filename"]), Link(url, dict(entry.get("hashes") or {}).get("sha256"))
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError("model.index", f"{web.shown(base)} is no package index: name another with --index.") from error


def _html_links(text: str, base: str) -> Iterator[tuple[str, Link]]:
    for href in _Anchors(text).found:
        url, fragment = urldefrag(urljoin(base, href))
        name = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
        kind, _, digest = fragment.partition("=")
        yield name, Link(url, digest if kind == "sha256" else None)


class _Anchors(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for key, value in attrs if key == "href" and value]
