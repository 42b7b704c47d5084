"""The file under examination and its lazy views.

Detectors share one `Subject`, so nothing is read, decoded or transformed twice. The subject is never
written to. Pixel views keep the **stored** orientation, because compression traces live on the stored grid;
evidence is turned upright when it is made (`ImageView.upright`).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from unmask.errors import SubjectError
from unmask.lazy import once
from unmask.media.sniff import Sniffed, sniff
from unmask.options import Options

if TYPE_CHECKING:
    from pydantic import JsonValue

    from unmask.faces.face import Face
    from unmask.films.closeup import CloseLook
    from unmask.films.people import People
    from unmask.media.audio import AudioView
    from unmask.media.image import ImageView
    from unmask.media.video import VideoView
    from unmask.voices.speech import Speech

__all__ = ["AudioView", "ImageView", "Subject", "VideoView", "sha256_of"]


class Subject:
    """One file, identified by SHA-256.

    Args:
        path: a regular file; its content decides what it is, not its name.
        options: limits for the readers.
        name: how reports call it; the file's own name by default.
    """

    def __init__(self, path: Path, options: Options | None = None, name: str | None = None) -> None:
        self.path = Path(path)
        self.options = options or Options()
        self.name = name if name is not None else self.path.name

    @once
    def size(self) -> int:
        """Bytes."""
        return self.path.stat().st_size

    @once
    def sha256(self) -> str:
        """SHA-256 of the bytes, hex."""
        return sha256_of(self.path)

    @once
    def sniffed(self) -> Sniffed:
        """Kind and format by content. Raises `UnsupportedMedia`."""
        return sniff(self.path)

    @once
    def data(self) -> bytes:
        """All bytes (pictures and metadata readers; do not use it on films)."""
        return self.path.read_bytes()

    @property
    def kind(self) -> str:
        """``image``, ``video`` or ``audio``. A film container without pictures is ``audio``."""
        return self._kind_and_format[0]

    @property
    def format(self) -> str:
        """Container or codec: ``jpeg png webp avif heic tiff gif bmp mp4 mov mkv webm avi wav flac mp3 ogg m4a``."""
        return self._kind_and_format[1]

    @once
    def _kind_and_format(self) -> tuple[str, str]:
        if self.sniffed.kind == "container":
            from unmask.media.video import stream_kind

            return stream_kind(self.path, self.sniffed.format)
        return self.sniffed.kind, self.sniffed.format

    @once
    def image(self) -> ImageView:
        """The picture (the first frame or page). Raises `MediaError`."""
        from unmask.media.image import ImageView

        return ImageView(self)

    @once
    def video(self) -> VideoView:
        """The moving picture. Raises `MediaError`."""
        from unmask.media.video import VideoView

        return VideoView(self)

    @once
    def audio(self) -> AudioView:
        """The sound, of an audio file or of a film. Raises `MediaError`."""
        from unmask.media.audio import AudioView

        return AudioView(self)

    @once
    def speech(self) -> Speech:
        """Where somebody speaks in the sound's first hour. Raises `MediaError`, `ModelError`."""
        from unmask.voices.speech import SEARCHED_SECONDS, speech_of

        return speech_of(self.audio.sound.first(SEARCHED_SECONDS))

    @once
    def faces(self) -> tuple[Face, ...]:
        """The faces of a picture in stored pixels, the largest first. Raises `MediaError`, `ModelError`."""
        from unmask.faces.view import faces_of

        return faces_of(self.image)

    @once
    def people(self) -> People:
        """The faces of a film, from when to when. Raises `MediaError`, `ModelError`."""
        from unmask.films.people import people_of

        return people_of(self.video)

    @once
    def close_looks(self) -> tuple[CloseLook, ...]:
        """Faces of a film frame by frame through short stretches. Raises `MediaError`, `ModelError`."""
        from unmask.films.closeup import close_looks

        has_speech = self.video.has_audio
        return close_looks(self.video, self.people, self.speech.segments if has_speech else ())

    @once
    def c2pa(self) -> dict[str, JsonValue]:
        """Content Credentials, read and validated; see `unmask.provenance.c2pa.read`."""
        from unmask.provenance.c2pa import read

        return read(self.path, self.sniffed)

    @once
    def metadata(self) -> dict[str, JsonValue]:
        """EXIF, XMP, IPTC, ICC, text chunks and container tags; see `unmask.provenance.metadata.read`."""
        from unmask.provenance.metadata import read

        return read(self)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hex.

    Raises:
        SubjectError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SubjectError("subject.unreadable", f"Cannot read {path.name!r}: {error.strerror}.") from error
