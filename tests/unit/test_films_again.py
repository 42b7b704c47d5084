"""Second looks at faces whose scores waver, and what each look counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from faces_made import scene
from test_face_swap_film import scored
from test_films import film

from unmask.detectors.face_swap import film_again, film_tower
from unmask.detectors.face_swap.detector import CARD
from unmask.detectors.face_swap.faces import BOTH, SMALL, FaceScore, levels
from unmask.detectors.face_swap.film_again import looked_again, wavers
from unmask.detectors.face_swap.film_evidence import Course, TrackScore, runs
from unmask.detectors.face_swap.film_tower import with_tower
from unmask.detectors.face_swap.weights import shares, weighted_median
from unmask.errors import ModelError
from unmask.films.between import Gap, looks_between
from unmask.films.people import FaceTrack, Person
from unmask.models.tower import networks_fact
from unmask.subject import Subject

P = levels(CARD.parameters, SMALL)
ABOVE, ROOM = P["report_above"], P["film_room"]


@pytest.mark.parametrize("count", [1, 2, 7, 8])
def test_without_second_looks_it_is_the_usual_median(count: int) -> None:
    values = np.random.default_rng(count).normal(0, 3, count)
    weights = shares(np.arange(count) * 0.7, np.zeros(count, np.bool_))
    assert weights.tolist() == [1.0] * count
    assert weighted_median(values, weights) == pytest.approx(float(np.median(values)))


def test_second_looks_divide_the_time_that_is_there() -> None:
    times = np.array([0.0, 1.0, 1.25, 1.5, 2.0, 3.0])
    later = np.array([False, False, True, True, False, False])
    found = shares(times, later)
    assert found.sum() == pytest.approx(4.0) and found[[0, 5]].tolist() == [1.0, 1.0]
    assert found[1:5].tolist() == pytest.approx([0.5 + 0.125, 0.25, 0.375, 0.5 + 0.25])


def test_many_looks_around_one_high_moment_do_not_raise_the_score() -> None:
    times = np.concatenate([np.arange(9.0), np.linspace(3.2, 4.8, 12)])
    scores = np.concatenate([np.where(np.arange(9) == 4, 12.0, 0.0), np.full(12, 12.0)])
    order = np.argsort(times)
    later = (np.arange(times.size) >= 9)[order]
    one = TrackScore(scored(1, [0.0] * 9).track, times[order], scores[order], 1.0, (), later)
    assert float(np.median(scores)) == 12.0 and one.score == 0.0


def test_where_scores_waver() -> None:
    one = scored(1, [0, 1, ABOVE + 1, ABOVE + 2, 1.5, 1.5 + P["film_waver"] + 0.1, 5.0], step=2.0)
    assert [(gap.before, gap.after) for _, _, gap in wavers([one], P)] == [(6.0, 8.0), (2.0, 4.0), (8.0, 10.0)]
    near = scored(1, [0, 12, 0, 12], step=ROOM / 2)
    assert not wavers([near], P), "nearer than the looks at a short film"
    assert not wavers([scored(1, [0, 1, 2, 3], step=2.0)], P)


def test_nobody_is_looked_for_between_two_appearances() -> None:
    one = scored(1, [0.0, 12.0, 0.0, 0.0], step=2.0)
    parts = FaceTrack(1, [0.0], [(0.0, 0.0, 9.0, 9.0)]), FaceTrack(2, [2.0, 4.0, 6.0], [(0.0, 0.0, 9.0, 9.0)] * 3)
    person = TrackScore(Person(1, parts, 1.0), one.times, one.scores, 1.0, one.moments)
    assert [(gap.track.number, gap.before) for _, _, gap in wavers([person], P)] == [(2, 2.0)]


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    """Six seconds of one face, with key frames far apart."""
    return film(tmp_path / "a.mp4", [scene((100 + i, 100, 220)) for i in range(60)])


def test_a_forged_part_gets_sharper_ends(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that says 12 from 2.1 to 3.9 s finds these ends twice as well, and the score stays."""
    asked: list[float] = []

    def said(rgb: np.ndarray, faces: list[object]) -> list[FaceScore]:
        time = now.pop(0)
        asked.append(time)
        return [FaceScore(faces[0], 12.0 if 2.1 <= time <= 3.9 else 0.0, np.zeros((14, 14), np.float32), 1.0)]  # type: ignore[arg-type]

    def looked(*args: object) -> list[object]:
        found = looks_between(*args)  # type: ignore[arg-type]
        now.extend(look.time for look in found if look is not None)
        return list(found)

    now: list[float] = []
    monkeypatch.setattr(film_again, "score_faces", said)
    monkeypatch.setattr(film_again, "looks_between", looked)
    (track,) = subject.people.tracks
    kept = [g for g in track.glimpses if min(abs(g.time - t) for t in (0.0, 1.5, 3.0, 4.5, 5.7)) < 0.2]
    scores = [12.0 if 2.1 <= g.time <= 3.9 else 0.0 for g in kept]
    moments = tuple((g, FaceScore(g.face, s, np.zeros((14, 14)), 1.0)) for g, s in zip(kept, scores, strict=True))
    first = TrackScore(track, np.array([g.time for g in kept]), np.array(scores), 1.0, moments)
    (found,) = looked_again(subject.video, [first], P)
    assert 3 <= len(asked) <= P["film_more_looks"] and found.score == first.score == 0.0
    ((start, end, _, count),) = runs(found.times, found.scores, ABOVE, 2)
    assert count >= 3 and abs(start - 2.1) < 0.4 and abs(end - 3.9) < 0.4
    gaps = np.diff(found.times)
    assert gaps.min() >= ROOM / 2 - 0.11 and np.all(np.diff(found.times) > 0) and len(found.moments) == found.times.size


def test_the_tower_is_asked_at_some_looks_and_taken_to_change_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def said(rgb: np.ndarray, faces: list[object]) -> list[float]:
        asked.append(0.0)
        return [float(len(asked))]

    monkeypatch.setattr(film_tower, "tower_scores", said)
    one = scored(1, [0.0] * 30)
    p = {**CARD.parameters, "film_tower_looks": 4, "film_tower_most": 6, "tower_weight": 2.0}
    (found,), stratum, why = with_tower([one], p)
    assert (len(asked), stratum, why) == (4, BOTH, "") and found.tower is not None
    assert found.scores[0] == 2.0 and found.scores[-1] == 8.0 and np.all(np.diff(found.scores) >= 0)
    assert found.small == pytest.approx(one.scores) and found.score == pytest.approx(5.0, abs=0.3)
    with_tower([one, one], p)
    assert len(asked) == 4 + 2 * 3, "faces share what a film may ask"
    monkeypatch.setattr(film_tower, "tower_scores", lambda rgb, faces: ModelError("model.unknown", "none"))
    (alone,), stratum, why = with_tower([one], p)
    assert (alone.tower, stratum, why) == (None, SMALL, "not installed")
    assert (
        "models get" in networks_fact("face.swap", why).text and "models get" not in networks_fact("face.swap", "").text
    )


def test_later_looks_get_the_towers_part_too() -> None:
    one = scored(1, [0, 0, 12, 12], step=2.0)
    lifted = TrackScore(
        one.track, one.times, one.scores + 3, 1.0, one.moments, tower=Course(one.times[:1], np.full(1, 3.0))
    )
    assert lifted.small == pytest.approx(one.scores)
    assert [g.before for _, _, g in wavers([lifted], P)] == [g.before for _, _, g in wavers([one], P)]


def test_a_look_between_lies_in_the_middle_and_on_the_face(subject: Subject) -> None:
    (track,) = subject.people.tracks
    first, other = looks_between(subject.video, [Gap(track, 4.0, 5.0), Gap(track, 1.0, 2.0)])
    assert first is not None and other is not None
    assert first.time == pytest.approx(4.5, abs=0.06) and other.time == pytest.approx(1.5, abs=0.06)
    assert first.size == pytest.approx(track.size, rel=0.2) and first.face.sharpness > 0
    assert looks_between(subject.video, [Gap(track, 1.0, 1.05)]) == [None]
