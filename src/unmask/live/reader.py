"""The reader thread: opens the source, reads and decodes, and opens it again after a break."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any, Protocol

import av
import numpy as np

from unmask.errors import LimitExceeded, MediaError, UnmaskError
from unmask.live.inbox import Inbox, Look, Note
from unmask.live.options import LiveOptions
from unmask.live.pace import Pace
from unmask.live.settings import LiveSettings
from unmask.live.sources import Source, explain, open_source
from unmask.media.container import real_video_stream, sound_stream
from unmask.voices.speech import RATE

FIRST_PAUSE, MOST_PAUSE = 0.5, 10.0
"""Seconds before the first new attempt after a break; doubled each time up to the second."""


class Keeper(Protocol):
    """Who keeps packets for recording."""

    def opened(self, video: Any | None, audio: Any | None) -> None:
        """The source is open, with these streams."""

    def packet(self, packet: Any, now: float) -> None:
        """A packet that came ``now`` (seconds since the start)."""

    def frame(self, frame: Any, now: float) -> None:
        """A frame that was decoded ``now``."""


class Reader(threading.Thread):
    """Reads one source into an `Inbox` until it ends or `stop` is called.

    Args:
        source: from `find_source`.
        inbox: where to leave what was read.
        options: timeouts, retries, limits, ``fast``.
        settings: of the live watcher.
        begun: the clock (`time.monotonic`) at which the watch began.
        keeper: gets every packet, for recording.
        picture: False reads the sound only (a microphone).
    """

    def __init__(
        self,
        source: Source,
        inbox: Inbox,
        options: LiveOptions,
        settings: LiveSettings,
        begun: float,
        keeper: Keeper | None = None,
        picture: bool = True,
    ) -> None:
        super().__init__(name="unmask-live-reader", daemon=True)
        self.source, self.inbox, self.options = source, inbox, options
        self._fast = options.fast and source.kind == "file"
        self._begun, self._keeper, self._picture = begun, keeper, picture
        self._late_after = settings.looking.late_after
        self._pace = Pace(source.paced and not self._fast, source.kind == "file", settings.looking.late_after)
        self._step = 1.0 / settings.looking.per_second
        if options.challenges:
            self._step = 1.0 / settings.looking.per_second_challenge
        self._stop_asked = threading.Event()
        self._seen = False
        self._next = 0.0
        self._last_drop_note = 0.0
        self._dropped_then = 0
        self._heard = 0
        self._finite = False

    def stop(self) -> None:
        """Ask the thread to end; it does so at the next packet or when reading times out."""
        self._stop_asked.set()
        self.inbox.close()

    def run(self) -> None:
        """The thread's life: play, and after a break play again."""
        why: UnmaskError | str = "live.ended"
        try:
            why = self._live()
        except UnmaskError as error:
            why = error
        except Exception as error:  # a fault of ours must end the watch, not hang it
            why = MediaError("live.reader", f"The reader failed ({type(error).__name__}): report it.")
        finally:
            self.inbox.end(why)

    def _live(self) -> UnmaskError | str:
        attempts, pause = 0, FIRST_PAUSE
        last: UnmaskError | str = "live.ended"
        while not self._stop_asked.is_set():
            played, last = self._once(attempts)
            if played:
                attempts, pause = 0, FIRST_PAUSE
            if not self.source.again or self._finite or not self._seen or attempts >= self.options.retries:
                return last
            attempts += 1
            text = last.text if isinstance(last, UnmaskError) else "The stream ended."
            self._note("broken", attempts, text, last.code if isinstance(last, UnmaskError) else last)
            self._stop_asked.wait(pause)
            pause = min(MOST_PAUSE, 2 * pause)
        return last

    def _once(self, attempts: int) -> tuple[bool, UnmaskError | str]:
        """One connection: whether anything came, and why it ended."""
        before = self.inbox.read + self._heard
        why: UnmaskError | str = "live.ended"
        container = None
        try:
            container = open_source(self.source, self.options.open_timeout, self.options.read_timeout)
            self._play(container, attempts)
        except (UnmaskError, av.error.FFmpegError, OSError, ValueError) as error:
            why = self._broke(error)
        finally:
            if container is not None:
                with suppress(Exception):
                    container.close()
        return self.inbox.read + self._heard > before, why

    def _broke(self, error: BaseException) -> UnmaskError | str:
        if isinstance(error, av.error.EOFError) and self._seen:
            return "live.ended"
        if isinstance(error, av.error.ExitError) and self._seen:
            text = f"Nothing came for {self.options.read_timeout:g} s. Check the sender, or raise --read-timeout."
            return MediaError("live.stalled", text)
        if isinstance(error, UnmaskError):
            return error
        if self._seen:
            said = str(getattr(error, "strerror", "") or type(error).__name__)[:80]
            return MediaError("live.broken", f"The stream broke off: {said}.")
        return explain(error, self.source)

    def _note(self, code: str, value: float = 0.0, text: str = "", detail: str = "") -> None:
        self.inbox.note(Note(code, self._now(), value, text, detail))

    def _now(self) -> float:
        return time.monotonic() - self._begun

    def _play(self, container: Any, attempts: int) -> None:
        video = real_video_stream(container) if self._picture else None
        audio = sound_stream(container)
        if video is None and audio is None:
            raise MediaError("live.no_media", f"{self.source.shown} has neither picture nor sound to be decoded.")
        self._prepare(container, video, audio)
        self._note("reconnected" if self._seen else "opened", attempts)
        self._pace.restart()
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        packets = container.demux(*(s for s in (video, audio) if s is not None))
        while not self._stop_asked.is_set():
            asked = time.monotonic()
            packet = next(packets, None)
            if packet is None:
                return
            now = time.monotonic()
            if packet.size and self._keeper is not None:
                self._keeper.packet(packet, self._packet_time(packet, now))
            if packet.stream is video:
                self._video(packet, now, now - asked)
            elif packet.stream is audio:
                self._audio(packet, resampler, video is None, now)

    def _prepare(self, container: Any, video: Any | None, audio: Any | None) -> None:
        # A film that lies on a server ends once; opening it again would only begin it anew.
        self._finite = self.source.kind == "stream" and max(container.duration or 0, container.size or 0) > 0
        if self._finite:
            self._pace.paced = True
        self.inbox.has_picture, self.inbox.has_sound = video is not None, audio is not None
        if video is not None:
            # Frame threads would hold frames back.
            video.codec_context.thread_type = "SLICE"
            self._check(int(video.codec_context.width), int(video.codec_context.height))
        if self._keeper is not None:
            self._keeper.opened(video, audio)

    def _check(self, width: int, height: int) -> None:
        limit = self.options.limits.pixels
        if width * height > limit:
            raise LimitExceeded("limit.pixels", f"A frame has more than {limit / 1e6:.0f} million pixels.")

    def _video(self, packet: Any, now: float, waited: float) -> None:
        context = packet.stream.codec_context
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is not None and not self._fast:
            wait = self._pace.arrived(now, float(stamp * packet.stream.time_base), waited)
            context.skip_frame = "NONKEY" if self._pace.late else "DEFAULT"
            if wait > 0:
                self._stop_asked.wait(min(wait, 5.0))
                now = time.monotonic()
        try:
            frames = packet.decode()
        except (av.error.InvalidDataError, ValueError):
            return
        if packet.size and not frames and self._pace.late:
            self.inbox.dropped += 1
        for frame in frames:
            self._frame(frame, now)
        self._tell_drops(now)

    def _frame(self, frame: Any, now: float) -> None:
        self._check(frame.width, frame.height)
        self.inbox.read += 1
        self._seen = True
        moment = self._frame_time(frame) if self._fast else now - self._begun
        if self._fast:
            if moment < self._next - 1e-6:
                return
            self._next = max(self._next + self._step, moment)
        if self._keeper is not None:
            self._keeper.frame(frame, moment)
        self.inbox.put(Look(moment, now, frame))

    def _packet_time(self, packet: Any, now: float) -> float:
        if self._fast and packet.dts is not None:
            return float(packet.dts * packet.time_base)
        return now - self._begun

    def _frame_time(self, frame: Any) -> float:
        return float(frame.time) if frame.time is not None else self.inbox.read / 25.0

    def _tell_drops(self, now: float) -> None:
        fresh = self.inbox.dropped - self._dropped_then
        if fresh and now - self._last_drop_note > 1.0:
            self._last_drop_note, self._dropped_then = now, self.inbox.dropped
            self._note("late", fresh, detail=f"{self._pace.behind:.2f}")

    def _audio(self, packet: Any, resampler: Any, alone: bool, now: float) -> None:
        try:
            frames = [part for frame in packet.decode() for part in resampler.resample(frame)]
        except (av.error.FFmpegError, ValueError):
            return
        for frame in frames:
            wave = np.asarray(frame.to_ndarray(), np.float32).ravel()
            self.inbox.put_sound(wave)
            before, self._heard = self._heard, self._heard + wave.size
            self._seen = True
            if alone and before // RATE != self._heard // RATE:
                self._tick(now)

    def _tick(self, now: float) -> None:
        """Sound alone: a second of it passes time on."""
        if self.source.kind == "file" and not self._fast:
            wait = self._pace.arrived(now, self._heard / RATE, 0.0)
            self._stop_asked.wait(min(wait, 5.0))
        self.inbox.put(Look(self._heard / RATE if self._fast else self._now(), now, None))
