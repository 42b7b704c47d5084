"""Fetching over HTTP with the standard library: certificates checked, sizes bounded, errors in plain words."""

from __future__ import annotations

import base64
import contextlib
import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from unmask import __version__
from unmask.errors import ModelError
from unmask.models.pip_settings import certificates

TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True)
class Answer:
    """A page: its body, its media type without parameters, and the address it came from in the end."""

    body: bytes
    type: str
    url: str


def fetch(url: str, headers: Mapping[str, str], limit: int) -> Answer | None:
    """A whole small page, or None where the server says that there is none.

    Raises:
        ModelError: ``model.offline``, not reachable; ``model.index``, larger than ``limit`` bytes.
    """
    try:
        with opened(url, headers) as response:
            body = response.read(limit + 1)
            if len(body) > limit:
                raise ModelError("model.index", f"{shown(url)} answers with more than a page: name another address.")
            return Answer(body, response.headers.get_content_type(), response.url)
    except urllib.error.HTTPError as error:
        if error.code in (404, 410):
            return None
        raise offline(url, error) from error
    except (OSError, http.client.HTTPException) as error:
        raise offline(url, error) from error


@contextlib.contextmanager
def opened(url: str, headers: Mapping[str, str]) -> Iterator[Any]:
    """The response to one GET. Raises `ModelError` for an address of another kind, and urllib's and socket's errors."""
    address, authorisation = _without_login(url)
    if urlsplit(address).scheme not in ("http", "https"):
        raise ModelError("model.index", f"{shown(url)} is no http(s) address.")
    request = urllib.request.Request(address, headers={"User-Agent": f"unmask/{__version__}", **headers})
    if authorisation:
        # Not sent on to another host when the server redirects.
        request.add_unredirected_header("Authorization", authorisation)
    with _opener().open(request, timeout=TIMEOUT_SECONDS) as response:
        yield response


def shown(url: str) -> str:
    """An address as it may be shown: without a user's name and password."""
    return _without_login(url)[0]


def with_login_of(index: str, url: str) -> str:
    """``url`` with the name and password of ``index`` where both are on one host."""
    login, _, host = urlsplit(index).netloc.rpartition("@")
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{login}@{host}")) if login and parts.netloc == host else url


def offline(url: str, error: Exception) -> ModelError:
    """What to tell where an address cannot be reached."""
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    return ModelError("model.offline", f"Cannot fetch {shown(url)} ({reason or type(error).__name__}).")


def _without_login(url: str) -> tuple[str, str | None]:
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url, None
    login, _, host = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    token = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode("ascii")
    return urlunsplit(parts._replace(netloc=host)), f"Basic {token}"


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """No way from https back to http, where anybody could read along."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(req.full_url).scheme == "https" and urlsplit(newurl).scheme != "https":
            raise urllib.error.HTTPError(newurl, code, "sent from https to http", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    context = ssl.create_default_context()
    if bundle := certificates():
        try:
            context.load_verify_locations(bundle)
        except OSError as error:
            raise ModelError("model.offline", f"The certificates in {bundle} cannot be read: {error}.") from error
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _SafeRedirects())
