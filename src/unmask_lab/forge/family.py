"""Families of training material: small plug-ins with a card, found by walking a package.

A family is one module of `unmask_lab.forge.pictures` or `unmask_lab.forge.voices` with a `CARD` and a function
``forge(job)`` that yields what it made of one parent (a bona fide file) or of one text. It draws from ``job.rng`` only,
so that one file can be made again alone. Nothing is registered anywhere: a new family is a new file.
"""

from __future__ import annotations

import importlib.util
import pkgutil
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Generic, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from unmask_lab.errors import LabError
from unmask_lab.forge.forgery import Mask, Rgb

Wave = NDArray[np.float32]
Job_contra = TypeVar("Job_contra", contravariant=True)
Made_co = TypeVar("Made_co", covariant=True)
Job = TypeVar("Job")
Made = TypeVar("Made")


@dataclass(frozen=True)
class FamilyCard:
    """What a family makes, of what, and what it needs.

    ``id``: the family's name in manifests. ``weights``: files in the weights folder; ``packages``: importable modules;
    ``commands``: programs on the path. ``licence``: of the weights and of what they make. ``reads``: a parent file or a
    text. ``count``: how many parents (or texts) a full set takes. ``regional``: only a part is made, with its mask.
    """

    id: str
    makes: str
    licence: str
    count: int
    weights: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    reads: Literal["parent", "text"] = "parent"
    regional: bool = False

    def missing(self, weights: Path) -> str:
        """Why the family cannot be made here, or an empty text."""
        files = [name for name in self.weights if not (weights / name).is_file()]
        modules = [name for name in self.packages if importlib.util.find_spec(name) is None]
        programs = [name for name in self.commands if shutil.which(name) is None]
        lacking = [*files, *(f"package {name}" for name in modules), *(f"command {name}" for name in programs)]
        return f"not here: {', '.join(lacking)}" if lacking else ""


@dataclass(frozen=True)
class PictureJob:
    """One picture to forge: ``rgb`` (h, w, 3) uint8, and the folder with the weights."""

    rgb: Rgb
    rng: np.random.Generator
    weights: Path


@dataclass(frozen=True)
class PictureMade:
    """A made picture. ``mask``: (h, w) bool where only a region was made; ``generator``: the maker and its settings."""

    rgb: Rgb
    generator: str
    mask: Mask | None = None


@dataclass(frozen=True)
class VoiceJob:
    """One clip to forge. ``wave``: the parent, mono at 16 kHz, empty for families that read texts."""

    wave: Wave
    rng: np.random.Generator
    weights: Path


@dataclass(frozen=True)
class VoiceMade:
    """A made clip: mono at 16 kHz; ``segments``: the made stretches in seconds, empty where all of it is made.

    ``text`` and ``language``: what was read, for text-to-speech.
    """

    wave: Wave
    generator: str
    segments: tuple[tuple[float, float], ...] = ()
    text: str = ""
    language: str = ""


class Forge(Protocol[Job_contra, Made_co]):
    """The one function of a family."""

    def __call__(self, job: Job_contra) -> Iterator[Made_co]:
        """Yield what was made of ``job``; nothing where it does not suit the family."""


@dataclass(frozen=True)
class Family(Generic[Job, Made]):
    """A family as found: its card and its function."""

    card: FamilyCard
    forge: Forge[Job, Made]


def walk(package: ModuleType, only: Sequence[str] = ()) -> dict[str, Family[Job, Made]]:
    """The families of a package by id, sorted; ``only`` picks some.

    Raises:
        LabError: ``forge.family``: ``only`` names a family that is not there.
    """
    found: dict[str, Family[Job, Made]] = {}
    for info in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        module = importlib.import_module(info.name)
        if hasattr(module, "CARD"):
            found[module.CARD.id] = Family(module.CARD, module.forge)
    unknown = sorted(set(only) - set(found))
    if unknown:
        names = ", ".join(sorted(found))
        raise LabError("forge.family", f"No family is called {', '.join(unknown)}; there are {names}.")
    return {name: found[name] for name in sorted(found) if not only or name in only}
