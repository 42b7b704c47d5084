"""Suspicious stretches on disk: packets as they came, without decoding, in a Matroska file each, with their report."""

from __future__ import annotations

import contextlib
import errno
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import av

from unmask.live.events import Recorded
from unmask.live.ring import MICRO, Kept, PacketRing, kept
from unmask.live.settings import Recording
from unmask.report import Reason
from unmask.walk import make_folder

# Uncompressed pictures would fill memory and disk: they are kept as JPEG, at most so many a second.
_RAW = ("rawvideo", "v210", "v308", "v408", "v410", "yuv4", "wrapped_avframe", "bmp")
_RAW_STEP = 0.1
_PENDING = 4096

Open = Callable[[Path], IO[bytes]]


class _Counted:
    """A file for FFmpeg that counts its bytes and refuses to grow past ``room``."""

    def __init__(self, file: IO[bytes], room: int) -> None:
        self._file, self._room, self.size = file, room, 0
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write, or remember why not. FFmpeg hides the errors of its files."""
        if self._file.tell() + len(data) > self._room:
            self.error = self.error or OSError(errno.EDQUOT, "the limit is reached")
            raise self.error
        try:
            count = self._file.write(data)
        except OSError as error:
            self.error = error
            raise
        self.size = max(self.size, self._file.tell())
        return count

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of a file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As of a file."""
        return self._file.tell()


class Recorder:
    """Keeps packets as they come and writes stretches.

    `opened` and `packet` are called by the reader's thread, everything else by the watcher's.

    Args:
        folder: where the files go; made where it is missing.
        settings: lengths and memory.
        window: seconds that a window takes, so that a stretch is still there when its window closes.
        limit_mb: megabytes of all files together.
        open_file: how a file is made (tests).

    Raises:
        UsageError: the folder cannot be made or written.
    """

    def __init__(
        self, folder: Path, settings: Recording, window: float, limit_mb: int, open_file: Open | None = None
    ) -> None:
        self.folder = folder
        make_folder(folder, "usage.record")
        self._settings = settings
        self._ring = PacketRing(window + settings.before + 2.0, settings.memory_mb * 1024**2)
        self._room = limit_mb * 1024**2
        self._open_file = open_file or (lambda path: path.open("xb"))
        self._stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        self._count = 0
        self._streams: tuple[Any | None, Any | None] = (None, None)
        self._last: dict[bool, int] = {}
        self._raw: Any | None = None
        self._raw_next = 0.0
        self._fresh: deque[Kept] = deque(maxlen=_PENDING)
        self._lock = threading.Lock()
        self._file: _Open | None = None
        self._until = 0.0
        self._broken_off = False
        self.stopped: Reason | None = None

    # The reader's thread ---------------------------------------------------------------------------------

    def opened(self, video: Any | None, audio: Any | None) -> None:
        """A stream begins: what was kept of the one before does not fit to it."""
        with self._lock:
            self._ring.clear()
            self._fresh.clear()
            self._broken_off = self._file is not None
            self._streams, self._last = (video, audio), {}
            self._raw = None
            if video is not None and video.codec_context.name in _RAW:
                self._raw = _jpeg(video)

    def packet(self, packet: Any, now: float) -> None:
        """A packet came."""
        video = packet.stream is self._streams[0]
        if video and self._raw is not None:
            return
        copy = kept(packet, now, video, self._last.get(video))
        if copy is not None:
            self._last[video] = copy.dts
            self._keep(copy)

    def frame(self, frame: Any, now: float) -> None:
        """A decoded frame came; only uncompressed ones are kept this way."""
        if self._raw is None or now < self._raw_next - _RAW_STEP / 10:
            return
        self._raw_next = now + _RAW_STEP
        picture = frame.reformat(width=self._raw.width, height=self._raw.height, format="yuvj420p")
        picture.pts, picture.time_base = int(now * 1_000_000), self._raw.time_base
        for packet in self._raw.encode(picture):
            data = bytes(packet)
            self._keep(Kept(now, True, True, int(now * 1_000_000), int(now * 1_000_000), 0, data))

    def _keep(self, copy: Kept) -> None:
        with self._lock:
            self._ring.put(copy)
            if self._file is not None and not self._broken_off:
                self._fresh.append(copy)

    # The watcher's thread --------------------------------------------------------------------------------

    def suspicious(self, since: float, now: float) -> list[Recorded]:
        """There are signs from ``since`` to ``now`` (seconds): keep that stretch and what comes right after."""
        if self.stopped is not None:
            return []
        self._until = now + self._settings.after
        if self._file is not None:
            return []
        try:
            return self._begin(max(0.0, since - self._settings.before))
        except (OSError, av.error.FFmpegError, ValueError) as error:
            return self._give_up(error)

    def step(self, now: float) -> list[Recorded]:
        """Write what came; the events of files that are done."""
        if self._file is None:
            return []
        try:
            self._write()
        except (OSError, av.error.FFmpegError, ValueError) as error:
            return self._give_up(error)
        if self._broken_off or now >= self._until or now - self._file.start >= self._settings.longest:
            return self._finish()
        return []

    def close(self) -> list[Recorded]:
        """The watch ends: finish the file that is open."""
        if self._file is None:
            return []
        with contextlib.suppress(OSError, av.error.FFmpegError, ValueError):
            self._write()
        return self._finish()

    def _begin(self, start: float) -> list[Recorded]:
        with self._lock:
            packets = self._ring.since(start)
            if not packets:
                return []
            self._fresh.clear()
            self._fresh.extend(packets)
            self._count += 1
            path = self.folder / f"live-{self._stamp}-{self._count:03d}.mkv"
            self._file = _Open(path, self._open_file(path), self._room, packets[0])
            self._broken_off = False
            self._file.add_streams(*self._streams, self._raw)
        return []

    def _write(self) -> None:
        with self._lock:
            packets = list(self._fresh)
            self._fresh.clear()
        if self._file is not None:
            self._file.write(packets)

    def _finish(self) -> list[Recorded]:
        file, self._file = self._file, None
        assert file is not None
        error = file.close()
        self._room -= file.size
        out = [Recorded(time=file.end, file=str(file.path), start=file.start, end=file.end, bytes=file.size)]
        if error is not None:
            self.stopped = _why(error)
            out.append(Recorded(time=file.end, reason=self.stopped))
        return out

    def _give_up(self, error: Exception) -> list[Recorded]:
        """No more can be written; what was written is kept where it can be played."""
        out: list[Recorded] = []
        if self._file is not None:
            error = self._file.error or error
            out = [event for event in self._finish() if event.reason is None]
        self.stopped = _why(error)
        return [*out, Recorded(time=self._until, reason=self.stopped)]


class _Open:
    """A file that is being written."""

    def __init__(self, path: Path, file: IO[bytes], room: int, first: Kept) -> None:
        self.path, self._raw_file = path, file
        self._counted = _Counted(file, room)
        self.start = self.end = first.now
        self._base = first.dts
        self._last: dict[bool, int] = {}
        self._streams: dict[bool, Any] = {}
        self._container = av.open(self._counted, "w", format="matroska")

    def add_streams(self, video: Any | None, audio: Any | None, raw: Any | None) -> None:
        """The streams of the source, or JPEG in place of uncompressed pictures."""
        if raw is not None:
            stream = self._container.add_stream("mjpeg", rate=10)
            stream.width, stream.height, stream.pix_fmt = raw.width, raw.height, "yuvj420p"
            self._streams[True] = stream
        elif video is not None:
            self._streams[True] = self._container.add_stream_from_template(video)
        if audio is not None:
            self._streams[False] = self._container.add_stream_from_template(audio)

    def write(self, packets: list[Kept]) -> None:
        """Append packets; times that run backwards (a spliced stream) are left out."""
        for packet in packets:
            stream = self._streams.get(packet.video)
            if stream is None or packet.dts < self._base or packet.dts <= self._last.get(packet.video, -1):
                continue
            self._last[packet.video] = packet.dts
            self._container.mux(packet.packet(stream, self._base))
            self.end = packet.now
        if self._counted.error is not None:
            raise self._counted.error

    @property
    def size(self) -> int:
        """Bytes written."""
        return self._counted.size

    @property
    def error(self) -> OSError | None:
        """Why the file could not be written, if so."""
        return self._counted.error

    def close(self) -> OSError | None:
        """End the file; an empty one is taken away."""
        with contextlib.suppress(OSError, av.error.FFmpegError, ValueError):
            self._container.close()
        with contextlib.suppress(OSError):
            self._raw_file.close()
        if not self._counted.size:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)
        return self._counted.error


def _jpeg(video: Any) -> Any:
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height = int(video.codec_context.width), int(video.codec_context.height)
    context.pix_fmt = "yuvj420p"
    context.time_base = MICRO
    return context


def _why(error: Exception) -> Reason:
    number = getattr(error, "errno", None)
    if number == errno.EDQUOT:
        return Reason(code="live.record_limit", text="Recording stopped: --record-limit is reached. Watching goes on.")
    if number == errno.ENOSPC:
        return Reason(code="live.disk_full", text="Recording stopped: the disk is full. Watching goes on.")
    said = getattr(error, "strerror", None) or type(error).__name__
    return Reason(code="live.record_failed", text=f"Recording stopped: {said}. Watching goes on.")
