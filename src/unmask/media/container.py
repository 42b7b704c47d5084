"""Opening films and recordings with FFmpeg (PyAV), safely and with errors that a person understands.

The demuxer is chosen from the sniffed format, never from the name, so a playlist or a script of FFmpeg's
own (HLS, concat) cannot make it read other files or the network.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition

from unmask.errors import DamagedMedia, LimitExceeded, MediaError, SubjectError, UnsupportedMedia

# A decoder that reports each damaged block on stderr would drown the program's own messages.
av.logging.set_level(None)

DEMUXERS = {
    "mp4": "mov",
    "mov": "mov",
    "m4a": "mov",
    "mkv": "matroska",
    "webm": "matroska",
    "avi": "avi",
    "wav": "wav",
    "flac": "flac",
    "mp3": "mp3",
    "aac": "aac",
    "ogg": "ogg",
    "aiff": "aiff",
}
_BUFFER = 1 << 20
_TAGS = ("encoder", "handler_name", "software")


def open_container(path: Path, format_: str) -> Any:
    """An open `av.container.InputContainer`; close it (it is a context manager).

    ``format_``: a sniffed format, a key of `DEMUXERS`.

    Raises:
        SubjectError: the file cannot be read.
        UnsupportedMedia: no demuxer for this format.
        DamagedMedia: the container's structure is broken or cut off.
    """
    demuxer = DEMUXERS.get(format_)
    if demuxer is None:
        raise UnsupportedMedia("media.unsupported", f"Unmask does not read films or sound from a {format_} file.")
    try:
        return av.open(_source(path), format=demuxer, metadata_errors="replace", buffer_size=_BUFFER)
    except (av.error.FFmpegError, ValueError, OSError) as error:
        raise explain(error) from error


def _source(path: Path) -> Any:
    """A name FFmpeg takes for a local file whatever it contains; a file object where it is not UTF-8."""
    full = str(path.absolute())
    try:
        full.encode("utf-8")
    except UnicodeEncodeError:
        return path.open("rb")
    return f"file:{full}"


def real_video_stream(container: Any) -> Any | None:
    """The first moving-picture stream with a decoder; an attached cover picture does not count."""
    unreal = Disposition.attached_pic | Disposition.timed_thumbnails
    for stream in container.streams.video:
        if not stream.disposition & unreal and usable(stream):
            return stream
    return None


def sound_stream(container: Any) -> Any | None:
    """The first sound stream with a decoder."""
    return next((s for s in container.streams.audio if usable(s)), None)


def usable(stream: Any) -> bool:
    """Whether this FFmpeg build can decode the stream."""
    return stream.codec_context is not None and bool(stream.codec_context.name)


def seconds(value: int | None, time_base: Any) -> float | None:
    """A time stamp in units of ``time_base`` as seconds, None where it is missing."""
    return None if value is None or time_base is None else float(value * time_base)


def duration_of(container: Any, stream: Any) -> float | None:
    """Declared length in seconds (of the stream, else of the container), None where nothing is declared."""
    own = seconds(stream.duration, stream.time_base)
    if own is None and container.duration is not None:
        own = container.duration / av.time_base
    return own if own is not None and own > 0 else None


def explain(error: BaseException) -> MediaError | SubjectError:
    """FFmpeg's error as one of ours, in plain words."""
    if isinstance(error, MediaError | SubjectError):
        return error
    text = str(error).lower()
    if isinstance(error, MemoryError | av.error.MemoryError):
        return LimitExceeded("limit.memory", "The file needs more memory than allowed: raise --memory.")
    if isinstance(error, av.error.EOFError | EOFError) or "end of file" in text or "moov atom" in text:
        return DamagedMedia("media.truncated", "The file ends too early: it is cut off. Get the whole file again.")
    if isinstance(error, OSError) and not isinstance(error, av.error.FFmpegError):
        return SubjectError("subject.unreadable", f"Cannot read the file: {error.strerror}.")
    return DamagedMedia(
        "media.damaged", "The film or recording cannot be decoded: the file is damaged or not what its header says."
    )


def tags(container: Any, stream: Any) -> dict[str, str]:
    """Container and stream tags that name a writer or encoder; values cut to 200 characters."""
    found: dict[str, str] = {}
    for source in (container.metadata, stream.metadata):
        with suppress(Exception):
            found |= {
                k: str(v)[:200] for k, v in source.items() if k.lower() in ("encoder", "handler_name", "software")
            }
    return found


def _printable(value: object) -> str:
    return "".join(c for c in str(value)[:200] if c.isprintable())
