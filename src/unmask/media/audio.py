"""Sound tracks, of audio files and of films: read in blocks, and long ones anew each time, so that none is held whole.

Decoded values are exact: integer samples are divided by their full scale and nothing else, so digital
silence stays zero and repeated values stay repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from unmask.errors import DamagedMedia, UnsupportedMedia
from unmask.lazy import once
from unmask.media.container import DEMUXERS, duration_of, explain, open_container, sound_stream, tags
from unmask.media.sound import Constant, Sound, Span, Wave, joined, level_of

if TYPE_CHECKING:
    from pydantic import JsonValue

    from unmask.subject import Subject

# So much of a track is examined, from its start.
MAX_SECONDS = 3600
# Samples at 16 kHz that are held, eleven minutes (42 MB); a longer track is decoded for each reading.
MAX_HELD = 10_560_000
# Samples of all channels that are held as decoded: half a minute of 48 kHz stereo (12 MB).
MAX_KEPT_VALUES = 3_000_000
# Shorter stretches of one constant value are not noted.
CONSTANT_SECONDS = 0.01
RATE = 16000
MAX_CHANNELS = 8
MAX_RATE = 768_000
_BLOCK_SECONDS = 10.0
_SCALE = {"u8": 128.0, "s16": 32768.0, "s32": 2147483648.0, "s64": 9223372036854775808.0}


@dataclass(frozen=True)
class Survey:
    """What one reading of a track tells: ``samples`` of each channel that are examined; ``complete``: False where a
    limit of length ended the reading; ``constant``: [first, last) samples of stretches in which all channels hold one
    value; ``offset``: the largest mean of a channel; ``sound``: at `RATE`.
    """

    samples: int
    complete: bool
    constant: tuple[Span, ...]
    offset: float
    sound: Sound


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
        self._kept: list[Wave] | None = None

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
        return self.declared_duration if self.declared_duration is not None else self.survey.samples / self.rate

    @once
    def survey(self) -> Survey:
        """Length, level, constant stretches, and the sound at 16 kHz: one decode.

        Raises:
            DamagedMedia: not one sample of a damaged track can be decoded.
        """
        heard, shelf = _Heard(self.channels), _Shelf(MAX_HELD)
        blocks = self._resampled(map(heard.take, self.blocks()), RATE)
        level = level_of(map(shelf.take, blocks), RATE)
        if shelf.blocks is None:
            sound = Sound(RATE, level.size, lambda: self.resampled(RATE), level)
        else:
            wave = joined(shelf.blocks, level.size)
            sound = Sound(RATE, level.size, lambda: (wave,), level)
        return Survey(
            samples=heard.samples,
            complete=heard.samples < self._limit_samples,
            constant=tuple(heard.constant.runs(max(2, int(CONSTANT_SECONDS * self.rate)))),
            offset=heard.offset,
            sound=sound,
        )

    @property
    def sound(self) -> Sound:
        """The mean of all channels at 16 kHz, the first hour at most, in one reading or many. Raises as `survey`."""
        return self.survey.sound

    @property
    def own(self) -> Sound:
        """`sound` at the track's own rate. Raises as `survey`."""
        return Sound(self.rate, self.survey.samples, lambda: self.resampled(self.rate))

    @property
    def complete(self) -> bool:
        """False where the limit of length or `MAX_SECONDS` ended the reading. Raises as `survey`."""
        return self.survey.complete

    @property
    def _limit_samples(self) -> int:
        return int(min(self._subject.options.limits.duration_seconds, MAX_SECONDS) * self.rate)

    def blocks(self) -> Iterator[Wave]:
        """Stream the examined part of the track as (channels, n) float32 blocks of about ten seconds, full scale 1.0.

        Damaged stretches are left out; ``damaged`` lists their times (seconds) after a whole reading. Blocks may be
        shared: change a copy.

        Raises:
            DamagedMedia: not one sample of a damaged track can be decoded.
        """
        if self._kept is not None:
            yield from self._kept
            return
        shelf = _Shelf(MAX_KEPT_VALUES)
        yield from map(shelf.take, self._decoded())
        self._kept = shelf.blocks

    def _decoded(self) -> Iterator[Wave]:
        pending: list[Wave] = []
        held = total = 0
        size = int(_BLOCK_SECONDS * self.rate)
        damaged: list[float] = []
        for wave in self._frames(damaged):
            pending.append(wave[:, : self._limit_samples - total - held])
            held += pending[-1].shape[1]
            if held >= size:
                yield _block(pending)
                total, held, pending = total + held, 0, []
            if total + held >= self._limit_samples:
                break
        if held:
            yield _block(pending)
        elif not total and damaged:
            raise DamagedMedia("media.damaged", "The sound cannot be decoded: the file is damaged. Get it again.")
        self.damaged = damaged

    def _frames(self, damaged: list[float]) -> Iterator[Wave]:
        """Every decoded frame, brought to this track's channels and rate; damaged packets are noted and skipped."""
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
                    damaged.append(round(position, 3))
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

    def mono(self, rate: int = RATE) -> Wave:
        """(n,) float32: the mean of all channels at ``rate`` Hz (soxr, high quality), the first hour at most.

        All at once, an hour at 16 kHz is 230 MB: `sound` serves for more than a short track. Raises as `survey`.
        """
        if rate == RATE:
            return self.sound.head(self.sound.size)
        return joined(self.resampled(rate), -(-self.survey.samples * rate // self.rate))

    def resampled(self, rate: int) -> Iterator[Wave]:
        """`mono` in blocks; the same samples, since the resampler's state runs on from one to the next."""
        return self._resampled(self.blocks(), rate)

    def _resampled(self, blocks: Iterable[Wave], rate: int) -> Iterator[Wave]:
        import soxr

        mixed = (block[0] if self.channels == 1 else block.mean(axis=0) for block in blocks)
        if rate == self.rate:
            yield from mixed
            return
        stream = soxr.ResampleStream(self.rate, rate, 1, dtype="float32")
        for block in mixed:
            yield np.asarray(stream.resample_chunk(np.ascontiguousarray(block)), np.float32)
        yield np.asarray(stream.resample_chunk(np.zeros(0, np.float32), last=True), np.float32)

    @property
    def missing_seconds(self) -> float:
        """How much of the declared length could not be decoded (0 where all is there or nothing was declared)."""
        if self.declared_duration is None or not self.complete:
            return 0.0
        return max(0.0, float(self.declared_duration - self.survey.samples / self.rate))

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


class _Heard:
    """What is noted of a track while it is read."""

    def __init__(self, channels: int) -> None:
        self.samples = 0
        self.constant = Constant()
        self._totals = np.zeros(channels)

    def take(self, block: Wave) -> Wave:
        """The next block, handed on."""
        self.samples += block.shape[1]
        self.constant.take(block)
        self._totals += block.sum(axis=1, dtype=np.float64)
        return block

    @property
    def offset(self) -> float:
        """The largest mean of a channel."""
        return float(np.abs(self._totals).max()) / max(1, self.samples)


class _Shelf:
    """Keeps blocks while they are small together."""

    def __init__(self, most: int) -> None:
        self.blocks: list[Wave] | None = []
        self._left = most

    def take(self, block: Wave) -> Wave:
        """The next block, handed on; ``blocks`` is None from the one on with which they are too many."""
        self._left -= block.size
        if self._left < 0:
            self.blocks = None
        elif self.blocks is not None:
            self.blocks.append(block)
        return block


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
    joint = np.concatenate(parts, axis=1)
    if np.isfinite(joint).all():
        return joint
    return np.asarray(np.nan_to_num(joint, copy=False, posinf=1.0, neginf=-1.0), np.float32)
