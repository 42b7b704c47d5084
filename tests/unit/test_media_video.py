"""The reader of films, on bytes made here and on the kit."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from media_made import encode_sound, pan, write_film
from PIL import Image

from unmask.errors import LimitExceeded, MediaError, UnsupportedMedia
from unmask.media.planes import pixels_of
from unmask.media.video import stream_kind
from unmask.options import Limits, Options
from unmask.subject import Subject

FRAMES = pan(36)


def shown(view_jpeg: str) -> tuple[int, int]:
    return Image.open(io.BytesIO(base64.b64decode(view_jpeg))).size


@pytest.mark.parametrize(
    ("name", "codec", "format_"),
    [
        ("f.mp4", "libx264", "mp4"),
        ("f.mov", "libx264", "mov"),
        ("f.mkv", "libx265", "mkv"),
        ("f.webm", "libvpx", "webm"),
        ("f.avi", "mpeg4", "avi"),
    ],
)
def test_formats(tmp_path: Path, name: str, codec: str, format_: str) -> None:
    subject = Subject(write_film(tmp_path / name, FRAMES[:12], codec))
    assert (subject.kind, subject.format) == ("video", format_)
    view = subject.video
    assert (view.width, view.height, view.rotation, view.has_audio) == (320, 240, 0, False)
    small = view.small_frames
    assert small.luma.shape == (12, 96, 128)
    assert np.allclose(small.times, np.arange(12) / 30, atol=0.002)
    assert small.complete
    assert not view.damaged
    truth = np.stack([cv2.resize(f.mean(axis=2), (128, 96), interpolation=cv2.INTER_AREA) for f in FRAMES[:12]])
    distance = np.abs(small.luma[:, None].astype(float) - truth[None]).mean(axis=(2, 3))
    assert distance.argmin(axis=1).tolist() == list(range(12))  # each thumbnail is its own frame, in order
    table = view.packet_table
    assert len(table) == 12
    assert table["key"][0]
    assert (table["size"] > 0).all()
    assert shown(view.preview()) == (320, 240)


def test_frame_types_and_streaming(tmp_path: Path) -> None:
    view = Subject(write_film(tmp_path / "f.mp4", FRAMES, gop=12)).video
    assert (view.small_frames.types == "I").nonzero()[0].tolist() == [0, 12, 24]
    frames = list(view.frames(max_side=160, rgb=True, every=5))
    assert [f.index for f in frames] == list(range(0, 36, 5))
    assert frames[0].pixels.shape == (120, 160, 3)
    assert np.abs(frames[1].pixels.mean((0, 1)) - FRAMES[5].mean((0, 1))).max() < 3
    late = list(view.frames(start=1.0))
    assert late[0].time == pytest.approx(1.0)
    assert late[0].pixels.shape == (240, 320)
    assert [round(f.time * 30) for f in view.frames(end=0.1)] == [0, 1, 2, 3]


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_rotated(tmp_path: Path, turn: int) -> None:
    frames = [np.zeros((240, 320, 3), np.uint8) for _ in range(4)]
    for f in frames:
        f[:60, :80] = 255  # bright corner, top left as coded
    # FFmpeg counts counter-clockwise; ours is what a player turns clockwise.
    view = Subject(write_film(tmp_path / "f.mp4", frames, rotation=-turn)).video
    assert view.rotation == turn
    assert view.upright_size == ((240, 320) if turn != 180 else (320, 240))
    upright = next(view.frames(upright=True)).pixels
    h, w = upright.shape
    corners = {90: upright[:20, w - 20 :], 180: upright[h - 20 :, w - 20 :], 270: upright[h - 20 :, :20]}
    assert corners[turn].mean() > 200
    assert shown(view.preview()) == view.upright_size


def test_variable_frame_rate(tmp_path: Path) -> None:
    times = [0, 1, 2, 9, 10, 11, 30, 31]
    view = Subject(write_film(tmp_path / "f.mkv", FRAMES[:8], times=times)).video
    assert np.allclose(view.small_frames.times * 30, times, atol=0.05)


def test_one_frame(tmp_path: Path) -> None:
    view = Subject(write_film(tmp_path / "f.mp4", FRAMES[:1])).video
    assert view.small_frames.luma.shape[0] == 1
    assert view.small_frames.change.tolist() == [0]
    assert shown(view.preview()) == (320, 240)


def test_sound_only_container(tmp_path: Path) -> None:
    path = encode_sound(tmp_path / "a.mp4", np.sin(np.arange(16000) / 9), "aac", 64000)
    assert stream_kind(path, "mp4") == ("audio", "m4a")
    with pytest.raises(UnsupportedMedia) as caught:
        _ = Subject(path).video
    assert caught.value.code == "media.no_video"


def test_cover_picture_is_no_film(tmp_path: Path) -> None:
    cover = io.BytesIO()
    Image.fromarray(FRAMES[0]).save(cover, "JPEG")
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w", format="mp4") as out:
        sound = out.add_stream("aac", rate=16000, layout="mono")
        art = out.add_stream("mjpeg", rate=1)
        art.width, art.height, art.pix_fmt = 320, 240, "yuvj420p"
        art.disposition = av.stream.Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        picture = av.Packet(cover.getvalue())
        picture.stream, picture.pts, picture.dts, picture.is_keyframe = art, 0, 0, True
        out.mux(picture)
        out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    assert Subject(path).kind == "audio"


@pytest.mark.parametrize("tenth", range(1, 10))
@pytest.mark.parametrize("name", ["f.mp4", "f.mkv", "f.avi"])
def test_cut_off_anywhere(tmp_path: Path, name: str, tenth: int) -> None:
    path = write_film(tmp_path / name, FRAMES[:20], "mpeg4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * tenth // 10])
    subject = Subject(path)
    try:
        small = subject.video.small_frames
    except MediaError as error:
        assert error.code in ("media.truncated", "media.damaged")
    else:
        assert 0 < small.luma.shape[0] <= 20
        assert len(subject.video.packet_table) <= 20


def test_damage_is_skipped_and_noted(tmp_path: Path) -> None:
    path = write_film(tmp_path / "f.mp4", FRAMES, gop=6)
    view = Subject(path).video
    victim = view.packet_table[14]
    data = bytearray(path.read_bytes())
    start = int(victim["position"])
    data[start : start + int(victim["size"])] = b"\xff" * int(victim["size"])
    path.write_bytes(bytes(data))
    broken = Subject(path).video
    small = broken.small_frames
    assert broken.damaged
    assert 20 <= small.luma.shape[0] <= 36
    assert small.times[-1] > 1.1


def test_limits(tmp_path: Path) -> None:
    path = write_film(tmp_path / "f.mp4", FRAMES)
    few = Subject(path, Options(limits=Limits(frames=10))).video
    assert few.small_frames.luma.shape[0] == 10
    assert not few.small_frames.complete
    with pytest.raises(LimitExceeded):
        _ = Subject(path, Options(limits=Limits(pixels=1000))).video


def test_memory_of_thumbnails_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unmask.media.video.SMALL_BYTES", 20 * 64 * 48)
    view = Subject(write_film(tmp_path / "f.mp4", FRAMES)).video
    assert view.small_frames.luma.nbytes <= 20 * 64 * 48


def test_ten_bit_luma(tmp_path: Path) -> None:
    path = tmp_path / "f.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p10le"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(FRAMES[0], format="rgb24")))
        out.mux(stream.encode(None))
    luma = next(Subject(path).video.frames()).pixels
    assert luma.dtype == np.uint8
    assert luma.std() > 10


@pytest.mark.skipif(os.name != "posix", reason="names of bytes")
def test_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = write_film(tmp_path / "f.mp4", FRAMES[:3])
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\nb\xff:c.mp4"))
    path.rename(odd)
    assert Subject(odd).video.small_frames.luma.shape[0] == 3


def test_broken_structure(kit: Path) -> None:
    with pytest.raises(MediaError):
        _ = Subject(kit / "provenance" / "nested_moov_1000.mp4").kind


def test_one_converter_for_frames_of_all_kinds() -> None:
    rng = np.random.default_rng(3)
    for width, height, kind in (
        (64, 48, "yuv420p"),
        (96, 32, "yuv444p"),
        (64, 48, "yuvj420p"),
        (64, 48, "yuv420p10le"),
    ):
        frame = av.VideoFrame.from_ndarray(rng.integers(0, 255, (height, width, 3), np.uint8), format="rgb24")
        frame = frame.reformat(format=kind)
        assert np.array_equal(pixels_of(frame, 0, True), frame.to_ndarray(format="rgb24")), kind
        assert pixels_of(frame, 32, True).shape == (round(32 * height / width), 32, 3)
