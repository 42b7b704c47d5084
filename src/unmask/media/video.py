"""Moving pictures: streaming views that never hold a whole film.

Pixels keep the coded orientation, as pictures do; `VideoView.upright` turns them as the display matrix says
(ISO/IEC 14496-12, 8.3.2). All detectors that look at every frame share one decode: `VideoView.small_frames`.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from numpy.typing import NDArray

from unmask.errors import DamagedMedia, LimitExceeded, UnsupportedMedia
from unmask.lazy import once
from unmask.media.container import (
    duration_of,
    explain,
    open_container,
    real_video_stream,
    seconds,
    sound_stream,
    tags,
)
from unmask.media.planes import changes, luma_of, pixels_of, reduced

if TYPE_CHECKING:
    from pydantic import JsonValue

    from unmask.subject import Subject

SMALL_SIDE = 128
SMALL_BYTES = 96 * 1024**2
"""Thumbnails of a whole film; `MAX_FRAMES` of the smallest fit in."""

MIN_SMALL_SIDE = 20
MOST_REACH = 300
"""Frames decoded on the way from a key frame to one that is wanted."""

HELD_FRAMES, HELD_BYTES = 8, 28 * 1024**2
"""Frames in the middle of so many equal parts of the film are held by the first pass until they are asked for, as long
as all of them together stay small; eight frames of 1080p do."""

PREVIEW_SIDE = 1280
PREVIEW_QUALITY = 80
_THREADS = max(1, min(4, os.cpu_count() or 1))
_PICT_TYPES = {1: "I", 2: "P", 3: "B", 4: "S", 5: "I", 6: "P", 7: "B"}
PACKET = np.dtype([("pts", "f8"), ("dts", "f8"), ("duration", "f8"), ("size", "i8"), ("position", "i8"), ("key", "?")])


def stream_kind(path: Path, sniffed_format: str) -> tuple[str, str]:
    """Whether a container is ``video`` or ``audio``, and its format's name (an ``mp4`` of sound is ``m4a``).

    Raises:
        DamagedMedia: broken or cut off. UnsupportedMedia: neither pictures nor sound that Unmask can decode.
    """
    with open_container(path, sniffed_format) as container:
        if real_video_stream(container) is not None:
            return "video", "mp4" if sniffed_format == "m4a" else sniffed_format
        if sound_stream(container) is not None:
            return "audio", "m4a" if sniffed_format in ("mp4", "mov") else sniffed_format
        if len(container.streams) == 0:
            raise DamagedMedia("media.damaged", "The container holds no stream: the file is damaged or incomplete.")
    raise UnsupportedMedia(
        "media.no_media", "The container holds neither moving pictures nor sound that can be decoded."
    )


@dataclass(frozen=True)
class Frame:
    """One decoded frame. ``pixels``: (h, w) grey or (h, w, 3) RGB uint8; ``time``: seconds; ``type``: I P B S or ?."""

    index: int
    time: float
    pixels: NDArray[np.uint8]
    type: str
    corrupt: bool


@dataclass(frozen=True)
class SmallFrames:
    """All frames as luma thumbnails, in display order.

    ``luma``: (n, h, w) uint8, coded orientation, longest side ``SMALL_SIDE`` or less; ``times``: (n,) seconds;
    ``types``: (n,) one of ``I P B S ?``; ``corrupt``: (n,) frames that the decoder had to guess;
    ``change``: (n,) mean absolute difference to the frame before, grey levels (0 for the first);
    ``complete``: False where a limit stopped the decoding; ``damaged``: seconds of stretches that could not be decoded.
    """

    luma: NDArray[np.uint8]
    times: NDArray[np.float64]
    types: NDArray[np.str_]
    corrupt: NDArray[np.bool_]
    change: NDArray[np.float32]
    complete: bool
    damaged: tuple[float, ...] = ()


@dataclass
class _Pass:
    """What one decoding pass met."""

    damaged: list[float] = field(default_factory=list)
    complete: bool = True


class VideoView:
    """Lazy views of one film (its first real picture stream).

    ``width``/``height``: coded pixels. ``rotation``: degrees clockwise (0, 90, 180, 270) that turn a coded frame
    upright. ``duration``: seconds declared, or None. ``frame_count``: declared, 0 where unknown.
    ``average_rate``/``real_rate``: frames a second, of all frames and as the container's base rate, or None.
    ``interlaced``: coded as fields. ``damaged``: times (seconds) of stretches the last pass could not decode.

    Raises:
        UnsupportedMedia: no moving picture (``media.no_video``).
        DamagedMedia: the container is broken or cut off, or not one frame can be decoded.
        LimitExceeded: the frame has more pixels than allowed.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.container = subject.sniffed.format
        self.damaged: list[float] = []
        self._held: dict[int, Any] = {}
        with self._open() as container:
            stream = self._stream(container)
            context = stream.codec_context
            self.width, self.height = int(context.width), int(context.height)
            self._check_pixels(self.width, self.height)
            self.codec = str(context.name)
            self.profile = str(context.profile or "")
            self.pixel_format = str(context.pix_fmt or "")
            self.frame_count = int(stream.frames or 0)
            self.average_rate = float(stream.average_rate) if stream.average_rate else None
            self.real_rate = float(stream.base_rate) if stream.base_rate else None
            self.bit_rate: int | None = int(context.bit_rate or container.bit_rate or 0) or None
            self.duration: float | None = duration_of(container, stream)
            self.has_audio = sound_stream(container) is not None
            self.sample_aspect = float(stream.sample_aspect_ratio or 1) or 1.0
            self._tags = tags(container, stream)
            self._read_first(container, stream)

    def _read_first(self, container: Any, stream: Any) -> None:
        first = next(self._decode(container, stream, _Pass()), None)
        if first is None:
            raise DamagedMedia(
                "media.damaged", "Not one frame can be decoded: the file is damaged or cut off. Get it again."
            )
        self.width, self.height = int(first.width), int(first.height)
        self.rotation = -round(first.rotation / 90.0) * 90 % 360
        self.pixel_format = str(first.format.name)
        self.interlaced = bool(first.interlaced_frame)

    def _check_pixels(self, width: int, height: int) -> None:
        limit = self._subject.options.limits.pixels
        if width * height > limit:
            raise LimitExceeded(
                "limit.pixels",
                f"A frame has {width * height / 1e6:.0f} million pixels; the limit is {limit / 1e6:.0f}. "
                "Raise it with --max-pixels if you trust the file.",
            )

    def _open(self) -> Any:
        if self._subject.sniffed.kind == "image":
            raise UnsupportedMedia("media.no_video", "The file is a picture, not a film.")
        return open_container(self._subject.path, self.container)

    def _stream(self, container: Any, threads: int = _THREADS) -> Any:
        stream = real_video_stream(container)
        if stream is None:
            raise UnsupportedMedia("media.no_video", "The file holds no moving picture that Unmask can decode.")
        stream.codec_context.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        return stream

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) as a player shows it (rotation applied, pixel aspect ratio not)."""
        return (self.height, self.width) if self.rotation in (90, 270) else (self.width, self.height)

    def upright(self, values: NDArray[Any]) -> NDArray[Any]:
        """An array (h, w[, c]) in coded orientation turned as the display matrix says."""
        return np.ascontiguousarray(np.rot90(values, k=-(self.rotation // 90)))

    @once
    def packet_table(self) -> NDArray[Any]:
        """(n,) structured array `PACKET`, in coding order; times in seconds, NaN where the container gives none.

        Nothing is decoded. A damaged container gives the packets up to the damage. At most ``limits.frames``.
        """
        rows: list[tuple[float, float, float, int, int, bool]] = []
        with self._open() as container:
            stream = self._stream(container)
            with suppress(av.error.FFmpegError, ValueError):
                for packet in container.demux(stream):
                    if packet.size:
                        rows.append(_row(packet, stream.time_base))
                    if len(rows) >= self._subject.options.limits.frames:
                        break
        return np.array(rows, PACKET)

    def frames(
        self,
        max_side: int = 0,
        rgb: bool = False,
        every: int = 1,
        start: float = 0.0,
        end: float | None = None,
        upright: bool = False,
        only: frozenset[int] | None = None,
        *,
        wanted: Callable[[float], bool] | None = None,
        alone: bool = True,
    ) -> Iterator[Frame]:
        """Stream frames in display order; nothing is kept.

        Args:
            max_side: longest side in pixels after reduction; 0 keeps the coded size.
            rgb: RGB instead of luma.
            every: keep one frame in so many (the others are decoded but not converted).
            start: first second wanted; the container is searched to the key frame before it, so ``index`` then
                counts from that key frame.
            end: last second wanted.
            upright: turn frames as a player would.
            only: indexes of the frames wanted, in display order as in `small_frames`; None means all.
            wanted: asked with the time of each frame that is left, just before it would be converted.
            alone: nothing else is done meanwhile; otherwise one thread decodes, which takes a tenth less of the
                processor.

        Damaged stretches are skipped and noted in ``damaged``. Stops at ``limits.frames`` and
        ``limits.duration_seconds``.
        """
        state = _Pass()
        self.damaged = state.damaged
        last = max(only, default=-1) if only is not None else None
        with self._open() as container:
            stream = self._stream(container, _THREADS if alone else 1)
            if start > 0 and stream.time_base:
                with suppress(av.error.FFmpegError):
                    container.seek(int(start / stream.time_base), stream=stream)
            for index, frame in enumerate(self._decode(container, stream, state)):
                time = self._time(frame, index, stream)
                if (end is not None and time > end) or (last is not None and index > last):
                    return
                if index % every or time < start or (only is not None and index not in only):
                    continue
                if wanted is not None and not wanted(time):
                    continue
                pixels = pixels_of(frame, max_side, rgb)
                kind = _PICT_TYPES.get(int(frame.pict_type), "?")
                yield Frame(index, time, self.upright(pixels) if upright else pixels, kind, bool(frame.is_corrupt))

    def key_frames(self, times: Sequence[float], max_side: int = 0) -> Iterator[Frame]:
        """The upright RGB key frames at or before ``times`` (seconds, rising), each once, with their own times.

        Only they are decoded: where the container cannot be searched, fewer come.
        """
        state, last = _Pass(), -1.0
        with self._open() as container:
            # Several threads would keep a frame back until others come.
            stream = self._stream(container, 1)
            stream.codec_context.skip_frame = "NONKEY"
            for number, wanted in enumerate(times):
                try:
                    at = int(wanted / stream.time_base) + (stream.start_time or 0)
                    container.seek(at, stream=stream)
                except av.error.FFmpegError:
                    continue
                frame = next(self._decode(container, stream, state), None)
                time = None if frame is None else self._time(frame, number, stream)
                if frame is not None and time is not None and time > last:
                    last = time
                    yield Frame(
                        number, time, self.upright(pixels_of(frame, max_side, True)), "I", bool(frame.is_corrupt)
                    )

    def frames_at(self, indexes: Sequence[int]) -> Iterator[Frame | None]:
        """The upright RGB frames of these indexes (rising, as in `small_frames`); those on the way are not converted.

        Each is decoded from the last key frame before it, so all together cost no more than one pass. None where that
        is more than `MOST_REACH` frames away, the container cannot be searched, or what comes is not the same picture.
        """
        small, table, state = self.small_frames, self.packet_table, _Pass()
        frames: Iterator[Any] = iter(())
        at = np.inf
        with self._open() as container:
            # What several threads make of damage is not always what one makes.
            stream = self._stream(container, _THREADS if small.damaged else 1)
            keys = table["pts"][table["key"]] - (seconds(stream.start_time, stream.time_base) or 0.0)
            for index in indexes:
                wanted = float(small.times[index])
                if wanted <= at or ((keys > at) & (keys <= wanted)).any():
                    frames = self._sought(container, stream, wanted, state)
                at = np.inf
                for frame in islice(frames, MOST_REACH):
                    if self._time(frame, index, stream) >= wanted - 1e-4:
                        at = wanted
                        break
                yield self._same(frame, index) if at == wanted else None

    def held(self, index: int) -> Callable[[], Frame] | None:
        """What gives the upright RGB frame of this index (as in `small_frames`), if the first pass kept it; only once.

        It is converted when it is called.
        """
        small, frame = self.small_frames, self._held.pop(index, None)
        return None if frame is None else partial(self._known, frame, index, small)

    def _same(self, frame: Any, index: int) -> Frame | None:
        """The decoded frame, if it is the one of this index, bit for bit as the pass over the whole film saw it."""
        seen = self.small_frames.luma[index]
        same = np.array_equal(reduced(luma_of(frame), (seen.shape[1], seen.shape[0])), seen)
        return self._known(frame, index, self.small_frames) if same else None

    def _known(self, frame: Any, index: int, small: SmallFrames) -> Frame:
        pixels = self.upright(pixels_of(frame, 0, True))
        return Frame(index, float(small.times[index]), pixels, str(small.types[index]), bool(small.corrupt[index]))

    def _sought(self, container: Any, stream: Any, time: float, state: _Pass) -> Iterator[Any]:
        """Frames from the last key frame before a time on; none where the container cannot be searched."""
        try:
            container.seek(round(time / stream.time_base) + (stream.start_time or 0), stream=stream)
        except av.error.FFmpegError:
            return iter(())
        return self._decode(container, stream, state)

    def _time(self, frame: Any, index: int, stream: Any) -> float:
        time = frame.time
        if time is None:
            return index / (self.average_rate or 25.0)
        return float(time) - (seconds(stream.start_time, stream.time_base) or 0.0)

    def _decode(self, container: Any, stream: Any, state: _Pass) -> Iterator[Any]:
        """Frames as FFmpeg gives them, inside the limits, going on after damage."""
        limits = self._subject.options.limits
        count, position = 0, 0.0
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                position = seconds(packet.pts, stream.time_base) or position
                decoded = packet.decode()
            except av.error.EOFError:
                return
            except (av.error.InvalidDataError, ValueError):
                state.damaged.append(round(position, 3))
                continue
            except av.error.FFmpegError as error:
                if count:
                    state.damaged.append(round(position, 3))
                    return
                raise explain(error) from error
            for frame in decoded:
                if count >= limits.frames or (frame.time or 0.0) > limits.duration_seconds:
                    state.complete = False
                    return
                self._check_pixels(frame.width, frame.height)
                if frame.is_corrupt:
                    state.damaged.append(round(float(frame.time or position), 3))
                count += 1
                yield frame

    @once
    def small_frames(self) -> SmallFrames:
        """Every frame as a luma thumbnail: one threaded decode that all detectors share; at most `SMALL_BYTES`.

        A film of very many frames gets smaller thumbnails.
        """
        size = self._small_size
        times, types, corrupt = [], [], []
        state = _Pass()
        room = min(SMALL_BYTES // (size[0] * size[1]), self._subject.options.limits.frames)
        # Pages that no frame is written to take no memory.
        luma = np.empty((room, size[1], size[0]), np.uint8)
        hold = set(middles(len(self.packet_table), HELD_FRAMES).tolist())
        with self._open() as container:
            stream = self._stream(container)
            for index, frame in enumerate(self._decode(container, stream, state)):
                if index >= room:
                    state.complete = False
                    break
                luma[index] = reduced(luma_of(frame), size)
                if index in hold and HELD_FRAMES * sum(plane.buffer_size for plane in frame.planes) <= HELD_BYTES:
                    self._held[index] = frame
                times.append(self._time(frame, index, stream))
                types.append(_PICT_TYPES.get(int(frame.pict_type), "?"))
                corrupt.append(bool(frame.is_corrupt))
        self.damaged = state.damaged
        luma = luma[: len(times)]
        return SmallFrames(
            luma=luma,
            times=np.array(times, np.float64),
            types=np.array(types, "U1"),
            corrupt=np.array(corrupt, np.bool_),
            change=changes(luma),
            complete=state.complete,
            damaged=tuple(state.damaged),
        )

    @property
    def _small_size(self) -> tuple[int, int]:
        """(width, height) of the thumbnails."""
        expected = max(self.frame_count, int((self.duration or 0) * (self.average_rate or 30.0)), 1)
        expected = min(expected, self._subject.options.limits.frames)
        longest = max(self.width, self.height)
        side = min(SMALL_SIDE, longest)
        area = self.width * self.height / longest**2
        side = min(side, max(MIN_SMALL_SIDE, int((SMALL_BYTES / expected / area) ** 0.5)))
        scale = side / longest
        return max(1, round(self.width * scale)), max(1, round(self.height * scale))

    def preview(self) -> str:
        """A small upright JPEG of a frame a third into the film (or the first that decodes), base64."""
        from PIL import Image

        start = (self.duration or 0.0) / 3
        frame = next(self.frames(PREVIEW_SIDE, rgb=True, start=start, upright=True), None)
        if frame is None:
            frame = next(self.frames(PREVIEW_SIDE, rgb=True, upright=True))
        buffer = io.BytesIO()
        Image.fromarray(frame.pixels).save(buffer, "JPEG", quality=PREVIEW_QUALITY)
        return base64.b64encode(buffer.getvalue()).decode("ascii")

    def facts(self) -> dict[str, JsonValue]:
        """What the container says, for `SubjectInfo.facts`."""
        found: dict[str, JsonValue] = {
            "video_codec": self.codec,
            "video_profile": self.profile,
            "pixel_format": self.pixel_format,
            "coded_size": f"{self.width}x{self.height}",
            "rotation": self.rotation,
            "frames_declared": self.frame_count,
            "average_frame_rate": round(self.average_rate, 3) if self.average_rate else None,
            "video_bit_rate": self.bit_rate,
            "interlaced": self.interlaced,
            "has_audio": self.has_audio,
        }
        found.update({f"video_{k.lower()}": v for k, v in self._tags.items()})
        return {k: v for k, v in found.items() if v is not None and v != ""}


def middles(count: int, parts: int) -> NDArray[np.int64]:
    """(parts,) places (0..count) in the middle of so many equal parts."""
    return ((np.arange(parts) + 0.5) / parts * count).astype(np.int64)


def _row(packet: Any, base: Any) -> tuple[float, float, float, int, int, bool]:
    times = [seconds(v, base) for v in (packet.pts, packet.dts, packet.duration)]
    pts, dts, length = (np.nan if t is None else t for t in times)
    position = -1 if packet.pos is None else int(packet.pos)
    return pts, dts, length, int(packet.size), position, bool(packet.is_keyframe)
