"""What the caller of a live watch chooses."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from unmask.options import Limits
from unmask.report import Frozen

QUESTIONS = ("face.swap", "image.synthetic", "voice.synthetic")
"""The questions that can be asked of a stream."""


class LiveOptions(Frozen):
    """How to watch.

    ``seconds``: end after so long, 0 never. ``fast``: a file as fast as it can be examined, without dropping frames.
    ``only``: questions of `QUESTIONS`; empty for all. ``retries``: attempts to open a broken stream again.
    ``open_timeout``/``read_timeout``: seconds. ``sound``: a microphone's name where the source has no sound of its
    own. ``record``: folder for suspicious stretches; ``record_limit_mb``: megabytes of all of them. ``report``:
    examine each recorded stretch as a film. ``challenges``: how many are issued, 0 none; ``seed`` makes their choice
    repeatable (tests); ``mirrored``: the picture is a mirror image.
    """

    seconds: float = Field(default=0.0, ge=0)
    fast: bool = False
    only: tuple[str, ...] = ()
    retries: int = Field(default=5, ge=0)
    open_timeout: float = Field(default=10.0, gt=0)
    read_timeout: float = Field(default=8.0, gt=0)
    sound: str | None = None
    record: Path | None = None
    record_limit_mb: int = Field(default=500, ge=1)
    report: bool = True
    challenges: int = Field(default=0, ge=0, le=20)
    seed: int | None = None
    mirrored: bool = False
    limits: Limits = Limits()

    def asks(self, question: str) -> bool:
        """Whether the question is to be asked."""
        return not self.only or question in self.only
