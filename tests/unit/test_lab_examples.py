"""The examples: each file has a licence, an expected label and readable content, and they stay small."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import get_args

import numpy as np

from unmask.media.sniff import sniff
from unmask.report import Label
from unmask_lab.forge.av_io import read_sound
from unmask_lab.make_examples import SAID_TWICE, landscape

TEXTS = {"LICENSES.md", "expected.toml"}
MOST_BYTES = 2_000_000


def files(examples: Path) -> list[Path]:
    return sorted(p for p in examples.iterdir() if p.name not in TEXTS)


def test_every_example_has_a_licence_and_an_expectation(examples: Path) -> None:
    names = {p.name for p in files(examples)}
    expected = tomllib.loads((examples / "expected.toml").read_text("utf-8"))
    table = [line for line in (examples / "LICENSES.md").read_text("utf-8").splitlines() if line.startswith("| ")]
    listed = {line.split("|")[1].strip() for line in table[1:]}
    assert names == set(expected) == listed
    assert all(set(labels) <= set(get_args(Label)) and labels for labels in expected.values())
    assert 8 <= len(names) <= 12


def test_examples_are_small_and_readable(examples: Path) -> None:
    assert sum(p.stat().st_size for p in files(examples)) < MOST_BYTES
    kinds = {sniff(p).kind for p in files(examples)}
    assert {"image", "audio"} <= kinds


def test_the_forged_voice_says_something_twice(examples: Path) -> None:
    voice, rate = read_sound(examples / "voice.flac")
    forged, _ = read_sound(examples / "voice-repeat.flac")
    start, end, at = (int(s * rate) for s in SAID_TWICE)
    assert len(forged) == len(voice) + end - start
    inner = slice(at + 200, at + end - start - 200)
    assert np.abs(forged[inner] - voice[start + 200 : end - 200]).max() < 1e-3
    assert np.abs(forged[: at - 200] - voice[: at - 200]).max() < 1e-3


def test_computed_pictures_come_from_their_seed() -> None:
    one, again = (landscape(np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(one, again) and one.std() > 20
