"""Batches made in another process: the same ones, in any order, and failures told."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from unmask_lab.train.ahead import Ahead


def draw(step: int) -> NDArray[np.int64]:
    if step == 7:
        raise ValueError("no batch seven")
    return np.arange(step, step + 3)


def test_batches_are_those_that_were_asked_for() -> None:
    ahead = Ahead(draw, depth=3)
    try:
        for step in (0, 1, 2, 5, 6, 2):
            assert np.array_equal(ahead(step), draw(step))
    finally:
        ahead.close()


def test_a_failure_is_that_of_its_step() -> None:
    ahead = Ahead(draw, depth=4)
    try:
        assert np.array_equal(ahead(6), draw(6))
        with pytest.raises(ValueError, match="no batch seven"):
            ahead(7)
        assert np.array_equal(ahead(8), draw(8))
    finally:
        ahead.close()
