"""Films with faces, and what a whole examination of them costs; how the cost grows with the length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import inputs
import numpy as np
from measure import Cost, repeated, say
from numpy.typing import NDArray

from unmask.models.store import find_model, reference_input

SECONDS, RATE = 60, 30
LENGTHS = (1, 4, 16)
"""Minutes of the films that show how the cost grows."""

FACES = {1: ((470, 180, 330),), 5: ((60, 60, 300), (560, 420, 330), (1040, 90, 320), (1500, 500, 340), (120, 650, 310))}


def talk(count: int, size: tuple[int, int]) -> Path:
    """A minute of people who talk: drawn faces that sway and move their mouths before a room, with sound."""
    return inputs.kept(f"talk-{count}-{size[1]}p.mp4", lambda path: _write(path, count, size))


def portrait() -> Path:
    """A 720p picture of the first of these people, JPEG."""
    return inputs.kept("portrait.jpg", _write_portrait)


def _write_portrait(path: Path) -> None:
    cv2.imwrite(str(path), cv2.cvtColor(next(_frames(1, (1280, 720))), cv2.COLOR_RGB2BGR))


def longer(path: Path, minutes: int) -> Path:
    """The film again and again without new coding."""
    return inputs.kept(f"{path.stem}-{minutes}min.mp4", lambda out: _repeat(path, out, minutes * 60 // SECONDS))


def _write(path: Path, count: int, size: tuple[int, int]) -> None:
    encoder = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    options = {"crf": "22", "preset": "veryfast", "bf": "0"} if encoder == "libx264" else {"qscale": "4"}
    with av.open(str(path), "w") as container:
        video = container.add_stream(encoder, rate=RATE, options=options)
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        sound = container.add_stream("aac", rate=inputs.SOUND_RATE, layout="stereo")
        for i, pixels in enumerate(_frames(count, size)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        inputs.mux_sound(container, sound, inputs.speech(SECONDS, 9))


def _frames(count: int, size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    rng = np.random.default_rng(10)
    room = np.clip(inputs.world(*size, 12), 0, 255).astype(np.uint8)
    noise = rng.normal(0, 2.5, (size[1] + 64, size[0] + 64, 3)).astype(np.int8)
    phases = rng.uniform(0, 6, (count, 3))
    for i in range(SECONDS * RATE):
        view = room.copy()
        for (x, y, side), phase in zip(FACES[count], phases, strict=True):
            sway = (14 * np.sin(i / 21 + phase[:2])).astype(int)
            _put(view, _talking(side, 0.5 + 0.5 * np.sin(i / 4 + phase[2])), x + int(sway[0]), y + int(sway[1]))
        top, left = rng.integers(0, 64, 2)
        yield np.asarray(cv2.add(view, noise[top : top + size[1], left : left + size[0]], dtype=cv2.CV_8U), np.uint8)


def _talking(side: int, opening: float) -> NDArray[np.uint8]:
    """The drawn face of a model's reference with its mouth ``opening`` (0..1) open."""
    pixels = reference_input(find_model("face-detection-full-range-sparse-1"))["input_1"][0]
    face = cv2.resize(np.clip((pixels + 1) * 127.5, 0, 255).astype(np.uint8), (side, side))
    axes = round(0.075 * side), max(1, round(0.05 * side * opening))
    return np.asarray(
        cv2.ellipse(face, (side // 2, round(0.72 * side)), axes, 0, 0, 360, (60, 25, 30), -1, cv2.LINE_AA)
    )


def _put(view: NDArray[np.uint8], face: NDArray[np.uint8], x: int, y: int) -> None:
    x, y = max(0, x), max(0, y)
    place = view[y : y + face.shape[0], x : x + face.shape[1]]
    place[:] = face[: place.shape[0], : place.shape[1]]


def _repeat(path: Path, out: Path, times: int) -> None:
    with av.open(str(out), "w") as target, av.open(str(path)) as first:
        streams = [target.add_stream_from_template(stream) for stream in first.streams]
        last: dict[int, int] = {}
        for turn in range(times):
            with av.open(str(path)) as source:
                for packet in source.demux():
                    if packet.dts is None or packet.pts is None:
                        continue
                    index = packet.stream.index
                    shift = round(turn * SECONDS / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    # The sound is a little longer than a turn: what would run into the next one is left out.
                    if packet.dts <= last.get(index, packet.dts - 1):
                        continue
                    last[index] = packet.dts
                    packet.stream = streams[index]
                    target.mux(packet)


Scan = Callable[[Path], Cost]


def rows(scan: Scan, runs: int, *, quick: bool) -> Iterator[tuple[str, Cost, float, float]]:
    """(what, cost, times real time, least wanted) of each film; 0 where nothing is asked."""
    for count, size, name, least in (
        (1, (1280, 720), "720p30, one face", 3.0),
        (5, (1920, 1080), "1080p30, five faces", 1.0),
    ):
        path = talk(count, size)
        cost = repeated(1 if quick else runs, lambda path=path: scan(path))  # type: ignore[misc]
        yield f"60 s of {name}, whole examination, cold", cost, SECONDS / cost.seconds, least
        say(f"… {name}: {cost.seconds:.1f} s")
    if quick:
        return
    for minutes in LENGTHS[1:]:
        cost = scan(longer(talk(1, (1280, 720)), minutes))
        yield f"{minutes} minutes of the first, whole examination", cost, minutes * 60 / cost.seconds, 0.0
        say(f"… {minutes} minutes: {cost.seconds:.1f} s")
