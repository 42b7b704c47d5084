"""The parts of live watching that need no stream: pace, inbox, windows, tracks, sources, events."""

from __future__ import annotations

import threading
from pathlib import Path

import av
import numpy as np
import pytest
from media_made import pan, write_film, write_wav

from unmask.errors import SubjectError, UnmaskError, UsageError
from unmask.faces.face import Face
from unmask.live import sources
from unmask.live.events import FaceEvent, FaceState, State, read_event
from unmask.live.inbox import MOST_NOTES, Inbox, Look, Note, Ring
from unmask.live.pace import Pace
from unmask.live.people import Crowd
from unmask.live.rolling import MOST_KEPT, MOST_KEYS, MOST_MOMENTS, Question, Recent, needed
from unmask.live.settings import read_settings
from unmask.live.tracks import MOST_TRACKS, EndlessTracker
from unmask.live.verdicts import Verdicts, graver
from unmask.report import Box, Reason
from unmask.verdict import read_rules

ROOT = Path(__file__).parents[2]


# Pace ------------------------------------------------------------------------------------------------------


def test_a_paced_source_waits_for_the_time_of_its_frames() -> None:
    pace = Pace(paced=True, file=True, late_after=0.7)
    assert pace.arrived(100.0, 0.0, 0.0) == 0.0
    assert pace.arrived(100.01, 0.5, 0.0) == pytest.approx(0.49)
    assert not pace.late


def test_falling_behind_is_late_until_half_of_it_is_caught_up() -> None:
    pace = Pace(paced=True, file=True, late_after=0.7)
    pace.arrived(0.0, 0.0, 0.0)
    pace.arrived(1.8, 1.0, 0.0)
    assert pace.late and pace.behind == pytest.approx(0.8)
    pace.arrived(2.5, 2.0, 0.0)
    assert pace.late
    pace.arrived(3.2, 3.0, 0.0)
    assert not pace.late


def test_a_source_that_was_slow_itself_is_not_late() -> None:
    pace = Pace(paced=False, file=False, late_after=0.7)
    pace.arrived(0.0, 0.0, 0.0)
    pace.arrived(5.0, 1.0, 4.0)
    assert not pace.late


def test_a_burst_at_the_start_is_taken_at_once_and_later_frames_are_measured_against_it() -> None:
    pace = Pace(paced=False, file=False, late_after=0.7)
    assert [pace.arrived(10.0 + i / 1000, i / 10, 0.0) for i in range(20)] == [0.0] * 20
    pace.arrived(11.0, 2.0, 0.0)
    assert pace.late


def test_a_jump_of_time_stamps_begins_a_new_count() -> None:
    pace = Pace(paced=True, file=False, late_after=0.7)
    pace.arrived(0.0, 50_000.0, 0.0)
    assert pace.arrived(0.1, 3.0, 0.0) == 0.0
    assert not pace.late


# Inbox -----------------------------------------------------------------------------------------------------


def test_only_the_newest_frame_is_kept() -> None:
    inbox = Inbox()
    for i in range(5):
        inbox.put(Look(float(i), 0.0, f"frame {i}"))
    taken = inbox.take(0.0)
    assert taken is not None and taken.frame == "frame 4"
    assert inbox.take(0.0) is None


def test_a_waiting_inbox_holds_the_reader_back_until_the_frame_is_taken() -> None:
    inbox = Inbox(waits=True)
    inbox.put(Look(0.0, 0.0, "a"))
    thread = threading.Thread(target=inbox.put, args=(Look(1.0, 0.0, "b"),))
    thread.start()
    first = inbox.take(1.0)
    thread.join(2.0)
    second = inbox.take(1.0)
    assert first is not None and second is not None
    assert (first.frame, second.frame, thread.is_alive()) == ("a", "b", False)


def test_the_end_is_told_once_the_last_frame_was_taken() -> None:
    inbox = Inbox()
    inbox.put(Look(0.0, 0.0, "a"))
    inbox.end("live.ended")
    assert inbox.ended is None
    inbox.take(0.0)
    assert inbox.ended == "live.ended"


def test_the_ring_gives_the_last_sound_in_order() -> None:
    ring = Ring(seconds=1)
    for start in range(0, 40000, 700):
        ring.put(np.arange(start, start + 700, dtype=np.float32))
    assert ring.last(500).tolist() == list(range(ring.total - 500, ring.total))
    assert ring.last(10**9).size == 16000


def test_notes_are_bounded() -> None:
    inbox = Inbox()
    for i in range(10 * MOST_NOTES):
        inbox.note(Note("late", float(i)))
    assert len(inbox.notes()) == MOST_NOTES


# Windows ---------------------------------------------------------------------------------------------------


def test_more_windows_in_a_row_are_needed_as_a_stream_goes_on() -> None:
    p = read_settings().windows
    at = [needed(n, p.in_a_row, p.first_windows, p.rate) for n in (1, 150, 151, 3000, 3001, 60_000)]
    assert at == [3, 3, 4, 4, 5, 5]


def test_the_chances_of_all_windows_together_stay_near_the_rate_of_one() -> None:
    p = read_settings().windows
    day = 24 * 360
    total = sum(p.rate ** needed(n, p.in_a_row, p.first_windows, p.rate) for n in range(1, day + 1))
    assert total < p.rate


def median(moments: object) -> float | None:
    values = [x for v in moments.values() for x in v]  # type: ignore[attr-defined]
    return float(np.median(values)) if len(values) >= 3 else None


def fill(question: Question, start: float, score: float, seconds: float = 10.0) -> None:
    for i in range(10):
        question.add(start + i * seconds / 10, 1, score)
    question.close(start + seconds)


def test_a_question_counts_with_the_lowest_of_its_last_windows() -> None:
    question = Question(10.0, median, forget_after=3)
    for i, score in enumerate((9.0, 5.0, 7.0)):
        assert question.held(3) is None
        fill(question, 10.0 * i, score)
    assert question.held(3) == 5.0
    fill(question, 30.0, 8.0)
    fill(question, 40.0, 8.0)
    assert question.held(3) == 7.0


def test_unclear_windows_neither_count_nor_break_until_they_are_many() -> None:
    question = Question(10.0, median, forget_after=3)
    for i in range(3):
        fill(question, 10.0 * i, 4.0)
    question.add(100.0, 1, 4.0)
    assert question.close(110.0) is not None
    assert question.held(3) == 4.0
    for start in (120.0, 140.0):
        question.add(start, 1, 4.0)
        question.close(start + 10)
    assert question.held(3) is None


def test_memory_of_windows_is_bounded() -> None:
    question = Question(1e9, median, forget_after=3)
    for i in range(20_000):
        question.add(float(i), i % 500, 1.0)
    assert question.moments <= MOST_MOMENTS
    assert len(question._moments) <= MOST_KEYS
    quick = Question(1.0, median, forget_after=3)
    for i in range(1000):
        fill(quick, float(i), 1.0, 1.0)
    assert len(quick.clear) <= MOST_KEPT and quick.passed > 900


def test_recent_moments_are_bounded_and_forgotten() -> None:
    recent = Recent(10.0)
    for i in range(10_000):
        recent.add(i / 100, float(i))
    assert len(recent.values(100.0)) <= 256
    assert recent.values(1000.0) == []


# Verdicts --------------------------------------------------------------------------------------------------


def run(verdicts: Verdicts, question: str, score: float, windows: int, start: float = 0.0) -> None:
    for i in range(windows * 40 + 1):
        verdicts.add(question, start + i / 4, score, stratum="small")
        verdicts.close(start + i / 4)


def test_no_label_comes_from_few_moments() -> None:
    verdicts = Verdicts(read_settings().windows, ["face.swap"])
    run(verdicts, "face.swap", 30.0, 2)
    verdict = verdicts.verdict()
    assert verdict.label == "inconclusive"
    assert verdict.reasons[0].code == "live.watching"
    assert verdicts.momentary().label in ("suspicious", "likely_manipulated")


def test_a_label_comes_after_three_windows_with_the_rules_for_films() -> None:
    verdicts = Verdicts(read_settings().windows, ["face.swap"])
    run(verdicts, "face.swap", 30.0, 3)
    verdict = verdicts.verdict()
    assert verdict.label in ("suspicious", "likely_manipulated")
    assert verdict.decided_by == ("face.swap",)
    assert verdicts.states()[0].status == "raised"
    assert read_rules().learned["face.swap"].strata["small"].n_bona_fide > 0


def test_one_window_without_signs_takes_the_label_back() -> None:
    verdicts = Verdicts(read_settings().windows, ["face.swap"])
    run(verdicts, "face.swap", 30.0, 3)
    run(verdicts, "face.swap", -5.0, 1, start=31.0)
    assert verdicts.verdict().label == "no_sign_found"


def test_quiet_windows_say_that_no_sign_was_found() -> None:
    verdicts = Verdicts(read_settings().windows, ["face.swap"])
    run(verdicts, "face.swap", -6.0, 3)
    assert verdicts.verdict().label == "no_sign_found"
    assert verdicts.states()[0].status == "quiet"


def test_silence_yields_to_any_label() -> None:
    assert graver("inconclusive", "no_sign_found") == "no_sign_found"
    assert graver("suspicious", "no_sign_found") == "suspicious"


# Tracks and faces ------------------------------------------------------------------------------------------


def face_at(x: float, size: float = 100.0) -> Face:
    points = np.array([(30, 40), (70, 40), (50, 60), (50, 75), (10, 45), (90, 45)], np.float32) * size / 100
    return Face((x, 0.0, size, size), points + np.float32([x, 0]), 0.9, 0.99, 0.6)


def test_tracks_go_on_without_end_in_bounded_memory() -> None:
    tracker = EndlessTracker()
    steady = None
    for i in range(4 * MOST_TRACKS):
        found = [face_at(0.0), face_at(1000.0 + 300.0 * (i % 2))]
        numbers = [number for number, _ in tracker.update(found, i / 4)]
        steady = steady or numbers[0]
        assert numbers[0] == steady
    assert len(tracker._tracker.tracks) <= MOST_TRACKS + 1
    assert all(len(track.faces) == 1 for track in tracker._tracker.tracks)


# Sources ---------------------------------------------------------------------------------------------------


def test_a_film_is_paced_and_a_picture_is_refused(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mp4", pan(5))
    found = sources.find_source(str(film))
    assert (found.kind, found.paced, found.again) == ("file", True, False)
    assert sources.find_source(str(write_wav(tmp_path / "a.wav", np.zeros(1600)))).format == "wav"
    picture = tmp_path / "a.png"
    from PIL import Image

    Image.new("RGB", (64, 64)).save(picture)
    with pytest.raises(UsageError, match="unmask scan"):
        sources.find_source(str(picture))
    with pytest.raises(SubjectError):
        sources.find_source(str(tmp_path / "nothing.mp4"))


def test_addresses_are_told_apart_and_passwords_are_not_shown() -> None:
    found = sources.find_source("rtsp://user:secret@camera.local:554/live?key=1")
    assert (found.kind, found.paced, found.again) == ("stream", False, True)
    assert found.options["rtsp_transport"] == "tcp"
    assert "secret" not in found.shown and "key" not in found.shown
    assert sources.find_source("https://a.example/live/index.m3u8").paced
    with pytest.raises(UsageError, match="gopher"):
        sources.find_source("gopher://a")


def test_cameras_and_screens_by_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    formats = {"video4linux2,v4l2", "x11grab", "avfoundation", "dshow", "gdigrab", "alsa"}
    monkeypatch.setattr(av, "formats_available", formats, raising=False)
    monkeypatch.setenv("DISPLAY", ":7")
    assert sources.find_source("camera:2", "linux").target == "/dev/video2"
    assert sources.find_source("camera", "darwin").target == "0"
    assert sources.find_source("camera:Webcam", "win32").target == "video=Webcam"
    assert sources.find_source("screen", "linux").target == ":7"
    assert sources.find_source("screen", "win32").target == "desktop"
    assert sources.microphone("default", "linux").format == "alsa"
    with pytest.raises(UsageError, match="camera:NAME"):
        sources.find_source("camera", "win32")
    monkeypatch.delenv("DISPLAY")
    with pytest.raises(SubjectError) as error:
        sources.find_source("screen", "linux")
    assert error.value.code == "live.no_screen"


def test_a_build_without_the_device_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "formats_available", {"mov"}, raising=False)
    with pytest.raises(SubjectError) as error:
        sources.find_source("camera", "linux")
    assert error.value.code == "live.no_device_support"


CAUSES = {
    "live.no_protocol": "srt://127.0.0.1:1",
    "live.cannot_open": "tcp://127.0.0.1:9",
}


@pytest.mark.parametrize(("code", "address"), CAUSES.items(), ids=list(CAUSES))
def test_each_cause_has_its_own_reason(code: str, address: str) -> None:
    with pytest.raises(UnmaskError) as error:
        sources.open_source(sources.find_source(address), 2.0, 2.0)
    assert error.value.code == code


def test_an_absent_camera_says_so() -> None:
    missing = sources.Source("camera", "/dev/video987", "/dev/video987", "v4l2")
    if "v4l2" not in {p for name in av.formats_available for p in name.split(",")}:
        pytest.skip("this FFmpeg has no v4l2")
    with pytest.raises(SubjectError) as error:
        sources.open_source(missing, 2.0, 2.0)
    assert error.value.code == "live.no_camera"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PermissionError(13, "no"), "live.not_allowed"),
        (OSError(16, "busy"), "live.busy"),
        (OSError(5, "input"), "live.no_camera"),
    ],
)
def test_devices_that_cannot_be_used(error: OSError, code: str) -> None:
    source = sources.Source("camera", "/dev/video0", "/dev/video0", "v4l2")
    assert sources.explain(error, source).code == code


def test_codes_are_documented() -> None:
    import re

    errors, page = ((ROOT / "docs" / name).read_text("utf-8") for name in ("errors.md", "live.md"))
    for path in (ROOT / "src/unmask/live").rglob("*.py"):
        for code in re.findall(r'"((?:live|challenge)\.[a-z_]+)"', path.read_text("utf-8")):
            if code not in {"live.toml", "live.settings"}:
                assert code in errors + page, f"{code} ({path.name}) is in no document"


# Events ----------------------------------------------------------------------------------------------------


def test_events_survive_json() -> None:
    reason = Reason(code="live.watching", text="watching")
    face = FaceState(number=1, box=Box(x=0, y=0, w=5, h=5), size=5, status="watching", reason=reason)
    for event in (
        FaceEvent(time=1.0, what="appeared", face=face),
        State(time=2.0, label="inconclusive", reason=reason),
    ):
        assert read_event(event.model_dump_json()) == event
    with pytest.raises(ValueError, match="event"):
        read_event('{"event": "nothing"}')


def test_faces_appear_change_and_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    from unmask.card import find_cards
    from unmask.detectors.face_swap.faces import FaceScore
    from unmask.live.looks import Seen, SeenFace

    card = next(c for c in find_cards() if c.id == "face.swap")
    crowd = Crowd(card, least=4)
    happened = []
    for i in range(40):
        face = face_at(0.0)
        score = FaceScore(face, 20.0, np.zeros((10, 10), np.float32), 0.5)
        faces = (SeenFace(1, face, score, None),) if i < 20 else ()
        events = crowd.take(Seen(i / 4, np.zeros((8, 8, 3), np.uint8), faces, 0, None, False))
        happened += [(event.what, event.face.status) for event in events]
    assert happened == [("appeared", "watching"), ("changed", "raised"), ("left", "raised")]


def test_a_long_busy_stream_takes_no_more_memory_than_a_short_one() -> None:
    """Looks at faces that come and go, four a second: what is kept after a while is what was kept before."""
    import tracemalloc

    from unmask.card import find_cards
    from unmask.detectors.face_swap.faces import FaceScore
    from unmask.live.looks import Seen, SeenFace

    card = next(c for c in find_cards() if c.id == "face.swap")
    crowd, verdicts = Crowd(card, least=4), Verdicts(read_settings().windows, ["face.swap"])
    tracker, chance = EndlessTracker(), np.random.default_rng(1)
    rgb, cells = np.zeros((8, 8, 3), np.uint8), np.zeros((10, 10), np.float32)

    def play(first: int, last: int) -> int:
        for i in range(first, last):
            found = [face_at(300.0 * (k + 9 * (i // 40 % 50))) for k in range(1 + i // 40 % 3)]
            known = tracker.update(found, i / 4)
            faces = [
                SeenFace(number, face, FaceScore(face, float(chance.normal()), cells, 0.5), None)
                for number, face in known
            ]
            crowd.take(Seen(i / 4, rgb, tuple(faces), 0, None, False))
            for number, face in known:
                verdicts.add("face.swap", i / 4, float(face.score), number, stratum="small")
            verdicts.close(i / 4)
        return tracemalloc.get_traced_memory()[0]

    play(0, 800)
    tracemalloc.start()
    half = play(800, 2_000)
    whole = play(2_000, 3_600)
    tracemalloc.stop()
    assert whole - half < 150_000
    assert verdicts.verdict().label == "no_sign_found"
    assert len(crowd.states(3_600 / 4)) <= 9
