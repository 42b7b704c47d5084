"""Which appearances are of one person: likeness, linkage, and faces that were lost for a moment."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from faces_made import drawn_face, scene

from unmask.faces.detect import detect
from unmask.faces.embed import POINTS, SIDE, chip, embed
from unmask.faces.face import Face
from unmask.faces.mesh import mesh
from unmask.films import identity
from unmask.films.people import FaceTrack, Glimpse, People

PLACE = (60.0, 60.0, 80.0, 80.0)


def ways(*angles: float) -> list[np.ndarray]:
    """Likenesses on a circle: their distance is 2 sin(half the angle between them)."""
    out = []
    for angle in angles:
        value = np.zeros(128, np.float32)
        value[:2] = np.cos(angle), np.sin(angle)
        out.append(value)
    return out


def seen(size: float = 100.0, sharpness: float = 0.6, time: float = 0.0) -> Glimpse:
    points = np.array([(80, 90), (120, 90), (100, 110), (100, 130), (60, 95), (140, 95)], np.float32)
    return Glimpse(time, np.zeros((200, 200, 3), np.uint8), Face(PLACE, points, 0.9, 0.9, sharpness), size)


def track(number: int, start: float, end: float, place: tuple[float, float, float, float] = PLACE) -> FaceTrack:
    times = np.arange(start, end + 1e-6, 1 / 3).tolist()
    return FaceTrack(number, times, [place] * len(times))


def test_persons_are_numbered_by_their_first_appearance() -> None:
    spans = [(0.0, 2.0), (3.0, 4.0), (5.0, 6.0), (7.0, 8.0)]
    a, b, c, d = ways(0.0, 2.0, 0.1, 2.1)
    assert identity.persons(spans, [a, b, c, d]) == [[0, 2], [1, 3]]
    assert identity.persons([spans[i] for i in (3, 2, 1, 0)], [a, b, c, d]) == [[3, 1], [2, 0]]
    assert identity.persons([], []) == []


def test_two_at_once_are_never_one_person() -> None:
    same = ways(0.0, 0.0, 0.0)
    assert identity.persons([(0.0, 5.0), (4.0, 9.0), (5.5, 9.0)], same) == [[0, 2], [1]]
    # A third that fits both does not bring them together.
    assert identity.persons([(0.0, 5.0), (5.0, 9.0), (10.0, 11.0)], same) == [[0, 2], [1]]


def test_who_cannot_be_told_stays_alone() -> None:
    a, b = ways(0.0, 0.1)
    assert identity.persons([(0.0, 1.0), (2.0, 3.0), (4.0, 5.0)], [a, None, b]) == [[0, 2], [1]]
    assert identity.persons([(0.0, 1.0), (2.0, 3.0)], [None, None]) == [[0], [1]]


def test_groups_are_joined_by_their_mean_distance() -> None:
    near, between, far = ways(0.0, 0.7, 1.4)
    spans = [(0.0, 1.0), (2.0, 3.0), (4.0, 5.0)]
    # Each step is small, but the ends are too far apart for all three.
    assert identity.persons(spans, [near, between, far], join=0.8) == [[0, 1], [2]]
    assert identity.persons(spans, [near, between, far], join=1.1) == [[0, 1, 2]]


def test_a_face_that_was_lost_for_a_moment_goes_on() -> None:
    a, b = track(1, 0.0, 2.0), track(2, 3.5, 6.0, (100.0, 70.0, 84.0, 84.0))
    assert identity.bridges([a, b], ways(0.0, 0.5), []) == [[0, 1]]
    assert identity.bridges([a, b], ways(0.0, 2.0), []) == [[0], [1]]
    assert identity.bridges([a, b], ways(0.0, 0.5), [3.0]) == [[0], [1]], "another scene"
    late = track(2, 4.5, 6.0)
    assert identity.bridges([a, late], ways(0.0, 0.0), []) == [[0], [1]], "lost for too long"
    elsewhere = track(2, 3.0, 6.0, (400.0, 60.0, 80.0, 80.0))
    assert identity.bridges([a, elsewhere], ways(0.0, 0.0), []) == [[0], [1]]
    large = track(2, 3.0, 6.0, (40.0, 40.0, 160.0, 160.0))
    assert identity.bridges([a, large], ways(0.0, 0.0), []) == [[0], [1]]


def test_a_blurred_face_goes_on_only_where_it_was() -> None:
    a, b = track(1, 0.0, 2.0), track(2, 3.0, 4.0, (70.0, 65.0, 80.0, 80.0))
    aside = track(2, 3.0, 4.0, (150.0, 65.0, 80.0, 80.0))
    assert identity.bridges([a, b], [None, None], []) == [[0, 1]]
    assert identity.bridges([a, aside], [None, None], []) == [[0], [1]]


def test_of_two_that_come_back_the_one_alike_goes_on() -> None:
    a, b, c = track(1, 0.0, 2.0), track(2, 3.0, 6.0), track(3, 3.0, 6.0, (90.0, 60.0, 80.0, 80.0))
    assert identity.bridges([a, b, c], ways(0.0, 0.8, 0.0), []) == [[0, 1], [2]] or identity.bridges(
        [a, b, c], ways(0.0, 0.8, 0.0), []
    ) == [[0, 2], [1]]
    assert sorted(map(len, identity.bridges([a, b, c], ways(0.0, 0.1, 0.1), []))) == [1, 2]


def test_the_best_glimpses_speak_and_useless_ones_do_not() -> None:
    many = [seen(sharpness=0.3 + 0.02 * i) for i in range(20)]
    assert identity.best_looks(many) == many[:-9:-1]
    assert identity.best_looks([seen(size=20.0), seen(sharpness=0.1)]) == []
    assert identity.quality(seen(size=40.0)) < identity.quality(seen(size=100.0)) < identity.quality(seen(size=200.0))


def test_people_without_comparison_are_as_many_as_appearances() -> None:
    tracks = track(1, 0.0, 2.0), track(2, 3.0, 4.0)
    people = People(tracks, np.arange(0.0, 10.0, 1 / 3), (), 0, 0)
    assert [p.number for p in people.persons] == [1, 2]
    one = people.persons[0]
    assert (one.start, one.end, one.seen) == (0.0, pytest.approx(2.0), 7) and one.share == pytest.approx(7 / 30)
    assert one.size == pytest.approx(80.0)


def test_a_chip_shows_the_face_upright() -> None:
    rgb = scene((150, 100, 300))
    turned = np.asarray(cv2.warpAffine(rgb, cv2.getRotationMatrix2D((300, 250), 20, 1.0), rgb.shape[1::-1]), np.uint8)
    chips = [chip(pixels, detect(pixels)[0]) for pixels in (rgb, turned)]
    assert chips[0].shape == (SIDE, SIDE, 3) and chip(rgb, detect(rgb)[0], 180, 22).shape == (224, 224, 3)
    inner = [c[30:120, 30:120].astype(int) for c in chips]
    assert np.abs(inner[0] - inner[1]).mean() < 12
    assert mesh(rgb, detect(rgb)[0])[list(POINTS)].shape == (5, 3)


def test_a_face_is_like_itself_in_other_light_and_size() -> None:
    face = drawn_face(300)
    rgb = scene((150, 100, 300))
    dark = np.clip(rgb * 0.7 + 5, 0, 255).astype(np.uint8)
    small = scene((200, 150, 120))
    first, other, third = (embed(pixels, detect(pixels)[0]) for pixels in (rgb, dark, small))
    assert face.shape == (300, 300, 3) and first.shape == (128,) and first.dtype == np.float32
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-4)
    assert np.linalg.norm(first - other) < identity.JOIN and np.linalg.norm(first - third) < identity.JOIN
    assert np.array_equal(first, embed(rgb, detect(rgb)[0]))


@pytest.mark.kit
def test_named_people_are_told_apart(kit: Path) -> None:
    """Pictures of people that the network was never tuned on: few different ones as near as `identity.JOIN`."""
    from PIL import Image

    with (kit / "manifest-images.csv").open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["method"] == "LFW 250"]
    values, names = [], []
    for row in rows:
        rgb = np.asarray(Image.open(kit / row["path"]).convert("RGB"), np.uint8)
        values.append(embed(rgb, detect(rgb)[0]))
        names.append(row["source_path"].split("/")[1])
    i, j = np.triu_indices(len(names), 1)
    distance = np.linalg.norm(np.stack(values)[i] - np.stack(values)[j], axis=1)
    same = np.array(names)[i] == np.array(names)[j]
    assert (distance[same][:, None] < distance[~same]).mean() > 0.9
    assert (distance[~same] < identity.JOIN).mean() < 0.01
