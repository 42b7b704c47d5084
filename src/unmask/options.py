"""One frozen set of options, plain data all the way, so that it travels to any worker as JSON."""

from __future__ import annotations

from pydantic import Field

from unmask.media.limits import (
    MAX_BYTES,
    MAX_CPU_SECONDS,
    MAX_DURATION_SECONDS,
    MAX_FRAMES,
    MAX_MEMORY_MB,
    MAX_PIXELS,
    MAX_WALL_SECONDS,
)
from unmask.report import Frozen


class Limits(Frozen):
    """What one subject may cost. A subject that needs more gets a finding with the reason, never a guess."""

    memory_mb: int = Field(default=MAX_MEMORY_MB, ge=256, description="memory of one worker, MiB")
    cpu_seconds: int = Field(default=MAX_CPU_SECONDS, ge=1, description="processor time of one worker")
    wall_seconds: float = Field(default=MAX_WALL_SECONDS, gt=0, description="time of one worker by the clock")
    pixels: int = Field(default=MAX_PIXELS, ge=1, description="pixels of one picture or video frame")
    frames: int = Field(default=MAX_FRAMES, ge=1, description="video frames decoded")
    duration_seconds: float = Field(default=MAX_DURATION_SECONDS, gt=0, description="length decoded, seconds")
    bytes: int = Field(default=MAX_BYTES, ge=1, description="size of the file")


class Options(Frozen):
    """How to examine.

    ``only``/``skip`` name questions or their prefixes (``image`` or ``image.jpeg``); ``workers`` 0 means one
    a core; ``preview`` puts a small copy of the picture into the report (an HTML report needs it).
    """

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    workers: int = Field(default=0, ge=0)
    preview: bool = False
    limits: Limits = Limits()
