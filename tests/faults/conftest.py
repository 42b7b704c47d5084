"""Faulty detectors and small subjects."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from faulty import install
from PIL import Image

from unmask.card import find_cards


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Installs faulty detectors for this process and the workers it starts."""

    def add(*names: str) -> None:
        folder = tmp_path / "plugins"
        install(folder, *names)
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
        find_cards.cache_clear()

    yield add
    find_cards.cache_clear()
    for name in [m for m in sys.modules if m.startswith("faulty_detectors")]:
        del sys.modules[name]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A small noisy JPEG."""
    rng = np.random.default_rng(5)
    ramp = np.linspace(40, 200, 256)[None, :, None] + rng.normal(0, 6, (192, 256, 3))
    path = tmp_path / "photo.jpg"
    Image.fromarray(np.clip(ramp, 0, 255).astype(np.uint8)).save(path, quality=90)
    return path
