"""video.synthetic: which frames are looked at, and what the looks of scenes say together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from faces_made import scene
from test_films import film

from unmask import Options, Scanner
from unmask.card import find_cards
from unmask.detectors.image_synthetic.detector import Answer
from unmask.detectors.image_synthetic.networks import ENLARGED, FAMILIES, Opinion, Patches
from unmask.detectors.image_synthetic.views import Pixels
from unmask.detectors.video_synthetic.detector import CARD, examine, examine_film
from unmask.detectors.video_synthetic.scenes import first_looks, further_looks, scenes, told
from unmask.media.video import SmallFrames
from unmask.report import Evidence, Finding
from unmask.subject import Subject
from unmask.verdict import read_rules

P = CARD.parameters
LEVEL = P["report_above_tower"]
PATCHES = Patches(np.zeros(1, np.float32), [(0, 0)])
SHADES = (40, 200, 90, 230, 60, 180, 120, 250, 20, 150)


def answer(raw: float, stratum: str = "tower", family: str = "", distance: float = 0.5) -> Answer:
    return Answer(raw, stratum, family, distance, Opinion(0.0, np.zeros(4, np.float32), distance), PATCHES, "")


def shots(path: Path, count: int, frames: int = 12) -> Subject:
    """A film of ``count`` plain scenes, each with a shade of its own."""
    return film(path, [np.full((192, 256, 3), SHADES[i], np.uint8) for i in range(count) for _ in range(frames)])


def by_shade(raws: Sequence[float], family: str = "") -> Callable[[Pixels], Answer]:
    """Networks that answer by the shade of a frame."""

    def ask(pixels: Pixels) -> Answer:
        return answer(raws[int(np.abs(np.array(SHADES) - pixels.mean()).argmin())], family=family)

    return ask


def said(subject: Subject, raws: Sequence[float], family: str = "") -> Finding:
    return examine_film(subject, by_shade(raws, family), lambda _: True)


def marked(finding: Finding) -> list[Evidence]:
    return [one for one in finding.evidence if one.kind == "segments"]


def small_of(cuts: Sequence[int], n: int) -> SmallFrames:
    """Thumbnails of a film of ``n`` frames at ten a second with cuts at these frames."""
    change = np.where(np.isin(np.arange(n), cuts), 60, 1).astype(np.float32)
    luma = np.zeros((n, 4, 4), np.uint8)
    return SmallFrames(luma, np.arange(n) / 10, np.full(n, "P"), np.zeros(n, np.bool_), change, True)


def test_a_film_that_seems_enlarged_may_be_a_camera_film(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [scene(size=(192, 256))] * 9)
    high = P["report_above_tower"] + P["coding_tower"] + 1
    said_of = {
        name: examine_film(path, lambda _, name=name: answer(high, family=name), lambda _: True).reason.text
        for name in (ENLARGED, FAMILIES[0], "")
    }
    assert "may be a film that a network enlarged" in said_of[ENLARGED]
    assert said_of[FAMILIES[0]].endswith("The likely kind is: a GAN.")
    assert "likely kind" not in said_of[""]


@pytest.mark.parametrize("stratum", ["tower", "small"])
@pytest.mark.parametrize(("above", "code"), [(-0.01, "synthetic.none"), (0.01, "synthetic.signs")])
def test_a_film_of_one_scene_is_the_median_less_what_coding_adds(
    tmp_path: Path, stratum: str, above: float, code: str
) -> None:
    coding, level = P[f"coding_{stratum}"], P[f"report_above_{stratum}"]
    found = examine_film(
        film(tmp_path / "a.mp4", [scene(size=(192, 256))] * 9),
        lambda _: answer(level + coding + above, stratum),
        lambda _: True,
    )
    assert (found.status, found.reason.code, found.stratum) == ("ok", code, stratum)
    assert found.raw_score == pytest.approx(level + above, abs=1e-6)
    curve = next(one for one in found.evidence if one.kind == "plot").data
    assert curve is not None and len(curve["x"]) == P["even_looks"]  # type: ignore[arg-type]
    assert bool(marked(found)) == (above > 0)


def test_one_generated_scene_among_others_is_found_and_placed(tmp_path: Path) -> None:
    found = said(shots(tmp_path / "a.mp4", 6), [-2, -1, -3, 7, -2, -1], "diffusion or a latent decoder")
    assert found.raw_score == pytest.approx(7 - P["scene_slope"] * np.log(7), abs=1e-6)
    assert found.reason.code == "synthetic.signs"
    assert "3.6 to 4.8 s" in found.reason.text and "diffusion" in found.reason.text
    data = marked(found)[0].data
    assert data is not None and [(s["start"], s["end"], s["sign"]) for s in data["segments"]] == [(3.6, 4.8, True)]  # type: ignore[union-attr,index,call-overload]


def test_a_scene_that_does_not_stand_out_far_enough_is_shown_but_no_sign(tmp_path: Path) -> None:
    found = said(shots(tmp_path / "a.mp4", 6), [-2, -1, -3, LEVEL + 0.5, -2, -1])
    assert found.reason.code == "synthetic.none" and found.raw_score is not None and found.raw_score < LEVEL
    assert "look at it. Of 6 scenes one may" in found.reason.text
    data = marked(found)[0].data
    assert data is not None and not any(s.get("sign") for s in data["segments"])  # type: ignore[union-attr]


def test_a_film_of_generated_scenes_only_is_not_held_to_more(tmp_path: Path) -> None:
    found = said(shots(tmp_path / "a.mp4", 6), [LEVEL + 0.2] * 6)
    assert found.raw_score == pytest.approx(LEVEL + 0.2) and "as a whole" in found.reason.text


def test_one_odd_frame_makes_no_scene(tmp_path: Path) -> None:
    raws = iter([9.0] + [-2.0] * 40)
    found = examine_film(shots(tmp_path / "a.mp4", 6), lambda _: answer(next(raws)), lambda _: True)
    assert found.raw_score == pytest.approx(-2.0) and not marked(found)


def test_flat_and_unlike_films_are_declined(tmp_path: Path) -> None:
    subject = shots(tmp_path / "a.mp4", 2)
    assert examine_film(subject, by_shade([0] * 10), lambda _: False).reason.code == "synthetic.flat"
    assert examine(subject, Options()).reason.code == "synthetic.flat"
    unlike = examine_film(subject, lambda _: answer(9.0, distance=99.0), lambda _: True)
    assert (unlike.status, unlike.reason.code) == ("declined", "drift.unlike_training")
    tiny = film(tmp_path / "b.mp4", [scene(size=(96, 128))] * 9)
    assert examine(tiny, Options()).reason.code == "synthetic.too_small"


def test_scenes_cover_the_film_and_do_not_overlap() -> None:
    parts = scenes(small_of([30, 50], 90))
    assert [(one.first, one.last) for one in parts] == [(0, 29), (30, 49), (50, 89)]
    assert [(round(one.start, 1), round(one.end, 1)) for one in parts] == [(0.0, 3.0), (3.0, 5.0), (5.0, 9.0)]


def test_looks_lie_in_as_many_scenes_as_there_is_room_for_the_longest_first() -> None:
    small = small_of([5, 8, 20, 24], 400)
    parts = scenes(small)
    even, more = first_looks(small, parts, 8, 10)
    assert len(even) == 8 and more.tolist() == [2, 13]
    assert first_looks(small, parts, 8, 8)[1].size == 0


def test_leaning_scenes_get_looks_within_the_room() -> None:
    small = small_of([20, 40, 43], 60)
    parts = scenes(small)
    looks = {10: 5.0, 30: 1.0, 41: 9.0, 50: 6.0}
    assert further_looks(small, parts, looks, 2.9, 3, 8).tolist() == [4, 15, 40, 42, 47, 56]
    # The highest come first; the second does not fit as a whole, so it gets none.
    assert further_looks(small, parts, looks, 2.9, 3, 3).tolist() == [40, 42]
    assert further_looks(small, parts[:1], {10: 5.0}, 2.9, 3, 8).size == 0


def test_more_scenes_ask_for_more() -> None:
    def raw(n: int) -> float:
        parts = scenes(small_of(list(range(10, 10 * n, 10)), 10 * n))
        looks = {one.first + k: (6.0 if one is parts[0] else -3.0) for one in parts for k in (1, 2, 3)}
        return told(parts, looks, list(looks), 3, 1.0).raw

    assert raw(1) == 6.0 and raw(3) > raw(6) > raw(12) > -3.0


def test_real_networks_answer(examples: Path) -> None:
    found = examine(Subject(examples / "pan.mp4"), Options())
    assert found.status == "ok" and found.stratum in ("tower", "small")
    with Scanner(Options(only=("video.synthetic",))) as scanner:
        report = scanner.scan(examples / "pan.mp4")
    assert [f.detector for f in report.findings] == ["video.synthetic"]
    assert report.findings[0].raw_score == found.raw_score


def test_its_calibration_is_that_of_pictures() -> None:
    other = next(card for card in find_cards() if card.id == CARD.calibrated_with)
    assert CARD.strata == other.strata
    for name in ("report_above_tower", "report_above_small", "drift_limit_tower", "drift_limit_small"):
        assert P[name] == other.parameters[name]
    assert read_rules().learned[CARD.id] == read_rules().learned[other.id]
    assert P["coding_tower"] >= 0 and P["coding_small"] > 0
