"""Recording: packets in memory, stretches on disk, limits, full disks, reports."""

from __future__ import annotations

import errno
import io
import json
from pathlib import Path
from typing import IO

import av
import numpy as np
import pytest
from live_made import quick_settings, steady_network, talk
from media_made import pan, write_film

from unmask.live import LiveOptions, watch
from unmask.live.events import Recorded
from unmask.live.record import Recorder
from unmask.live.reports import Reports
from unmask.live.ring import Kept, PacketRing
from unmask.live.settings import read_settings

SETTINGS = read_settings().record


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds with sound, a key frame each second."""
    tone = 0.2 * np.sin(np.arange(6 * 16000) / 9)
    return write_film(tmp_path_factory.mktemp("film") / "a.mkv", pan(60), fps=10, gop=10, sound=tone)


def play(recorder: Recorder, film: Path, suspicious: tuple[float, float] | None, until: float = 99.0) -> list[Recorded]:
    """Feed a film's packets as they would come; the window ``suspicious`` closes at its end."""
    out: list[Recorded] = []
    with av.open(str(film)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        recorder.opened(video, audio)
        for packet in container.demux(video, audio):
            now = float(packet.dts * packet.time_base) if packet.dts is not None else 99.0
            if now > until:
                break
            recorder.packet(packet, now)
            if suspicious is not None and suspicious[1] <= now < 99:
                out += recorder.suspicious(*suspicious)
                suspicious = None
            out += recorder.step(now)
    return [*out, *recorder.close()]


def short(before: float = 0.5, after: float = 1.0) -> object:
    return SETTINGS.model_copy(update={"before": before, "after": after})


def test_a_stretch_is_written_without_decoding_and_can_be_played(film: Path, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "kept", short(), 10.0, 100)  # type: ignore[arg-type]
    (event,) = play(recorder, film, (2.6, 3.6))
    assert event.file is not None
    assert event.start == pytest.approx(1.8, abs=0.11), "it begins with the key frame before"
    assert event.end == pytest.approx(4.6, abs=0.15)
    with av.open(event.file) as container, av.open(str(film)) as source:
        assert container.streams.video[0].codec_context.name == source.streams.video[0].codec_context.name
        times = [frame.time for frame in container.decode(video=0)]
    assert len(times) == pytest.approx(29, abs=2)
    assert times[0] <= 0.31
    with av.open(event.file) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) > 30_000
    assert event.bytes == Path(event.file).stat().st_size


def test_nothing_suspicious_leaves_nothing(film: Path, tmp_path: Path) -> None:
    assert play(Recorder(tmp_path, SETTINGS, 10.0, 100), film, None) == []
    assert list(tmp_path.iterdir()) == []


def test_the_limit_stops_recording_and_is_told(film: Path, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, short(), 10.0, 1)  # type: ignore[arg-type]
    recorder._room = 20_000
    events = play(recorder, film, (1.0, 2.0))
    assert [e.reason.code for e in events if e.reason] == ["live.record_limit"]
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) <= 20_000
    assert recorder.suspicious(5.0, 6.0) == []


class Full(io.BytesIO):
    """A disk with room for a few bytes."""

    def write(self, data: bytes) -> int:  # type: ignore[override]
        if self.tell() + len(data) > 15_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


def test_a_full_disk_stops_recording_and_is_told(film: Path, tmp_path: Path) -> None:
    def open_file(_path: Path) -> IO[bytes]:
        return Full()

    recorder = Recorder(tmp_path, short(), 10.0, 100, open_file)  # type: ignore[arg-type]
    events = play(recorder, film, (1.0, 2.0))
    assert [e.reason.code for e in events if e.reason] == ["live.disk_full"]


def test_a_new_connection_ends_the_stretch(film: Path, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, short(after=50.0), 10.0, 100)  # type: ignore[arg-type]
    with av.open(str(film)) as container:
        video = container.streams.video[0]
        recorder.opened(video, None)
        for packet in container.demux(video):
            if packet.dts is not None:
                recorder.packet(packet, float(packet.dts * packet.time_base))
        recorder.suspicious(2.0, 3.0)
        assert recorder.step(3.1) == []
        recorder.opened(video, None)
        events = recorder.step(3.2)
    assert [e.file is not None for e in events] == [True]


def test_uncompressed_pictures_are_kept_as_jpeg(tmp_path: Path) -> None:
    frames = pan(20, 160, 120)
    raw = tmp_path / "raw.avi"
    with av.open(str(raw), "w") as container:
        stream = container.add_stream("rawvideo", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for i, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    recorder = Recorder(tmp_path / "kept", short(), 10.0, 100)  # type: ignore[arg-type]
    with av.open(str(raw)) as container:
        video = container.streams.video[0]
        recorder.opened(video, None)
        for packet in container.demux(video):
            for frame in packet.decode():
                recorder.packet(packet, float(frame.time))
                recorder.frame(frame, float(frame.time))
    recorder.suspicious(0.5, 1.9)
    (event,) = recorder.close()
    assert event.file is not None
    with av.open(event.file) as container:
        assert container.streams.video[0].codec_context.name == "mjpeg"
        assert sum(1 for _ in container.decode(video=0)) == pytest.approx(20, abs=2)


def test_memory_is_bounded_on_an_endless_stream() -> None:
    ring = PacketRing(20.0, 1_000_000)
    for i in range(20_000):
        ring.put(Kept(i / 30, True, i % 30 == 0, i, i, 1, bytes(5000)))
        assert ring.bytes <= 1_005_000
    assert len(ring) <= 600
    assert ring.since(666.0)[0].key


def test_a_report_lies_beside_the_film(tmp_path: Path) -> None:
    film = write_film(tmp_path / "live-1.mkv", pan(5, 96, 96), fps=5)
    reports = Reports()
    reports.add(film, 1.0)
    events: list[Recorded] = []
    while reports.open:
        events += reports.step()
        reports.wait(0.2)
    assert events[0].report == str(film.with_suffix(".json"))
    report = json.loads(film.with_suffix(".json").read_text("utf-8"))
    assert report["verdict"]["label"] == events[0].label
    assert len(list(tmp_path.glob("live-1*.html"))) == 1


def test_a_film_that_cannot_be_examined_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unmask.live.reports._RUN", "import sys; sys.exit(3)")
    reports = Reports()
    reports.add(tmp_path / "gone.mkv", 1.0)
    events: list[Recorded] = []
    while reports.open:
        events += reports.step()
        reports.wait(0.2)
    assert [e.reason.code for e in events if e.reason] == ["live.report_failed"]


def test_a_watch_keeps_what_was_suspicious(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steady_network(monkeypatch, 25.0)
    film = write_film(tmp_path / "face.mp4", talk(60), fps=10, gop=10)
    options = LiveOptions(fast=True, only=("face.swap",), record=tmp_path / "kept", report=False)
    events = list(watch(str(film), options, settings=quick_settings()))
    kept = [event for event in events if isinstance(event, Recorded)]
    assert kept and kept[0].file is not None
    assert events[-1].gravest == "likely_manipulated"  # type: ignore[union-attr]
    with av.open(kept[0].file) as container:
        assert sum(1 for _ in container.decode(video=0)) > 20
