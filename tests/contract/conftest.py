"""The awkward subjects, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
from subjects import films, pictures, sounds


@pytest.fixture(scope="session")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Awkward and ordinary subjects by name."""
    folder = tmp_path_factory.mktemp("subjects")
    return pictures(folder) | sounds(folder) | films(folder)
