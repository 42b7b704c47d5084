"""Shared fixtures. The labelled kit lies beside the repository or where UNMASK_KIT says; tests skip without it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def kit() -> Path:
    """The labelled kit's data folder."""
    path = Path(os.environ.get("UNMASK_KIT", ROOT.parent / "shared" / "data"))
    if not (path / "manifest-images.csv").is_file():
        pytest.skip("the labelled kit is not here")
    return path


@pytest.fixture(scope="session")
def examples() -> Path:
    """The small licensed files that ship with the repository."""
    return ROOT / "examples"
