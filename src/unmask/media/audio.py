"""Sound: one decode, several views. Works for audio files and for the sound of films.

Decoded values are exact: integer samples are divided by their full scale and nothing else, so digital
silence stays zero and repeated values stay repeated.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from numpy.typing import NDArray

from unmask.errors import DamagedMedia, UnsupportedMedia
from unmask.evidence import plot
from unmask.lazy import once
from unmask.media.container import DEMUXERS, duration_of, explain, open_container, sound_stream, tags
from unmask.report import Evidence

if TYPE_CHECKING:
    from pydantic import JsonValue

    from unmask.subject import Subject

# Samples of all channels held at the file's own rate: 256 MB, 11 minutes of 48 kHz stereo.
MAX_NATIVE_VALUES = 64_000_000
# The sound of a film shares its memory with the pictures: 96 MB, four minutes of 48 kHz stereo.
MAX_FILM_VALUES = 24_000_000
# What `AudioView.mono` holds of a track that is longer than its own samples may be: the first hour.
MAX_HELD_SECONDS = 3600
MAX_CHANNELS = 8
MAX_RATE = 768_000
_BLOCK_SECONDS = 10.0
_SCALE = {"u8": 128.0, "s16": 32768.0, "s32": 2147483648.0, "s64": 9223372036854775808.0}

Wave = NDArray[np.float32]


class AudioView:
    """Lazy views of one sound track (the first that can be decoded).

    ``rate``: samples a second. ``channels``: 1..8. ``bit_rate``: bits a second or None. ``duration``: seconds
    declared by the container; decoded length where nothing is declared. ``sample_format``: FFmpeg's name.
    ``container``: sniffed format. ``codec``: FFmpeg's name, for example ``aac``.

    Raises:
        UnsupportedMedia: there is no sound in the file (``media.no_sound``).
        DamagedMedia: the container is broken, cut off, or lies about its sound.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.container = subject.sniffed.format
        with self._open() as container:
            stream = _stream(container)
            context = stream.codec_context
            self.codec = str(context.name)
            self.rate = int(context.rate or 0)
            self.channels = int(context.channels or 0)
            self.sample_format = str(context.format.name) if context.format else ""
            self.bit_rate: int | None = int(context.bit_rate or container.bit_rate or 0) or None
            self.declared_duration: float | None = duration_of(container, stream)
            self._tags = tags(container, stream)
        self._check()
        self.damaged: list[float] = []
        self.complete = True
        self._resampled: dict[int, Wave] = {}

    def _open(self) -> Any:
        if self.container not in DEMUXERS:
            raise UnsupportedMedia("media.no_sound", "A picture has no sound.")
        return open_container(self._subject.path, self.container)

    def _check(self) -> None:
        if self.channels > MAX_CHANNELS:
            raise UnsupportedMedia(
                "media.unsupported",
                f"The recording has {self.channels} channels; Unmask reads up to {MAX_CHANNELS}. "
                "Export the channels in question to a file of their own.",
            )
        if not (0 < self.rate <= MAX_RATE and self.channels > 0):
            raise DamagedMedia(
                "media.damaged",
                f"The file claims {self.channels} sound channels at {self.rate} Hz, which cannot be: it is damaged.",
            )

    @property
    def duration(self) -> float:
        """Seconds: declared, or decoded where the container declares nothing."""
        return self.declared_duration if self.declared_duration is not None else self.native.shape[1] / self.rate

    @once
    def native(self) -> Wave:
        """(channels, n) float32 at ``rate``, full scale 1.0; (channels, 0) where the track holds no sample.

        Damaged stretches are left out; ``damaged`` lists their times (seconds). ``complete`` is False where the
        length limit or `MAX_NATIVE_VALUES` (of a film `MAX_FILM_VALUES`) stopped the decoding; `mono` still covers the
        first hour then.

        Raises:
            DamagedMedia: not one sample of a damaged track can be decoded.
        """
        most = MAX_FILM_VALUES if self._subject.kind == "video" else MAX_NATIVE_VALUES
        limit = min(self._limit_samples, most // self.channels)
        declared = int((self.declared_duration or 60.0) * self.rate) + self.rate
        out = np.empty((self.channels, max(1, min(declared, limit))), np.float32)
        used = 0
        for block in self.blocks():
            take = min(block.shape[1], limit - used)
            if used + take > out.shape[1]:
                out = _grown(out, used, min(limit, max(2 * out.shape[1], used + take)))
            out[:, used : used + take] = block[:, :take]
            used += take
            if take < block.shape[1]:
                self.complete = False
                break
        return out[:, :used]

    @property
    def _limit_samples(self) -> int:
        return int(self._subject.options.limits.duration_seconds * self.rate)

    def blocks(self) -> Iterator[Wave]:
        """Stream the track as (channels, n) float32 blocks of about ten seconds; nothing is kept.

        Raises:
            DamagedMedia: not one sample of a damaged track can be decoded.
        """
        pending: list[Wave] = []
        held = total = 0
        size = int(_BLOCK_SECONDS * self.rate)
        for part in self._frames():
            pending.append(part)
            held += part.shape[1]
            if held >= size:
                yield _block(pending)
                total, held, pending = total + held, 0, []
            if total >= self._limit_samples:
                return
        if held:
            yield _block(pending)
        elif not total and self.damaged:
            raise DamagedMedia("media.damaged", "The sound cannot be decoded: the file is damaged. Get it again.")

    def _frames(self) -> Iterator[Wave]:
        """Every decoded frame, brought to this track's channels and rate; damaged packets are noted and skipped."""
        self.damaged = []
        with self._open() as container:
            stream = _stream(container)
            position = 0.0
            packets = container.demux(stream)
            while True:
                try:
                    packet = next(packets, None)
                    if packet is None:
                        return
                    frames = packet.decode()
                except av.error.EOFError:
                    return
                except (av.error.InvalidDataError, ValueError):
                    self.damaged.append(round(position, 3))
                    continue
                except av.error.FFmpegError as error:
                    raise explain(error) from error
                for frame in frames:
                    wave = self._fit(frame)
                    position += wave.shape[1] / self.rate
                    yield wave

    def _fit(self, frame: Any) -> Wave:
        """One frame as (channels, n) float32. A track that changes its rate or channels midway is brought in line."""
        wave = _to_float(frame)
        if wave.shape[0] != self.channels:
            wave = np.repeat(wave.mean(axis=0, keepdims=True), self.channels, axis=0)
        if frame.sample_rate != self.rate and wave.shape[1]:
            import soxr

            wave = np.ascontiguousarray(soxr.resample(wave.T, frame.sample_rate, self.rate).T, np.float32)
        return wave

    def mono(self, rate: int = 16000) -> Wave:
        """(n,) float32: the mean of all channels at ``rate`` Hz (soxr, high quality); kept for each rate.

        Of a track that is not `complete` the first hour.

        Raises:
            DamagedMedia: as `native`.
        """
        if rate not in self._resampled:
            self._resampled[rate] = self._mono(rate)
        return self._resampled[rate]

    def _mono(self, rate: int) -> Wave:
        import soxr

        native = self.native
        if self.complete:
            if native.shape[1] == 0:
                return np.zeros(0, np.float32)
            mixed = native[0] if self.channels == 1 else native.mean(axis=0)
            return mixed if rate == self.rate else np.asarray(soxr.resample(mixed, self.rate, rate), np.float32)
        stream = soxr.ResampleStream(self.rate, rate, 1, dtype="float32")
        out, used = np.empty(MAX_HELD_SECONDS * rate, np.float32), 0
        for block in self._mixed():
            part = stream.resample_chunk(block, last=not block.size)[: out.size - used]
            out[used : used + part.size] = part
            used += part.size
            if used == out.size:
                break
        return out[:used]

    def _mixed(self) -> Iterator[Wave]:
        """`blocks` of all channels' mean, and an empty one at the end."""
        yield from (np.ascontiguousarray(block.mean(axis=0)) for block in self.blocks())
        yield np.zeros(0, np.float32)

    @property
    def missing_seconds(self) -> float:
        """How much of the declared length could not be decoded (0 where all is there or nothing was declared)."""
        if self.declared_duration is None or not self.complete:
            return 0.0
        return max(0.0, float(self.declared_duration - self.native.shape[1] / self.rate))

    def facts(self) -> dict[str, JsonValue]:
        """What the container says, for `SubjectInfo.facts`."""
        found: dict[str, JsonValue] = {
            "audio_codec": self.codec,
            "sample_rate": self.rate,
            "channels": self.channels,
            "sample_format": self.sample_format,
        }
        if self.bit_rate:
            found["audio_bit_rate"] = self.bit_rate
        return found | {f"audio_{k.lower()}": v for k, v in self._tags.items()}

    def envelope(self, points: int = 1000) -> tuple[NDArray[np.float64], Wave, Wave]:
        """Times in seconds, smallest and largest sample of up to ``points`` equal stretches (mono, 16 kHz)."""
        wave = self.mono()
        if not wave.size:
            return np.zeros(0), np.zeros(0, np.float32), np.zeros(0, np.float32)
        starts = np.unique(np.linspace(0, wave.size, min(points, wave.size), endpoint=False).astype(np.int64))
        return starts / 16000.0, np.minimum.reduceat(wave, starts), np.maximum.reduceat(wave, starts)


def waveform(view: AudioView, points: int = 1000) -> Evidence:
    """The sound's outline as a plot: lowest and highest sample over time."""
    times, low, high = view.envelope(min(points, 600))  # more points would be thinned, and a thinned low is wrong
    series = [("highest", high.tolist()), ("lowest", low.tolist())]
    return plot(
        "Waveform", "The sound's outline over time.", times.tolist(), series, "seconds", "level (1 = full scale)"
    )


def _stream(container: Any) -> Any:
    stream = sound_stream(container)
    if stream is None:
        if len(container.streams.audio):
            raise UnsupportedMedia("media.unsupported_codec", "The sound's codec is not one that Unmask can decode.")
        raise UnsupportedMedia("media.no_sound", "The file holds no sound.")
    with suppress(Exception):
        stream.codec_context.thread_type = "AUTO"
    return stream


def _to_float(frame: Any) -> Wave:
    """(channels, n) float32 from FFmpeg's packed or planar samples; integers divided by their full scale."""
    samples = frame.to_ndarray()
    name = frame.format.name.rstrip("p")
    if not frame.format.is_planar:
        samples = samples.reshape(-1, max(1, len(frame.layout.channels))).T
    if name in _SCALE:
        values: Wave = samples.astype(np.float32) / np.float32(_SCALE[name])
        return values - np.float32(1.0) if name == "u8" else values
    return np.asarray(samples, np.float32)


def _block(parts: list[Wave]) -> Wave:
    """Frames joined; what is no number becomes silence (checked once a block, since frames are many and small)."""
    return np.asarray(np.nan_to_num(np.concatenate(parts, axis=1), copy=False, posinf=1.0, neginf=-1.0), np.float32)


def _grown(array: Wave, used: int, size: int) -> Wave:
    bigger = np.empty((array.shape[0], size), np.float32)
    bigger[:, :used] = array[:, :used]
    return bigger
