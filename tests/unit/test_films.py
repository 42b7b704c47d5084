"""Planned frames, faces through a film, and the questions of pictures asked of films."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from faces_made import Picture, scene
from media_made import write_film

from unmask.detectors.face_swap.film_evidence import TrackScore
from unmask.faces.blaze import overlap
from unmask.faces.detect import detect
from unmask.faces.face import Face
from unmask.films.lookout import Lookout
from unmask.films.people import GLIMPSES, MOST_SIDE, FaceTrack, glimpse
from unmask.films.plan import cuts, planned, spread
from unmask.media.video import SmallFrames
from unmask.options import Options
from unmask.subject import Subject


def small(times: np.ndarray, change: np.ndarray | None = None, corrupt: np.ndarray | None = None) -> SmallFrames:
    n = len(times)
    return SmallFrames(
        luma=np.zeros((n, 8, 8), np.uint8),
        times=times,
        types=np.full(n, "P"),
        corrupt=np.zeros(n, np.bool_) if corrupt is None else corrupt,
        change=np.zeros(n, np.float32) if change is None else change.astype(np.float32),
        complete=True,
    )


def film(path: Path, pictures: list[Picture], rate: int = 10) -> Subject:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return Subject(path)


def test_planned_frames_are_even_and_few() -> None:
    short, long = np.arange(300) / 30, np.arange(72000) / 10
    found = planned(small(short))
    assert found.tolist() == list(range(0, 300, 10))
    assert 200 <= planned(small(long)).size <= 240


@pytest.mark.parametrize("rate", [5.0, 24.0, 29.97, 240.0])
def test_any_frame_rate_gives_three_a_second_at_most(rate: float) -> None:
    times = np.arange(int(rate * 20)) / rate
    assert 55 <= planned(small(times)).size <= 60


def test_the_first_frame_of_a_scene_is_planned_and_guessed_frames_are_not() -> None:
    change = np.full(90, 1.0)
    change[44] = 60.0
    corrupt = np.zeros(90, np.bool_)
    corrupt[:5] = True
    made = small(np.arange(90) / 30, change, corrupt)
    assert cuts(made).tolist() == [44]
    assert 44 in planned(made) and not set(planned(made)) & set(range(5))


def test_scenes_of_long_films_get_their_first_frames_within_the_bound() -> None:
    times, change = np.arange(20_000) / 10, np.full(20_000, 1.0)
    scenes = np.arange(150, 20_000, 190)
    change[scenes] = 60.0
    found = planned(small(times, change))
    assert found.size <= 240 and set(scenes) <= set(found.tolist())
    change[:] = 1.0
    change[200::40] = 60.0
    found = planned(small(times, change))
    assert (
        230 <= found.size <= 240
        and np.diff(found).max() <= 2 * 84
        and np.isin(found, np.arange(200, 20_000, 40)).mean() > 0.9
    )


def test_steady_motion_is_no_cut() -> None:
    assert cuts(small(np.arange(60) / 30, np.full(60, 25.0))).size == 0


def test_nothing_sound_means_nothing_planned() -> None:
    made = small(np.arange(9) / 30, corrupt=np.ones(9, np.bool_))
    assert planned(made).size == 0 and spread(made, 8).size == 0
    assert spread(small(np.arange(3) / 30), 8).tolist() == [0, 1, 2]


def test_two_faces_are_followed_and_a_cut_ends_them(tmp_path: Path) -> None:
    first = [scene((40 + i, 120, 180), (380, 150, 160)) for i in range(20)]
    flash = np.full_like(first[0], 235)
    second = [np.maximum(scene((60, 120, 180)), 60) for _ in range(20)]
    people = film(tmp_path / "a.mp4", [*first, *[flash] * 5, *second]).people
    assert len(people.tracks) == 3
    a, b, c = people.tracks
    assert (a.start, b.start) == (0.0, 0.0) and a.end < 2.0 < c.start
    assert len(a.times) == len(b.times) and people.share(c) < 1
    assert max(a.boxes[0][0], b.boxes[0][0]) > 300 > min(a.boxes[0][0], b.boxes[0][0])
    assert all(max(g.rgb.shape) <= MOST_SIDE for g in a.glimpses)
    assert people.left_out == 0 and people.crowded == 0 and people.cuts


def test_a_glimpse_keeps_the_face_where_it_was() -> None:
    face = Face((300.0, 200.0, 400.0, 400.0), np.full((6, 2), (500.0, 400.0), np.float32), 0.9, 0.9, 0.5)
    rgb = np.zeros((900, 1600, 3), np.uint8)
    rgb[396:405, 496:505] = 255
    seen = glimpse(1.0, face, rgb)
    x, y = seen.face.keypoints[0]
    assert seen.size == 400 and seen.rgb[round(float(y)), round(float(x))].min() > 200


def test_long_tracks_keep_few_pictures_evenly() -> None:
    track = FaceTrack(1)
    face = Face((10.0, 10.0, 20.0, 20.0), np.zeros((6, 2), np.float32), 0.9, 0.9, 0.5)
    for i in range(500):
        track.add(float(i), face, np.zeros((64, 64, 3), np.uint8))
    kept = [g.time for g in track.glimpses]
    assert GLIMPSES <= len(kept) < 2 * GLIMPSES and len(track.times) == 500
    assert len(set(np.diff(kept))) == 1 and kept[0] == 0 and kept[-1] > 450


def test_one_bad_moment_does_not_decide() -> None:
    track = FaceTrack(1, [0.0, 1.0, 2.0], [(0.0, 0.0, 1.0, 1.0)] * 3)
    assert TrackScore(track, np.arange(3.0), np.array([-1.0, 14.0, -2.0]), 1.0).score == -1.0


def test_faces_of_a_film_are_examined(tmp_path: Path) -> None:
    from unmask.detectors.face_swap.detector import examine

    subject = film(tmp_path / "a.mp4", [scene((100 + i, 100, 220)) for i in range(30)])
    found = examine(subject, Options())
    assert found.status in ("ok", "declined")
    lanes = next(e for e in found.evidence if e.kind == "segments")
    assert lanes.data is not None and lanes.data["count"] == 1
    if found.status == "declined":
        assert found.reason.code == "drift.unlike_training"


def test_a_film_without_faces_and_one_that_is_too_small(tmp_path: Path) -> None:
    from unmask.detectors.face_swap.detector import examine

    none = film(tmp_path / "a.mp4", [scene() for _ in range(12)])
    assert examine(none, Options()).reason.code == "swap.no_face"
    tiny = film(tmp_path / "b.mp4", [scene(size=(32, 48)) for _ in range(12)])
    assert examine(tiny, Options()).reason.code == "swap.too_small"


# Odd films: each gives people, or a reason; never a traceback.


def asked(subject: Subject) -> tuple[str, str]:
    """Status and reason of face.swap."""
    from unmask.detectors.face_swap.detector import examine

    found = examine(subject, Options())
    return found.status, found.reason.code


def test_a_face_behind_something_for_a_second_goes_on(tmp_path: Path) -> None:
    pictures = [scene((200 + i, 120, 180)) for i in range(50)]
    for i in range(18, 32):
        pictures[i] = scene()
    people = film(tmp_path / "a.mp4", pictures).people
    assert not people.cuts and len(people.tracks) == 1
    one = people.tracks[0]
    assert one.start == 0.0 and one.end > 4.5 and people.persons[0].share < 0.8
    assert not any(1.8 <= t < 3.2 for t in one.times)


def test_who_comes_back_after_a_cut_has_the_same_number(tmp_path: Path) -> None:
    first = [scene((40 + i, 120, 180)) for i in range(20)]
    away = [np.full_like(first[0], 235)] * 6
    back = [np.maximum(scene((300, 100, 200)), 40) for _ in range(20)]
    people = film(tmp_path / "a.mp4", [*first, *away, *back]).people
    assert len(people.tracks) == 2 and len(people.persons) == 1 and people.compared
    (one,) = people.persons
    assert one.number == 1 and [t.person for t in one.tracks] == [1, 1]
    assert one.share == pytest.approx(sum(people.share(t) for t in people.tracks))
    assert 0 < one.sharpness < 1 and one.size > 60 and len(one.glimpses) == one.seen


def test_of_a_crowd_twenty_are_followed(tmp_path: Path) -> None:
    places = [(20 + 250 * c, 10 + 140 * r, 130) for r in range(5) for c in range(5)]
    people = film(tmp_path / "a.mp4", [scene(*places, size=(720, 1280))] * 5, rate=10).people
    assert people.times.size == 2 and people.crowded == 2
    for time in people.times:
        assert sum(time in track.times for track in people.tracks) == 20
    for person in people.persons:
        assert len({t for track in person.tracks for t in track.times}) == person.seen, "nobody is in two places"


def test_memory_for_pictures_of_faces_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from unmask.films import people as module

    monkeypatch.setattr(module, "PIXEL_BYTES", 20 * 448 * 448 * 3)
    found = module._Found(1)
    rgb = np.zeros((1000, 2000, 3), np.uint8)
    points = np.zeros((6, 2), np.float32)
    pair = [Face((x, 300.0, 400.0, 400.0), points, 0.9, 0.9, 0.1) for x in (100.0, 1200.0)]
    for i in range(60):
        found.add(i / 3, pair if i < 30 else pair[:1], rgb)
        assert sum(g.rgb.nbytes for t in found.tracks.values() for g in t.glimpses) <= module.PIXEL_BYTES
    people = found.people(())
    assert [len(t.times) for t in people.tracks] == [60, 30] and all(t.glimpses for t in people.tracks)


def test_a_cartoon_breaks_nothing(tmp_path: Path) -> None:
    import cv2

    pictures = []
    for i in range(12):
        page = np.full((360, 480, 3), (250, 240, 200), np.uint8)
        cv2.circle(page, (200 + i, 180), 110, (255, 205, 148), -1)
        for x in (160, 240):
            cv2.circle(page, (x + i, 150), 30, (255, 255, 255), -1)
            cv2.circle(page, (x + i, 155), 12, (20, 20, 20), -1)
        cv2.ellipse(page, (200 + i, 230), (50, 22), 0, 0, 180, (180, 30, 40), -1)
        pictures.append(page)
    assert asked(film(tmp_path / "a.mp4", pictures))[1] in (
        "swap.no_face",
        "swap.no_clear_face",
        "drift.unlike_training",
        "swap.none",
    )


@pytest.mark.parametrize(
    "pictures", [[np.zeros((240, 320, 3), np.uint8)] * 12, [scene()] * 12], ids=["black", "nobody"]
)
def test_nobody_in_black_frames_and_empty_rooms(tmp_path: Path, pictures: list[Picture]) -> None:
    subject = film(tmp_path / "a.mp4", pictures)
    assert asked(subject) == ("not_applicable", "swap.no_face")
    assert subject.people.tracks == () == subject.people.persons and subject.people.times.size > 0


def test_one_frame_is_too_little(tmp_path: Path) -> None:
    subject = film(tmp_path / "a.mp4", [scene((200, 100, 220))])
    assert len(subject.people.persons) == 1 and subject.people.persons[0].share == 1.0
    assert asked(subject) == ("declined", "swap.no_clear_face")


@pytest.mark.parametrize(("rate", "count"), [(5, 15), (240, 480)])
def test_slow_and_fast_films_have_one_person(tmp_path: Path, rate: int, count: int) -> None:
    one, other = scene((200, 100, 220)), scene((204, 100, 220))
    people = film(tmp_path / "a.mp4", [one if i % 8 < 4 else other for i in range(count)], rate).people
    assert len(people.tracks) == 1 and people.persons[0].share == 1.0
    assert 5 <= people.times.size <= 10


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_turned_films_are_looked_at_upright(tmp_path: Path, turn: int) -> None:
    upright = scene((100, 60, 220), size=(480, 360))
    coded = np.ascontiguousarray(np.rot90(upright, turn // 90))
    subject = Subject(write_film(tmp_path / "a.mp4", [coded] * 8, fps=10, rotation=-turn))
    assert subject.video.rotation == turn
    (one,) = subject.people.tracks
    x, y, w, h = one.boxes[0]
    assert np.allclose((x + w / 2, y + h / 2), (210, 180), atol=26)


def test_vertical_and_interlaced_films(tmp_path: Path) -> None:
    vertical = Subject(write_film(tmp_path / "v.mp4", [scene((60, 200, 220), size=(640, 360))] * 8, fps=10))
    assert len(vertical.people.persons) == 1
    flags = {"flags": "+ilme+ildct"}
    fields = write_film(tmp_path / "i.mp4", [scene((200, 100, 220))] * 8, "mpeg2video", fps=25, options=flags)
    subject = Subject(fields)
    assert subject.video.interlaced and len(subject.people.persons) == 1


def test_a_broken_index_and_a_damaged_middle(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mkv", [scene((200 + i, 100, 220)) for i in range(40)], fps=10, gop=5)
    whole = bytearray(path.read_bytes())
    cut = tmp_path / "cut.mkv"
    # Matroska's index (cues) lies at the end.
    cut.write_bytes(bytes(whole[: len(whole) * 9 // 10]))
    people = Subject(cut).people
    assert len(people.persons) == 1 and people.persons[0].end > 2
    third = len(whole) // 3
    whole[third : third + len(whole) // 6] = bytes(len(whole) // 6)
    hurt = tmp_path / "hurt.mkv"
    hurt.write_bytes(bytes(whole))
    people = Subject(hurt).people
    assert len(people.persons) == 1 and people.persons[0].end > 3


def test_faces_between_whole_looks_are_found_near_and_new_ones_with_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    wholes = []

    def counted(rgb: Picture, min_score: float = 0.5, smallest: float = 0.045) -> list[Face]:
        if smallest < 0.1:
            wholes.append(rgb.shape)
        return detect(rgb, min_score, smallest)

    monkeypatch.setattr("unmask.films.lookout.detect", counted)
    lookout = Lookout()
    one, two = scene((100, 100, 220)), scene((110, 104, 220), (380, 120, 220))
    assert [len(lookout.faces(one, t)) for t in (0.0, 0.34)] == [1, 1]
    assert len(lookout.faces(two, 0.67)) == 1
    assert len(wholes) == 1
    assert len(lookout.faces(two, 1.0)) == 1
    assert len(lookout.faces(two, 1.34)) == 2
    near = lookout.faces(two, 1.67)
    whole = detect(two)
    assert [overlap_of(a, b) > 0.8 for a, b in zip(near, whole, strict=True)] == [True, True]
    assert len(wholes) == 2


def test_a_face_that_is_gone_calls_for_a_whole_look_at_once() -> None:
    lookout = Lookout()
    assert len(lookout.faces(scene((100, 100, 220)), 0.0)) == 1
    assert len(lookout.faces(scene((400, 150, 220)), 0.34)) == 1
    assert lookout.faces(scene(), 0.67) == []


def overlap_of(one: Face, other: Face) -> float:
    corners = [np.array([x, y, x + w, y + h], np.float32) for x, y, w, h in (one.box, other.box)]
    return float(overlap(corners[0], corners[1][None])[0])
