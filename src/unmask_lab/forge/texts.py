"""Sentences for text-to-speech, in several languages: thousands of combinations, seeded."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import numpy as np

LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "ru", "sv", "tr", "ja", "zh")


@cache
def _parts() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads(Path(__file__).with_name("texts.toml").read_text("utf-8"))


def sentence(rng: np.random.Generator, language: str) -> str:
    """A sentence of one to three parts: who, does what, when or why. ``language``: one of `LANGUAGES`.

    Raises:
        KeyError: no sentences in this language.
    """
    parts = _parts()[language]
    pick = [parts[slot][int(rng.integers(len(parts[slot])))] for slot in ("who", "what", "when")]
    text = ("" if language in ("ja", "zh") else " ").join(pick)
    for sign in ("{n}", "{m}"):
        text = text.replace(sign, str(int(rng.integers(2, 60))))
    return text + ("。" if language in ("ja", "zh") else "?" if rng.random() < 0.12 else ".")


def clause(rng: np.random.Generator) -> str:
    """A Chinese sentence; of two in three only what stands before the comma, since a clip holds no more."""
    text = sentence(rng, "zh")
    return text.split("，")[0] + "。" if rng.random() < 2 / 3 else text
