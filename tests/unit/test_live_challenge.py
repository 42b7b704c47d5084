"""Challenges: geometry of made meshes, movements, consistency, voice and lips, and the course of them all."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from faces_made import drawn_face
from media_made import write_film
from numpy.typing import NDArray

from unmask.card import find_cards
from unmask.live import LiveOptions, watch
from unmask.live.challenge import geometry
from unmask.live.challenge.conductor import Conductor
from unmask.live.challenge.judge import Answer, Judgement, Rest, Sample, consistency, done, judge
from unmask.live.challenge.tasks import NAMES, Task, draw, source_of_chance
from unmask.live.challenge.voice import Voice, agreement
from unmask.live.events import ChallengeEvent
from unmask.live.looks import Seen
from unmask.live.settings import read_settings

P = read_settings().challenge
Mesh = NDArray[np.float64]
REPORT_ABOVE = 9.0


def head(mouth: float = 0.03, seed: int = 4) -> Mesh:
    """(468, 3): a head of 200 pixels, deep as a head is; the mouth opens by this share."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-1, 1, (468, 3))
    points[:, 2] = -np.sqrt(np.clip(1.4 - points[:, 0] ** 2 - points[:, 1] ** 2, 0, None))
    points *= (70.0, 90.0, 80.0)
    for right, left in ((33, 263), (133, 362)):
        x = 45.0 if right == 33 else 18.0
        points[right], points[left] = (-x, -25, -50), (x, -25, -50)
    points[1] = (0, 10, -100)
    points[13], points[14] = (0, 50 - mouth * 45, -60), (0, 50 + mouth * 45, -60)
    return points


def seen_from(mesh: Mesh, yaw: float = 0, pitch: float = 0, scale: float = 1, shift: float = 0) -> Mesh:
    """The head turned by degrees, larger, and moved to the side."""
    y, p = np.radians(yaw), np.radians(pitch)
    turn = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    tip = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    return scale * mesh @ (tip @ turn).T + (300 + shift, 200, 0)


REST = Rest(seen_from(head()), 0.0, None)


def answer(task: Task, meshes: list[Mesh | None], **values: object) -> Answer:
    swaps = values.pop("swaps", [0.0] * len(meshes))
    samples = [Sample(i / 10, m, s) for i, (m, s) in enumerate(zip(meshes, swaps, strict=True))]
    return Answer(task, samples, REST, P, REPORT_ABOVE, **values)  # type: ignore[arg-type]


def there_and_back(peak: float, steps: int = 12) -> list[float]:
    return [*np.linspace(0, peak, steps), *np.linspace(peak, 0, steps)]


# Geometry ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (30, 0), (-25, 0), (0, 15), (0, -12)])
def test_a_turn_is_measured_against_rest(yaw: float, pitch: float) -> None:
    pose = geometry.pose_against(REST.mesh, seen_from(head(), yaw, pitch, 1.3, 40))
    assert (pose.yaw, pose.pitch) == (pytest.approx(yaw, abs=0.2), pytest.approx(pitch, abs=0.2))


def test_shape_is_blind_to_turns_and_sees_another_head() -> None:
    assert geometry.shape_difference(REST.mesh, seen_from(head(), 35, 10, 1.4)) < 1e-6
    assert geometry.shape_difference(REST.mesh, seen_from(head(seed=9), 35)) > P.shape_most


def test_size_is_blind_to_turns() -> None:
    assert geometry.size(seen_from(head(), 40)) == pytest.approx(geometry.size(REST.mesh))
    assert geometry.size(seen_from(head(), scale=1.3)) == pytest.approx(1.3 * geometry.size(REST.mesh))


def test_a_flat_picture_that_is_turned_leaves_little_and_a_head_more() -> None:
    flat = REST.mesh.copy()
    flat[:, 2] = 0
    turned = flat @ np.array([[np.cos(0.5), 0, 0], [0, 1, 0], [0, 0, 1]])
    assert geometry.flat_residual(flat, turned) < 1e-6
    assert geometry.flat_residual(REST.mesh, seen_from(head(), 30)) > 0.02


def test_the_mouth() -> None:
    assert geometry.mouth_opening(head(mouth=0.4)) == pytest.approx(0.4)


def test_the_middle_of_meshes_of_a_moving_head_is_the_head() -> None:
    meshes = [seen_from(head(), shift=3.0 * i, scale=1 + i / 100) for i in range(6)]
    assert geometry.shape_difference(meshes[-1], geometry.middle_mesh(meshes)) < 1e-6


def test_a_covered_half_is_unlike_itself_and_the_other_is_not() -> None:
    face = drawn_face(64)
    hidden = face.copy()
    hidden[:, 32:] = np.random.default_rng(2).integers(80, 120, (64, 32, 3))
    left, right = geometry.likeness(face, hidden)
    assert left > P.uncovered_above
    assert right < P.covered_below


# Tasks -------------------------------------------------------------------------------------------------------


def test_each_kind_comes_once_before_any_comes_again() -> None:
    tasks = draw(12, random.Random(5), P, sound=True)
    assert sorted(t.name for t in tasks[:6]) == sorted(NAMES) == sorted(t.name for t in tasks[6:])
    assert all(t.name != "words" for t in draw(20, random.Random(5), P, sound=False))


def test_chance_is_repeatable_only_with_a_seed() -> None:
    assert draw(6, source_of_chance(3), P, True) == draw(6, source_of_chance(3), P, True)
    assert len({tuple(draw(6, source_of_chance(None), P, True)) for _ in range(5)}) > 1


def test_every_task_says_what_to_do() -> None:
    for task in draw(6, random.Random(1), P, True):
        assert task.text.endswith(".") and task.seconds > 0


# Movements ---------------------------------------------------------------------------------------------------

TURN = Task("turn", 9.0, "left", 25.0)


def turn_by(*angles: float) -> list[Mesh | None]:
    return [seen_from(head(), yaw) for yaw in angles]


def test_a_turn_to_the_side_asked_for_passes() -> None:
    judged = judge(answer(TURN, turn_by(*there_and_back(32))))
    assert (judged.outcome, judged.reason.code) == ("passed", "challenge.passed")
    assert judged.numbers["turned_degrees"] == pytest.approx(32, abs=0.3)


@pytest.mark.parametrize(
    ("angles", "code"),
    [
        (there_and_back(15), "challenge.not_seen"),
        (there_and_back(-32), "challenge.other_side"),
        (list(np.linspace(0, 32, 20)), "challenge.not_seen"),
    ],
    ids=["too little", "other side", "not back"],
)
def test_other_turns_fail(angles: list[float], code: str) -> None:
    judged = judge(answer(TURN, turn_by(*angles)))
    assert (judged.outcome, judged.reason.code) == ("failed", code)


def test_in_a_mirror_the_sides_change() -> None:
    assert judge(answer(TURN, turn_by(*there_and_back(-32)), mirrored=True)).outcome == "passed"


def test_nods_closer_and_mouth() -> None:
    up = [seen_from(head(), pitch=a) for a in there_and_back(16)]
    assert judge(answer(Task("nod", 9.0, "up", 12.0), up)).outcome == "passed"
    assert judge(answer(Task("nod", 9.0, "down", 12.0), up)).outcome == "failed"
    near = [seen_from(head(), scale=s) for s in np.linspace(1, 1.35, 15)]
    assert judge(answer(Task("closer", 9.0, amount=1.3), near)).outcome == "passed"
    assert judge(answer(Task("closer", 9.0, amount=1.4), near)).outcome == "failed"
    wide = [seen_from(head(mouth=m)) for m in [*there_and_back(0.45), *there_and_back(0.5)]]
    assert judge(answer(Task("mouth", 9.0, amount=2.0), wide)).outcome == "passed"
    assert judge(answer(Task("mouth", 9.0, amount=3.0), wide)).outcome == "failed"
    assert judge(answer(Task("mouth", 9.0, amount=1.0), wide[:14])).outcome == "failed"


def cover(left: float, right: float) -> Judgement:
    samples = [Sample(i / 10, None, None, (left, right) if 5 <= i < 15 else (0.9, 0.9)) for i in range(20)]
    return judge(Answer(Task("cover", 9.0, "left"), samples, REST, P, REPORT_ABOVE))


def test_a_hand_hides_one_half_only() -> None:
    assert cover(left=0.8, right=0.1).outcome == "passed"
    assert cover(left=0.1, right=0.8).outcome == "failed"
    assert cover(left=0.1, right=0.1).outcome == "failed"
    assert cover(left=0.9, right=0.7).reason.code == "challenge.not_seen"


def test_done_as_soon_as_the_movement_is_complete() -> None:
    angles = there_and_back(32)
    assert not done(answer(TURN, turn_by(*angles[:12])))
    assert done(answer(TURN, turn_by(*angles)))


def test_too_few_looks_are_not_judged() -> None:
    judged = judge(answer(TURN, turn_by(0, 32, 0)))
    assert (judged.outcome, judged.reason.code) == ("not_judged", "challenge.too_few")


# Consistency -------------------------------------------------------------------------------------------------


def test_another_shape_during_the_turn_fails() -> None:
    meshes: list[Mesh | None] = [seen_from(head(seed=9), a) for a in there_and_back(32)]
    meshes[:3] = turn_by(0, 0, 0)
    signs, numbers = consistency(answer(TURN, meshes))
    assert numbers["shape_difference"] > P.shape_most
    assert "challenge.shape" in [reason.code for reason in signs]


def test_a_face_that_jumps_fails() -> None:
    meshes = [seen_from(head(), a, shift=120.0 * (i == 9)) for i, a in enumerate(there_and_back(32))]
    assert judge(answer(TURN, meshes)).reason.code == "challenge.jump"


def test_a_face_that_vanishes_at_large_angles_fails() -> None:
    angles = there_and_back(32, 25)
    meshes = [None if 14 <= i < 36 else m for i, m in enumerate(turn_by(*angles))]
    judged = judge(answer(replace(TURN, amount=14.0), meshes))
    assert (judged.outcome, judged.reason.code) == ("failed", "challenge.lost")


def test_signs_of_blending_during_the_answer_only_fail() -> None:
    angles = there_and_back(32)
    judged = judge(answer(TURN, turn_by(*angles), swaps=[12.0] * len(angles)))
    assert judged.reason.code == "challenge.blended"
    few = judge(answer(TURN, turn_by(*angles), swaps=[12.0] * 4 + [0.0] * (len(angles) - 4)))
    assert few.outcome == "passed"


# Voice and lips ----------------------------------------------------------------------------------------------

WORDS = Task("words", 9.0, words=("apple", "bridge", "candle"))


def spoken(shift: float = 0.0, still: bool = False) -> tuple[list[Mesh | None], Voice]:
    """Lips at ten looks a second, voice each 32 ms: three words with pauses."""
    times = np.arange(0, 9, 0.032)
    loud = ((times > 2) & (times < 3)) | ((times > 4) & (times < 5)) | ((times > 6) & (times < 7))
    moments = np.arange(0, 9, 0.1)
    at = moments - shift
    talks = ((at > 2) & (at < 3)) | ((at > 4) & (at < 5)) | ((at > 6) & (at < 7))
    mouths = np.where(talks & (not still), 0.12 + 0.1 * np.sin(at * 20), 0.02)
    return [seen_from(head(mouth=float(m))) for m in mouths], Voice(times, loud.astype(float))


def test_lips_that_move_with_the_voice_pass() -> None:
    meshes, voice = spoken()
    judged = judge(answer(WORDS, meshes, voice=voice))
    assert judged.outcome == "passed", judged
    assert abs(judged.numbers["lips_shift"]) <= 0.2


@pytest.mark.parametrize(("shift", "still"), [(0.0, True), (0.9, False)], ids=["still lips", "late lips"])
def test_lips_that_do_not_agree_fail(shift: float, still: bool) -> None:
    meshes, voice = spoken(shift, still)
    assert judge(answer(WORDS, meshes, voice=voice)).reason.code == "challenge.lips"


def test_silence_and_no_sound() -> None:
    meshes, voice = spoken()
    silent = Voice(voice.times, np.zeros_like(voice.times))
    assert judge(answer(WORDS, meshes, voice=silent)).reason.code == "challenge.no_speech"
    judged = judge(answer(WORDS, meshes, voice=None))
    assert (judged.outcome, judged.reason.code) == ("not_judged", "challenge.no_sound")


def test_the_shift_between_lips_and_voice_is_found() -> None:
    grid = np.arange(0, 8, 0.05)
    voice = ((grid > 2) & (grid < 3)) | ((grid > 5) & (grid < 5.6))
    late = np.cumsum(np.interp(grid - 0.4, grid, voice.astype(float))) * 0.05
    _, shift = agreement(Voice(grid, voice.astype(float)), (grid, late))
    assert shift == pytest.approx(0.4, abs=0.11)


# The course --------------------------------------------------------------------------------------------------


def conductor(count: int = 2, seed: int = 1) -> Conductor:
    card = next(card for card in find_cards() if card.id == "face.swap")
    return Conductor(count, seed, P, card)


def test_without_a_face_nothing_is_judged_and_it_ends() -> None:
    course = conductor()
    black = np.zeros((8, 8, 3), np.uint8)
    events = [e for i in range(1200) for e in course.feed(Seen(i / 10, black, (), 0, None, False), None)]
    assert [(e.what, e.outcome) for e in events] == [("judged", "not_judged")] * 2
    assert events[0].reason is not None and events[0].reason.code == "challenge.no_face"
    assert not course.active
    summary = course.finish(120.0)[0]
    assert summary.numbers["not_judged"] == 2
    assert "no proof" in summary.text


def growing(place: Path, hide: bool = False) -> Path:
    """Three seconds of a still drawn face, then it comes closer, or a patch hides the right of the picture."""
    rng = np.random.default_rng(3)
    frames = []
    for i in range(130):
        move = float(np.clip((i - 40) / 30, 0, 1))
        side = round(110 * (1 + (0 if hide else 0.7 * move)))
        frame = cv2.resize(rng.integers(90, 150, (15, 20, 3), np.uint8), (320, 240)) * 0 + 120
        left, top = 160 - side // 2, 120 - side // 2
        frame[top : top + side, left : left + side] = drawn_face(side)
        if hide and i > 45:
            frame[top : top + side, 160:] = cv2.resize(rng.integers(90, 110, (6, 6, 3), np.uint8), (160, side))
        frames.append(np.clip(frame + rng.normal(0, 1.5, frame.shape), 0, 255).astype(np.uint8))
    return write_film(place, frames, fps=12)


def first_seed(name: str) -> int:
    return next(s for s in range(500) if draw(1, source_of_chance(s), P, False)[0].name == name)


def challenge_events(film: Path, name: str) -> list[ChallengeEvent]:
    options = LiveOptions(fast=True, only=("face.swap",), challenges=1, seed=first_seed(name))
    return [e for e in watch(str(film), options) if isinstance(e, ChallengeEvent)]


def test_a_film_of_a_face_that_comes_closer(tmp_path: Path) -> None:
    issued, judged, summary = challenge_events(growing(tmp_path / "closer.mp4"), "closer")
    assert (issued.what, issued.text) == ("issued", "Come closer to the camera.")
    assert judged.outcome == "passed", judged
    assert float(judged.numbers["size_ratio"]) >= float(judged.numbers["asked_ratio"])  # type: ignore[arg-type]
    assert summary.numbers["passed"] == 1


def test_the_same_film_does_not_answer_another_challenge(tmp_path: Path) -> None:
    events = challenge_events(growing(tmp_path / "closer.mp4"), "turn")
    judged = next(e for e in events if e.what in ("judged", "summary"))
    assert judged.outcome != "passed"


def test_what_a_person_is_told() -> None:
    mouth = Task("mouth", 9.0, amount=2.0)
    assert mouth.text == "Open your mouth wide and close it, twice."
    assert Task("turn", 9.0, "left", 27.0).text.startswith("Turn your head to your left")
