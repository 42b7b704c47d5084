"""Live watching from end to end: films, streams on loopback, and everything that can be wrong with them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from live_made import http_folder, quick_settings, rtsp, send_slowly, serve, steady_network, talk, ts_film
from media_made import pan, write_film, write_wav

from unmask.errors import UnmaskError, UsageError
from unmask.live import LiveOptions, watch
from unmask.live.events import AnyEvent, Ended, FaceEvent, Reconnected, Stalled, Started, State

FAST = LiveOptions(fast=True, only=("face.swap",))
SWAP = LiveOptions(only=("face.swap",), read_timeout=1.5, open_timeout=20.0, retries=2)


def events_of(source: str | Path, options: LiveOptions = FAST) -> list[AnyEvent]:
    return list(watch(str(source), options, settings=quick_settings()))


def ended(events: list[AnyEvent]) -> Ended:
    last = events[-1]
    assert isinstance(last, Ended)
    return last


def states(events: list[AnyEvent]) -> list[State]:
    return [event for event in events if isinstance(event, State)]


def reasons(events: list[AnyEvent]) -> set[str]:
    return {state.reason.code for state in states(events)}


# Films as fast as possible: what is in the picture ------------------------------------------------------------


@pytest.fixture(scope="module")
def face_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("live") / "face.mp4", talk(50), fps=10)


def test_a_film_with_a_face(face_film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steady_network(monkeypatch, -3.0)
    events = events_of(face_film)
    started = events[0]
    assert isinstance(started, Started)
    assert (started.width, started.height, started.sound, started.asked) == (320, 240, False, ("face.swap",))
    first = next(event for event in events if isinstance(event, FaceEvent))
    assert (first.what, first.face.status, first.face.number) == ("appeared", "watching", 1)
    assert ended(events).windows["face.swap"] >= 3
    assert ended(events).read == 50
    assert ended(events).dropped == 0
    assert states(events)[-1].faces[0].raw == -3.0
    assert ended(events).label == "no_sign_found"


def test_a_film_gives_the_same_answers_twice(face_film: Path) -> None:
    first, second = ([(s.time, s.label, s.faces) for s in states(events_of(face_film))] for _ in range(2))
    assert first == second


def test_no_face_and_no_sound_have_reasons(tmp_path: Path) -> None:
    film = write_film(tmp_path / "pan.mp4", pan(30), fps=10)
    events = events_of(film, LiveOptions(fast=True, only=("face.swap", "voice.synthetic")))
    assert reasons(events) == {"swap.no_face"}
    started = events[0]
    assert isinstance(started, Started)
    assert [reason.code for reason in started.not_asked] == ["live.no_sound"]
    assert ended(events).reason.code == "live.too_short"
    assert ended(events).label == "inconclusive"


def test_black_frames_have_a_reason(tmp_path: Path) -> None:
    film = write_film(tmp_path / "black.mp4", [np.zeros((240, 320, 3), np.uint8)] * 20, fps=10)
    assert reasons(events_of(film)) == {"live.black"}


def test_one_frame_says_nothing(tmp_path: Path) -> None:
    events = events_of(write_film(tmp_path / "one.mp4", talk(1), fps=10))
    assert ended(events).reason.code == "live.too_short"
    assert (ended(events).read, ended(events).label) == (1, "inconclusive")


def test_a_crowd_is_told(tmp_path: Path) -> None:
    from faces_made import scene

    places = [(20 + 150 * i, 20 + 160 * j, 130) for i in range(4) for j in range(3)]
    film = write_film(tmp_path / "crowd.mp4", [scene(*places, size=(520, 640))] * 6, fps=4)
    events = events_of(film)
    assert "live.crowd" in reasons(events)
    assert states(events)[-1].more_faces > 0


def test_few_and_many_frames_a_second_are_looked_at_alike(tmp_path: Path) -> None:
    looked = {}
    for fps in (5, 240):
        film = write_film(tmp_path / f"{fps}.mp4", pan(2 * fps, 160, 120), fps=fps)
        looked[fps] = ended(events_of(film)).looked
    assert looked[5] == pytest.approx(8, abs=2)
    assert looked[240] == pytest.approx(8, abs=2)


def test_a_turned_film_is_looked_at_upright(tmp_path: Path) -> None:
    turned = [np.ascontiguousarray(np.rot90(f)) for f in talk(12)]
    events = events_of(write_film(tmp_path / "turned.mp4", turned, fps=4, rotation=-90))
    assert states(events)[-1].faces, "a face on its side is not found, so the frame was not turned"


def test_sound_alone_is_heard(tmp_path: Path) -> None:
    noise = np.random.default_rng(3).normal(0, 0.1, 8 * 16000)
    events = events_of(
        write_wav(tmp_path / "noise.wav", noise), LiveOptions(fast=True, only=("voice.synthetic", "face.swap"))
    )
    started = events[0]
    assert isinstance(started, Started)
    assert (started.sound, started.asked) == (True, ("voice.synthetic",))
    assert [reason.code for reason in started.not_asked] == ["live.no_picture"]
    question = states(events)[-1].questions[0]
    assert question.status == "not_judged"
    assert question.reason.code.startswith("voice.")


def test_a_damaged_film_is_no_traceback(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mkv", talk(30), fps=10)
    data = bytearray(film.read_bytes())
    for at in range(len(data) // 3, len(data), 97):
        data[at] ^= 0x5A
    film.write_bytes(data)
    assert isinstance(events_of(film)[-1], Ended)


def test_questions_and_folders_that_cannot_be_used(face_film: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"image\.jpeg"):
        events_of(face_film, LiveOptions(only=("image.jpeg",)))
    blocked = tmp_path / "file"
    blocked.write_text("here")
    with pytest.raises(UsageError) as error:
        events_of(face_film, LiveOptions(fast=True, record=blocked / "below"))
    assert error.value.code == "usage.record"


# In real time -------------------------------------------------------------------------------------------------


def test_a_film_is_played_at_its_own_pace_and_stopped_in_time(face_film: Path) -> None:
    begun = time.monotonic()
    events = events_of(face_film, LiveOptions(only=("face.swap",), seconds=2.0))
    assert time.monotonic() - begun >= 2.0
    assert ended(events).reason.code == "live.seconds"
    assert ended(events).read < 50
    assert ended(events).delay_worst > 0


def test_another_thread_can_stop_a_watch(face_film: Path) -> None:
    stop = threading.Event()
    events = []
    for event in watch(str(face_film), SWAP, stop):
        events.append(event)
        stop.set()
    assert ended(events).reason.code == "live.stopped"


# Streams ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ts(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return ts_film(tmp_path_factory.mktemp("ts") / "face.ts", seconds=4.0).read_bytes()


def seen(events: list[AnyEvent]) -> int:
    return max((len(state.faces) for state in states(events)), default=0)


def test_mpeg_ts_over_tcp(ts: bytes) -> None:
    with serve(lambda connection, number: send_slowly(connection, ts, 3.0) if number == 1 else None) as port:
        events = events_of(f"tcp://127.0.0.1:{port}", SWAP.model_copy(update={"retries": 0}))
    assert ended(events).reason.code in ("live.ended", "live.broken")
    assert ended(events).read > 10
    assert seen(events) == 1


def test_a_stream_that_breaks_off_and_comes_back(ts: bytes) -> None:
    def handle(connection: object, number: int) -> None:
        send_slowly(connection, ts[: len(ts) // 2 // 188 * 188] if number == 1 else ts, 2.0)  # type: ignore[arg-type]

    with serve(handle) as port:
        events = events_of(f"tcp://127.0.0.1:{port}", SWAP.model_copy(update={"seconds": 25.0, "retries": 1}))
    assert any(isinstance(event, Stalled) for event in events)
    assert any(isinstance(event, Reconnected) for event in events)


def test_a_stream_that_stalls_is_told_and_given_up(ts: bytes) -> None:
    def handle(connection: object, number: int) -> None:
        if number == 1:
            send_slowly(connection, ts, 2.0)  # type: ignore[arg-type]
            time.sleep(6.0)

    with serve(handle) as port:
        events = events_of(f"tcp://127.0.0.1:{port}", SWAP.model_copy(update={"retries": 0}))
    assert ended(events).reason.code == "live.stalled"
    assert not ended(events).examined


def test_nobody_there(ts: bytes) -> None:
    with serve(lambda connection, number: time.sleep(3.0)) as port, pytest.raises(UnmaskError) as error:
        events_of(f"tcp://127.0.0.1:{port}", SWAP.model_copy(update={"open_timeout": 0.7}))
    assert error.value.code == "live.timeout"


def test_nonsense_over_tcp() -> None:
    def handle(connection: object, number: int) -> None:
        connection.sendall(b"this is no film " * 4000)  # type: ignore[attr-defined]

    with serve(handle) as port, pytest.raises(UnmaskError) as error:
        events_of(f"tcp://127.0.0.1:{port}", SWAP)
    assert error.value.code in ("live.no_media", "live.cannot_open")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, ts: bytes) -> Iterator[str]:
    """MPEG-TS, and the same as HLS with an end, over HTTP."""
    place = tmp_path_factory.mktemp("http")
    (place / "face.ts").write_bytes(ts)
    hls = {"hls_time": "1", "hls_list_size": "0", "hls_segment_filename": str(place / "part%d.ts")}
    with av.open(str(place / "face.ts")) as source, av.open(str(place / "live.m3u8"), "w", "hls", options=hls) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    with http_folder(place) as address:
        yield address


def test_mpeg_ts_over_http(folder: str) -> None:
    assert seen(events_of(f"{folder}/face.ts", SWAP)) == 1


def test_hls_is_played_at_its_own_pace(folder: str) -> None:
    begun = time.monotonic()
    events = events_of(f"{folder}/live.m3u8", SWAP)
    assert seen(events) == 1
    assert ended(events).examined
    assert time.monotonic() - begun >= 3.0


def test_an_address_that_is_not_there(folder: str) -> None:
    with pytest.raises(UnmaskError) as error:
        events_of(f"{folder}/nothing.m3u8", SWAP)
    assert error.value.code == "live.refused"


def test_a_script_of_ffmpegs_own_is_not_obeyed(folder: str, tmp_path: Path) -> None:
    def handle(connection: object, number: int) -> None:
        body = f"ffconcat version 1.0\nfile {tmp_path}/secret.mp4\n".encode()
        connection.recv(4096)  # type: ignore[attr-defined]
        head = f"HTTP/1.0 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        connection.sendall(head + body)  # type: ignore[attr-defined]

    write_film(tmp_path / "secret.mp4", talk(5), fps=5)
    with serve(handle) as port, pytest.raises(UnmaskError) as error:
        events_of(f"http://127.0.0.1:{port}/list.ffconcat", SWAP)
    assert error.value.code in ("live.no_media", "live.cannot_open")


def test_rtsp(ts: bytes) -> None:
    with serve(rtsp(ts, 3.0)) as port:
        events = events_of(f"rtsp://127.0.0.1:{port}/live", SWAP.model_copy(update={"retries": 0}))
    assert ended(events).read > 5
    assert seen(events) == 1
