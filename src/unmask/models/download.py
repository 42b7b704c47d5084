"""One large file over HTTP: to the pinned size and hash or not at all, going on where an earlier try broke off."""

from __future__ import annotations

import hashlib
import http.client
import re
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unmask.errors import ModelError
from unmask.models import web

CHUNK = 1 << 18
TRIES = 4
Progress = Callable[[int, int], None]


def download(url: str, target: Path, size: int, sha256: str, progress: Progress) -> None:
    """Fetch ``url`` to ``target``; ``target`` with ``.part`` holds what there is until it is whole and checked.

    Args:
        url: http(s).
        target: appears only with the right hash.
        size: bytes that the file must have; not one more is read.
        sha256: of the file, hex.
        progress: called with the bytes so far and all.

    Raises:
        ModelError: ``model.offline`` (what came is kept for the next try), ``model.hash`` (another file, deleted).
        OSError: the disk is full, or the folder cannot be written to.
    """
    part = target.with_name(f"{target.name}.part")
    resumed = part.is_file() and part.stat().st_size > 0
    _fill(url, part, size, progress)
    if _digest(part) != sha256 and resumed:
        # What an earlier try left may have been the wrong part.
        part.unlink()
        _fill(url, part, size, progress)
    if _digest(part) != sha256:
        part.unlink()
        raise wrong_hash(web.shown(url))
    part.replace(target)


def wrong_hash(what: str) -> ModelError:
    """The file is not the pinned one."""
    return ModelError(
        "model.hash",
        f"{what} is not the file that Unmask expects (its SHA-256 differs), so it was not opened. "
        "Try another index or mirror.",
    )


def _fill(url: str, part: Path, size: int, progress: Progress) -> None:
    """Append to ``part`` until it has ``size`` bytes."""
    error: Exception | None = None
    for _ in range(TRIES):
        before = part.stat().st_size if part.is_file() else 0
        if before == size:
            return
        try:
            _append(url, part, size, progress)
        except urllib.error.HTTPError as problem:
            raise web.offline(url, problem) from problem
        except (ConnectionError, TimeoutError, http.client.HTTPException) as problem:
            error = problem
        except urllib.error.URLError as problem:
            raise web.offline(url, problem) from problem
        after = part.stat().st_size if part.is_file() else 0
        if after == size:
            return
        if after <= before:
            break
    done = part.stat().st_size if part.is_file() else 0
    why = f" ({error})" if error else ""
    raise ModelError(
        "model.offline",
        f"The download of {web.shown(url)} broke off after {done / 1e6:.1f} of {size / 1e6:.1f} MB{why}. "
        "Run the same command again: it goes on from there.",
    )


def _append(url: str, part: Path, size: int, progress: Progress) -> None:
    done = part.stat().st_size if part.is_file() else 0
    if done > size:
        part.unlink()
        done = 0
    headers = {"Range": f"bytes={done}-"} if done else {}
    with web.opened(url, headers) as response:
        if done and not _goes_on(response, done):
            done = 0  # the server sends the whole file again
        length = response.headers.get("Content-Length")
        if length and length.isdigit() and int(length) != size - done:
            raise ModelError(
                "model.hash", f"{web.shown(url)} has {done + int(length)} bytes instead of {size}: it is another file."
            )
        with part.open("ab" if done else "wb") as file:
            while chunk := response.read(min(CHUNK, size - done + 1)):
                if done + len(chunk) > size:
                    raise ModelError("model.hash", f"{web.shown(url)} is longer than {size} bytes: it is another file.")
                file.write(chunk)
                done += len(chunk)
                progress(done, size)


def _goes_on(response: Any, done: int) -> bool:
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range") or "")
    return response.status == 206 and match is not None and int(match[1]) == done


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
