"""Public deepfakes, each named as missed or found, and bona fide films, where nothing may be found."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import unmask

NAMED = tomllib.loads(Path(__file__).with_name("kit_films.toml").read_text("utf-8"))
FOUND = ("suspicious", "likely_manipulated")


@pytest.fixture(scope="module")
def films(kit: Path) -> dict[str, tuple[str, Path]]:
    """Start of the SHA-256 -> label in the kit and file."""
    with (kit / "manifest-video.csv").open(newline="") as file:
        return {row["sha256"][:12]: (row["label"], kit / row["path"]) for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def scanner() -> Iterator[unmask.Scanner]:
    with unmask.Scanner() as one:
        yield one


def label_of(scanner: unmask.Scanner, film: Path) -> str:
    report = scanner.scan(film)
    assert report.examined, "the answer must come from the detectors, not from a failure"
    return report.verdict.label


def test_every_deepfake_of_the_kit_is_named(films: dict[str, tuple[str, Path]]) -> None:
    named = [*NAMED["missed"], *NAMED["found"]]
    assert sorted(named) == sorted(name for name, (label, _) in films.items() if label == "fake")


@pytest.mark.parametrize("name", sorted([*NAMED["missed"], *NAMED["found"]]))
def test_it_is_found_or_missed_as_named(name: str, films: dict[str, tuple[str, Path]], scanner: unmask.Scanner) -> None:
    label = label_of(scanner, films[name][1])
    assert (label in FOUND) == (name in NAMED["found"]), f"{name}: {label}; move it in kit_films.toml"


def test_no_bona_fide_film_is_called_manipulated(films: dict[str, tuple[str, Path]], scanner: unmask.Scanner) -> None:
    real = [film for label, film in films.values() if label == "real"]
    assert len(real) >= 10
    labels = {film.name: label_of(scanner, film) for film in real}
    assert not {name: label for name, label in labels.items() if label in FOUND}
