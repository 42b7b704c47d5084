"""Chinese for text-to-speech: syllables with tones, and files of packages that are read but never imported."""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path

SIGNS = {"，": ",", "。": ".", "？": "?", "！": "!", "、": ","}
_SYLLABLE = re.compile(r"[a-zü]+[1-5]")


def syllables(text: str) -> list[str]:
    """Pinyin with the tone as a digit (1-5, 5 the neutral one), ü as v, and one of ``,.?!`` where the text pauses.

    Needs the package pypinyin. Signs that are no Chinese characters and no pause are left out.
    """
    pypinyin = importlib.import_module("pypinyin")
    said = pypinyin.lazy_pinyin(text, style=pypinyin.Style.TONE3, neutral_tone_with_five=True, errors=list)
    parts = [part.replace("ü", "v") if _SYLLABLE.fullmatch(part) else SIGNS.get(part, "") for part in said]
    return [part for part in parts if part]


def package_folder(name: str) -> Path:
    """Where a package lies, without running it: some import whole frameworks that its weights don't need.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(f"the package {name} is not installed")
    return Path(next(iter(found.submodule_search_locations)))
