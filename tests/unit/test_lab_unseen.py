"""Sources that a trained detector has seen calibrate the other detectors, and never itself."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from unmask_lab import fusion
from unmask_lab.data import Data
from unmask_lab.forge.manifest import Row
from unmask_lab.kit import quarter_of


def row(i: int, manipulated: bool, source: str) -> Row:
    return Row(
        path=f"images/{i}.jpg",
        modality="image",
        label="manipulated" if manipulated else "bona_fide",
        family="splice" if manipulated else "none",
        parent=f"p{i // 2}",
        parent_source=source,
        kind_of_real_media="snapshot",
        mask="",
        sha256=str(i),
        half="calibration",
        variant="clean",
    )


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> Data:
    """A classical detector that is good everywhere, a trained one that is perfect on what it was trained on only."""
    cards = [
        SimpleNamespace(id="image.classical", trained_quarters=(), parameters={}),
        SimpleNamespace(id="image.trained", trained_quarters=(0,), parameters={}),
    ]
    monkeypatch.setattr(fusion, "find_cards", lambda: cards)
    rng = np.random.default_rng(3)
    n = 3000
    truth = np.arange(n) % 2 == 1
    sources = [f"s{i // 50}" for i in range(n)]
    known = np.asarray([quarter_of(source) == 0 for source in sources])
    raw = {
        "image.classical": rng.normal(0, 1, n) + 2.0 * truth,
        "image.trained": np.where(known, 100.0 * truth, rng.normal(0, 1, n)),
    }
    return Data(tuple(row(i, bool(t), s) for i, (t, s) in enumerate(zip(truth, sources, strict=True))), raw, ({},) * n)


def test_files_of_seen_sources_are_left_out_for_that_detector_only(data: Data) -> None:
    kept = fusion.unseen(data, ["image.trained"])
    assert 0 < len(kept.rows) < len(data.rows)
    assert all(quarter_of(str(source)) != 0 for source in kept.sources)
    assert len(fusion.unseen(data, ["image.classical"]).rows) == len(data.rows)


def test_what_it_knows_by_heart_lends_it_no_weight(data: Data) -> None:
    fitted = fusion.fit(data, ["image.classical", "image.trained"])
    table = fitted.calibrations["image.trained"]
    assert max(table.log10_lr) - min(table.log10_lr) < 1.0 and max(table.x) < 10
    assert fitted.weights["image.classical"] > 0.6
    assert fitted.n_bona_fide == int((~fusion.unseen(data, ["image.trained"]).truth).sum())
