"""Plan, examine, fuse: from paths to Reports. No formatting and no input or output of its own."""

from __future__ import annotations

import os
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator, Sized
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from unmask.card import find_cards
from unmask.errors import LimitExceeded, MediaError, SubjectError, UsageError
from unmask.execution.contract import READER, Examination, Executor, Job, reader_finding
from unmask.options import Options
from unmask.report import Report, SubjectInfo, Tool
from unmask.subject import sha256_of
from unmask.verdict import fuse

Isolation = Literal["process", "inline"]
_QUEUE_PER_WORKER = 2


class Scanner:
    """Examines subjects; keeps its workers warm between calls. Use it as a context manager or call `close`.

    Args:
        options: what to examine and within which limits.
        isolation: ``process`` decodes each subject in a disposable process with limits; ``inline`` decodes
            here, without limits, for files that you trust.
        executor: another executor (tests, other machines).

    Raises:
        UsageError: ``options`` name a question that no installed detector answers.
        CardError: a detector's card is broken.
    """

    def __init__(
        self,
        options: Options | None = None,
        isolation: Isolation = "process",
        executor: Executor | None = None,
    ) -> None:
        self.options = options or Options()
        self._cards = find_cards()
        check_names(self.options)
        cores = os.process_cpu_count() if hasattr(os, "process_cpu_count") else len(os.sched_getaffinity(0))
        self.workers = self.options.workers or max(1, cores or 1)
        self._cores = max(1, cores or 1)
        self._isolation = isolation
        self._own = executor is None
        self._executor = executor
        self._executor_workers = 0

    def __enter__(self) -> Scanner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers."""
        if self._own and self._executor is not None:
            self._executor.close()
            self._executor = None

    def scan(self, subject: Path | str | bytes, name: str | None = None) -> Report:
        """Examine one file (or its bytes). What is wrong with the file is said in the report, not raised."""
        self._ready(1)
        if isinstance(subject, bytes):
            return self._scan_bytes(subject, name or "bytes")
        return self._scan(Path(subject), name, self._cores)

    def scan_many(self, paths: Iterable[Path | str]) -> Iterator[Report]:
        """Examine many files, `workers` at a time; reports come as they are finished, in no fixed order.

        Where there are fewer files than workers, the cores that are left work for each of them.
        """
        workers = max(1, min(self.workers, len(paths))) if isinstance(paths, Sized) else self.workers
        self._ready(workers)
        threads = max(1, self._cores // workers)
        pool = ThreadPoolExecutor(workers, thread_name_prefix="unmask")
        running: set[Future[Report]] = set()
        try:
            for path in paths:
                running.add(pool.submit(self._scan, Path(path), None, threads))
                if len(running) >= workers * _QUEUE_PER_WORKER:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        except BaseException:
            # Interrupted: end the workers first, so that the threads that wait for them end too.
            pool.shutdown(wait=False, cancel_futures=True)
            self.close()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _ready(self, workers: int) -> None:
        if self._executor is not None and (not self._own or self._executor_workers >= workers):
            return
        if self._isolation == "inline":
            from unmask.execution.inline import InlineExecutor

            self._executor, self._executor_workers = InlineExecutor(), 1 << 30
            return
        from unmask.execution.processes import ProcessExecutor

        if self._executor is not None:
            self._executor.close()
        self._executor = ProcessExecutor(workers, threads=max(1, self._cores // workers))
        self._executor_workers = workers

    def _scan_bytes(self, data: bytes, name: str) -> Report:
        with tempfile.TemporaryDirectory(prefix="unmask-") as folder:
            path = Path(folder) / "subject"
            path.write_bytes(data)
            return self._scan(path, name, self._cores)

    def _scan(self, path: Path, name: str | None, threads: int) -> Report:
        started = time.perf_counter()
        shown = printable(name if name is not None else path.name)
        try:
            check_regular(path)
            check_size(path, self.options.limits.bytes)
            before = sha256_of(path)
        except (SubjectError, MediaError) as error:
            result = Examination(SubjectInfo(name=shown))
            result.findings[READER] = reader_finding(error.code, error.text)
            size = _size(path) if isinstance(error, MediaError) else None
            return self._report(result, None, size, started)
        assert self._executor is not None
        result = self._executor.examine(Job(path=str(path), name=shown, options=self.options, threads=threads))
        self._check_unchanged(path, before, result)
        return self._report(result, before, _size(path), started)

    def _check_unchanged(self, path: Path, before: str, result: Examination) -> None:
        try:
            same = sha256_of(path) == before
        except SubjectError:
            same = False
        if not same:
            text = "The file changed while it was examined: copy it to a quiet place and scan it again."
            result.findings[READER] = reader_finding("subject.changed", text)

    def _report(self, result: Examination, sha256: str | None, size: int | None, started: float) -> Report:
        from unmask import __version__

        findings = tuple(result.findings[i] for i in sorted(result.findings))
        subject = result.subject.model_copy(update={"sha256": sha256, "bytes": size})
        return Report(
            tool=Tool(version=__version__, models=result.models, options=changed(self.options)),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            subject=subject,
            verdict=fuse(subject.kind, findings, self._cards),
            findings=findings,
            provenance=result.provenance,
            seconds=round(time.perf_counter() - started, 3),
        )


def scan(subject: Path | str | bytes, options: Options | None = None) -> Report:
    """Examine one file, given by path or as bytes, in a disposable process.

    Example:
        >>> report = unmask.scan("photo.jpg")            # doctest: +SKIP
        >>> report.verdict.label                          # doctest: +SKIP
        'no_sign_found'
    """
    with Scanner(options) as scanner:
        return scanner.scan(subject)


def changed(options: Options) -> dict[str, JsonValue]:
    """What differs from the defaults and can change a finding, so that a report says how to repeat it."""
    out = options.model_dump(mode="json", exclude_defaults=True)
    return {key: value for key, value in out.items() if key not in ("preview", "workers")}


def check_names(options: Options) -> None:
    """Refuse ``only``/``skip`` names that match no detector. Raises `UsageError`."""
    ids = [card.id for card in find_cards()]
    for name in (*options.only, *options.skip):
        if not any(i == name or i.startswith(name + ".") for i in ids):
            raise UsageError("usage.question", f"No detector answers {name!r}. There are: {', '.join(ids)}.")


def check_regular(path: Path) -> None:
    """Refuse what is no regular file (a pipe would hang the reader). Raises `SubjectError`."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise SubjectError("subject.missing", f"Cannot open the file: {error.strerror}. Check the path.") from error
    except ValueError as error:
        raise SubjectError("subject.missing", "Cannot open the file: the path holds a zero byte.") from error
    if stat.S_ISDIR(mode):
        raise SubjectError("subject.folder", "This is a folder: name the files in it, or scan it as a folder.")
    if not stat.S_ISREG(mode):
        raise SubjectError("subject.special", "This is a device, a pipe or a socket, not a file. Copy the data first.")


def check_size(path: Path, limit: int) -> None:
    """Refuse files above the byte limit, before a byte of them is read. Raises `SubjectError`, `LimitExceeded`."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise SubjectError("subject.unreadable", f"Cannot read the file: {error.strerror}.") from error
    if size > limit:
        raise LimitExceeded(
            "limit.bytes",
            f"The file has {size / 1e6:.0f} MB; the limit is {limit / 1e6:.0f} MB. Raise it with --max-bytes.",
        )


def printable(name: str) -> str:
    """A file name that survives JSON: bytes that are not UTF-8 become ``\\xNN``; nothing else changes."""
    return name.encode("utf-8", "surrogateescape" if _from_bytes(name) else "backslashreplace").decode(
        "utf-8", "backslashreplace"
    )


def _from_bytes(name: str) -> bool:
    """Whether all surrogates in a name stand for bytes that are not UTF-8, as in names from a file system."""
    return not any("\ud800" <= c <= "\udfff" and not "\udc80" <= c <= "\udcff" for c in name)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
