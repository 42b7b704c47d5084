"""Fused maps of a forged set: ranked together, cut as a report draws them."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unmask.card import find_cards
from unmask_lab.data import Data, load
from unmask_lab.evaluate.report import NAMED, fused_map_agreement, kept_maps, localisation
from unmask_lab.evaluate.results import Result
from unmask_lab.evaluate.run import maps_path
from unmask_lab.forge.forgery import CHANGED
from unmask_lab.forge.manifest import Row

CARDS = {card.id: card for card in find_cards()}
ROW = Row("a.jpg", "image", "manipulated", "splice", "p", "s", "snapshot", "m.png", "0" * 64, "test", "clean")
TABLE = "test.csv"


def found(raw_copy: float, raw_splice: float) -> Data:
    """One forged file with what two detectors said of it."""
    results = {
        (ROW.path, name): Result(ROW.path, name, "c", "ok", "r", raw, 0.1, 0.5, 0.5, 0.5)
        for name, raw in (("image.copy_move", raw_copy), ("image.splice", raw_splice))
    }
    return load([ROW], results, "image")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The mask: the upper half. The map of copies marks just that, the map of splices the left half, at 0.8."""
    mask = np.zeros((60, 80), np.uint8)
    mask[:30] = CHANGED
    Image.fromarray(mask).save(tmp_path / ROW.mask)
    copies, splices = np.zeros((60, 80), np.uint8), np.zeros((30, 40), np.uint8)
    copies[:30], splices[:, :20] = 255, 204
    maps = maps_path(tmp_path / "test-maps", ROW)
    maps.parent.mkdir()
    np.savez_compressed(maps, **{"image.copy_move": copies, "image.splice": splices})
    return tmp_path


def test_the_strongest_findings_map_is_what_is_drawn(folder: Path) -> None:
    clear = fused_map_agreement(found(20, -2), 0, CARDS, folder, folder / TABLE)
    assert clear is not None and clear.f1_fixed == 1.0 and clear.f1_best == 1.0
    other = fused_map_agreement(found(0, 10), 0, CARDS, folder, folder / TABLE)
    assert other is not None and other.f1_fixed == pytest.approx(0.5, abs=0.02), "half of the left half is right"


def test_a_faint_finding_is_drawn_at_its_own_half(folder: Path) -> None:
    """The map counts, not how sure the verdict is: a report draws it so."""
    data = found(0, -3)
    assert CARDS["image.splice"].calibration is not None
    assert CARDS["image.splice"].calibration.probability(-3) < 0.5
    data.results[0].pop("image.copy_move")
    agreement = fused_map_agreement(data, 0, CARDS, folder, folder / TABLE)
    assert agreement is not None and agreement.f1_fixed == pytest.approx(0.5, abs=0.02)


def test_only_findings_that_name_a_region_count_in_the_last_row(folder: Path) -> None:
    assert [p > 0 for p, _ in kept_maps(found(20, 3.9), 0, CARDS, folder / TABLE, named=True)] == [True]
    assert fused_map_agreement(found(0, 3.9), 0, CARDS, folder, folder / TABLE, named=True) is None
    lines = "\n".join(localisation(found(0, 3.9), CARDS, folder, folder / TABLE))
    last = next(line for line in lines.splitlines() if NAMED in line)
    cells = next(csv.reader([last.strip("| ")], delimiter="|"))
    assert [cell.strip() for cell in cells][1:4] == ["1", "0%", ".00/.00/–"]


def test_untouched_files_and_files_without_a_map_have_no_agreement(folder: Path) -> None:
    data = found(20, 5)
    bona = replace(data, rows=(replace(ROW, label="bona_fide", mask=""),))
    assert fused_map_agreement(bona, 0, CARDS, folder, folder / TABLE) is None
    maps_path(folder / "test-maps", ROW).unlink()
    assert fused_map_agreement(data, 0, CARDS, folder, folder / TABLE) is None
