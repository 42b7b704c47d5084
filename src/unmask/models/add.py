"""``unmask models add``: take a model folder of the user's own, whole and tried, or nothing of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from unmask.errors import UsageError
from unmask.models.place import cannot_write, put, workshop
from unmask.models.store import CARD_NAME, ModelCard, check_files, has_model, models_home, read_model_card

DATA_SHEET = "MODEL_CARD.md"


def add(source: Path) -> ModelCard:
    """Copy a model folder into the user's model folder; only the files that its card names.

    Args:
        source: a folder called ``<id>-<version>`` with ``model.toml``.

    Raises:
        CardError: its card is missing, broken or has unknown keys. ModelError: a file is not the one that the card
            describes, inputs or outputs are others, or the numbers are other ones on this machine. UsageError: there is
            a model of that name. Nothing that was there is changed.
    """
    source = source.resolve()
    card = read_model_card(source)
    if has_model(card.name):
        raise UsageError("usage.model", f"There is a model called {card.name} already: give yours another version.")
    check_files(card)
    home = models_home()
    try:
        with workshop(home) as place:
            folder = place / card.name
            folder.mkdir()
            for name in (CARD_NAME, DATA_SHEET, *(file.name for file in card.files)):
                if name != DATA_SHEET or (source / name).is_file():
                    shutil.copyfile(source / name, folder / name)
            copied = read_model_card(folder)
            check_files(copied)
            from unmask.models.runtime import open_card

            open_card(copied)
            put(folder, home / card.name)
    except OSError as error:
        raise cannot_write(error, home) from error
    return read_model_card(home / card.name)
