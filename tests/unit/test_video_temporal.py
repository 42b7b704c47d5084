"""Flicker, trembling and openings of faces that are followed frame by frame."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from faces_made import Picture, scene
from test_films import film

from unmask.detectors.video_temporal import shape, texture
from unmask.detectors.video_temporal.detector import CARD, examine
from unmask.detectors.video_temporal.points import OVAL, Regions
from unmask.detectors.video_temporal.traces import rolling_median, types_at, unusual
from unmask.films.closeup import CROP_SIDE
from unmask.media.video import SmallFrames
from unmask.options import Options

P = CARD.parameters
RNG = np.random.default_rng(3)


def parts() -> Regions:
    inside = np.zeros((CROP_SIDE, CROP_SIDE), np.bool_)
    inside[30:80, 30:80] = True
    seam = np.zeros_like(inside)
    seam[24:86, 24:86] = True
    return Regions(inside, seam & ~inside, ~seam)


def crops(count: int, flicker: float) -> np.ndarray:
    """Moving texture; inside it brightens and darkens at random."""
    ground = cv2.GaussianBlur(RNG.integers(40, 220, (160, 160, 3), np.uint8), (0, 0), 2)
    out = np.stack([ground[10 + i % 3 : 122 + i % 3, i : i + CROP_SIDE] for i in range(count)]).copy()
    for one in out:
        grain = RNG.normal(0, flicker, (50, 50, 1)) + RNG.normal(0, flicker)
        one[30:80, 30:80] = np.clip(one[30:80, 30:80] + grain, 1, 255)
    return out


def test_motion_alone_is_explained_and_flicker_is_not() -> None:
    follows = np.r_[False, np.ones(29, np.bool_)]
    steady = texture.unexplained(crops(30, 0.0), follows, parts())
    shaken = texture.unexplained(crops(30, 6.0), follows, parts())
    assert np.isnan(steady[0]).all()
    ratio = [float(np.nanmedian(texture.against(one[:, 0], one[:, 2]))) for one in (steady, shaken)]
    assert ratio[0] < 0.6
    assert ratio[1] > ratio[0] + 1.5


def test_the_rhythm_of_key_frames_is_taken_out() -> None:
    types = np.array(["I" if i % 10 == 0 else "P" for i in range(100)])
    values = np.where(types == "I", 2.0, 0.1) + 0.01 * RNG.normal(size=100)
    left = texture.without_rhythm(values, types)
    assert np.ptp(left) < 0.2
    once = np.where(np.arange(100) == 50, "I", "P")
    assert np.isnan(texture.without_rhythm(values, once)[50])


def test_trembling_is_told_beside_a_turning_head() -> None:
    head = RNG.normal(0.5, 0.15, (468, 3))
    turns = [cv2.Rodrigues(np.array([0.0, 0.4 * np.sin(i / 9), 0.0]))[0] for i in range(60)]
    steady = np.stack([(head - 0.5) @ turn.T + 0.5 for turn in turns])
    follows = np.ones(60, np.bool_)
    inner, outline = shape.trembling(steady, follows)
    assert np.nanmax(inner) < 0.2 and np.nanmax(outline) < 0.2
    noisy = steady.copy()
    noisy[:, list(OVAL), :2] += RNG.normal(0, 0.003, (60, len(OVAL), 2))
    inner, outline = shape.trembling(noisy, follows)
    assert 2.0 < np.nanmedian(outline) < 6.0
    assert np.nanmedian(inner) < 1.0


def test_lost_frames_tell_nothing() -> None:
    place = np.full((10, 468, 3), np.nan)
    place[:5] = RNG.normal(0.5, 0.1, (468, 3))
    inner, _ = shape.trembling(place, np.arange(10) < 5)
    assert np.isfinite(inner[1:4]).all() and np.isnan(inner[4:]).all()
    assert np.isnan(shape.mouth_opening(place)[5:]).all()


def test_a_stretch_that_stands_out_is_told_and_single_frames_are_not() -> None:
    times = np.arange(200) / 25
    values = 0.1 * RNG.normal(size=200)
    values[::20] = 3.0
    assert list(unusual(values, times, P)) == []
    values[80:120] += 2.0
    ((start, end, excess),) = unusual(values, times, P)
    assert start == pytest.approx(3.2, abs=0.3) and end == pytest.approx(4.8, abs=0.3)
    assert excess == pytest.approx(2.0, abs=0.4)
    assert list(unusual(np.full(200, np.nan), times, P)) == []


def test_a_median_over_too_little_is_unknown() -> None:
    values = np.array([1.0, np.nan, np.nan, np.nan, 5.0])
    assert np.isnan(rolling_median(values, np.arange(5.0), 2.0)).tolist() == [False, True, True, True, False]


def test_types_of_frames_by_their_times() -> None:
    n = 10
    small = SmallFrames(
        luma=np.zeros((n, 2, 2), np.uint8),
        times=np.arange(n) / 25,
        types=np.array(list("IPBPBPBPBI")),
        corrupt=np.zeros(n, np.bool_),
        change=np.zeros(n, np.float32),
        complete=True,
    )
    assert types_at(small, np.array([0.001, 0.041, 0.36, 9.0])).tolist() == ["I", "P", "I", "?"]


def moving(count: int) -> list[Picture]:
    return [scene((120 + i % 40, 120, 220)) for i in range(count)]


def test_a_steady_face_gives_curves_and_no_score(tmp_path: Path) -> None:
    subject = film(tmp_path / "a.mp4", moving(40), 25)
    found = examine(subject, Options())
    assert (found.status, found.reason.code) == ("ok", "temporal.even")
    assert found.raw_score is None and found.score is None
    assert {e.kind for e in found.evidence} == {"fact", "plot"}
    assert found == examine(subject, Options())


def test_a_flickering_face_stands_out(tmp_path: Path) -> None:
    pictures = moving(80)
    for i in range(40, 60):
        x = 120 + i % 40
        part = pictures[i][190:270, x + 70 : x + 150]
        grain = cv2.resize(RNG.normal(0, 14, (10, 10)), (80, 80))[..., None]
        part[:] = np.clip(part + grain, 0, 255)
    found = examine(film(tmp_path / "a.mp4", pictures, 25), Options())
    assert found.reason.code == "temporal.uneven"
    stretches = next(e for e in found.evidence if e.kind == "segments")
    assert stretches.start is not None and 1.3 < stretches.start < 1.9


@pytest.mark.parametrize(
    ("pictures", "rate", "status", "code"),
    [
        ([scene()] * 20, 10, "not_applicable", "temporal.no_face"),
        ([scene((100, 100, 40))] * 20, 10, "declined", "temporal.no_steady_face"),
        ([scene((120, 120, 220))] * 3, 25, "declined", "temporal.no_steady_face"),
        (moving(15), 5, "declined", "temporal.few_frames"),
        ([np.zeros((48, 64, 3), np.uint8)] * 5, 10, "declined", "temporal.too_small"),
    ],
)
def test_what_cannot_be_answered_has_a_reason(
    tmp_path: Path, pictures: list[Picture], rate: int, status: str, code: str
) -> None:
    found = examine(film(tmp_path / "a.mp4", pictures, rate), Options())
    assert (found.status, found.reason.code) == (status, code)
