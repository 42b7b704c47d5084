"""image.synthetic on films: what video coding adds is taken off, and the answer is the median."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from faces_made import scene
from test_films import film

from unmask.detectors.image_synthetic.detector import CARD, Answer
from unmask.detectors.image_synthetic.film import examine_film
from unmask.detectors.image_synthetic.networks import Opinion, Patches

OPINION = Opinion(0.0, np.zeros(4, np.float32), 0.5)
PATCHES = Patches(np.zeros(1, np.float32), [(0, 0)])


@pytest.mark.parametrize("stratum", ["tower", "small"])
@pytest.mark.parametrize(("above", "code"), [(-0.01, "synthetic.none"), (0.01, "synthetic.signs")])
def test_a_film_needs_what_coding_may_add(tmp_path: Path, stratum: str, above: float, code: str) -> None:
    coding, level = CARD.parameters[f"film_coding_{stratum}"], CARD.parameters[f"report_above_{stratum}"]
    raws = iter([level + coding + above] * 8)
    said = examine_film(
        film(tmp_path / "a.mp4", [scene(size=(192, 256))] * 9),
        CARD,
        lambda _: Answer(next(raws), stratum, "", 0.5, OPINION, PATCHES, ""),
        lambda _: True,
    )
    assert (said.status, said.reason.code, said.stratum) == ("ok", code, stratum)
    assert said.raw_score is not None
    curve = said.evidence[0].data
    assert curve is not None
    assert said.raw_score == pytest.approx(float(np.median(curve["series"][0]["y"])), abs=1e-3)  # type: ignore[arg-type,index,call-overload]


def test_what_is_taken_off_is_never_negative() -> None:
    assert CARD.parameters["film_coding_tower"] >= 0
    assert CARD.parameters["film_coding_small"] > 0
