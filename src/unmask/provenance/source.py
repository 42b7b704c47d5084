"""What every metadata reader works with: bounded bytes in, bounded facts out."""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from pydantic import JsonValue

from unmask.media.limits import MAX_METADATA_BYTES
from unmask.provenance.plain import clean, json_safe

MAX_TAGS = 300
MAX_PROBLEMS = 20
MAX_LONG_TEXT = 256 * 1024
_SCAN = 1 << 20


class TooMuch(Exception):
    """A reader reached a limit; what it noted so far stays."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Source:
    """Random access to a file with a budget: all reads together stay below `MAX_METADATA_BYTES`."""

    def __init__(self, path: Path, budget: int = MAX_METADATA_BYTES) -> None:
        self._file = path.open("rb")
        self.size = os.fstat(self._file.fileno()).st_size
        self.budget = budget

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def at(self, offset: int, count: int) -> bytes:
        """Up to ``count`` bytes from ``offset`` (fewer at the end). Raises `TooMuch`."""
        count = max(0, min(count, self.size - offset)) if offset >= 0 else 0
        if count == 0:
            return b""
        self.budget -= count
        if self.budget < 0:
            raise TooMuch("metadata.too_large", "The metadata are larger than any honest ones: the rest was not read.")
        self._file.seek(offset)
        return self._file.read(count)

    def find(self, pattern: re.Pattern[bytes], start: int, limit: int | None = None) -> int:
        """Offset of the first match from ``start`` on, -1 where there is none. Scanned, not kept: no budget."""
        end = self.size if limit is None else min(self.size, start + limit)
        offset = start
        while offset < end:
            self._file.seek(offset)
            block = self._file.read(min(_SCAN, end - offset))
            match = pattern.search(block)
            if match:
                return offset + match.start()
            if len(block) < _SCAN:
                return -1
            offset += len(block) - 16  # a match may lie across the border
        return -1


class Window(io.RawIOBase):
    """A source as a file, for readers that seek; its budget holds."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source, self._offset = source, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move; never beyond the end, so that no reader is led astray."""
        base = (0, self._offset, self._source.size)[whence]
        self._offset = max(0, min(base + offset, self._source.size))
        return self._offset

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._offset

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes. Raises `TooMuch`."""
        data = self._source.at(self._offset, self._source.size if size < 0 else size)
        self._offset += len(data)
        return data


@dataclass
class Notes:
    """Facts gathered by the readers.

    ``tags`` are shown (name, value, source; each bounded); ``texts`` keep longer text for the search of
    generator traces and are never shown whole; ``facts`` describe the file's structure; ``problems`` are
    what is broken or over a limit, ``odd`` what contradicts itself: (code, sentence, source).
    """

    tags: list[dict[str, str]] = field(default_factory=list)
    texts: list[tuple[str, str, str]] = field(default_factory=list)
    facts: dict[str, JsonValue] = field(default_factory=dict)
    problems: list[dict[str, str]] = field(default_factory=list)
    odd: list[dict[str, str]] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    _text_bytes: int = 0

    def tag(self, name: str, value: object, source: str) -> None:
        """Note a tag; empty values are dropped."""
        shown = clean(value)
        if not shown:
            return
        if len(self.tags) < MAX_TAGS:
            self.tags.append({"name": clean(name, 80), "value": shown, "source": clean(source, 80)})
        text = value if isinstance(value, str) else shown
        if self._text_bytes < 4 * MAX_LONG_TEXT:
            self.texts.append((clean(name, 80), text[:MAX_LONG_TEXT], clean(source, 80)))
            self._text_bytes += min(len(text), MAX_LONG_TEXT)

    def fact(self, name: str, value: object) -> None:
        """Note a fact of structure."""
        self.facts[name] = json_safe(value)

    def problem(self, code: str, text: str) -> None:
        """Note what is broken or over a limit; each once."""
        entry = {"code": code, "text": text}
        if entry not in self.problems and len(self.problems) < MAX_PROBLEMS:
            self.problems.append(entry)

    def contradiction(self, code: str, text: str, source: str) -> None:
        """Note two facts that do not go together."""
        entry = {"code": code, "text": text, "source": source}
        if entry not in self.odd and len(self.odd) < MAX_PROBLEMS:
            self.odd.append(entry)

    def get(self, *names: str) -> str:
        """The value of the first of ``names`` that a tag has, or an empty string."""
        for name in names:
            for tag in self.tags:
                if tag["name"] == name:
                    return tag["value"]
        return ""
