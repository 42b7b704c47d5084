"""``live.toml``: every number that the live watcher goes by."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from pydantic import Field, ValidationError

from unmask.errors import CardError
from unmask.report import Frozen

FILE = Path(__file__).with_name("live.toml")
Range = tuple[float, float]


class Looking(Frozen):
    """How often and how closely frames are looked at; see ``live.toml`` for each number."""

    per_second: float = Field(gt=0)
    per_second_challenge: float = Field(gt=0)
    full_search_every: float
    small_between: float
    black_below: float
    stalled_after: float
    late_after: float


class Delay(Frozen):
    """Seconds from a frame's arrival to the state that holds it."""

    bound: float


class Windows(Frozen):
    """The windows of each question, and how many in a row make a label."""

    swap_seconds: float
    swap_least: int
    synthetic_seconds: float
    synthetic_least: int
    synthetic_every: float
    voice_seconds: float
    voice_least: int
    voice_every: float
    in_a_row: int = Field(ge=1)
    first_windows: int = Field(ge=1)
    rate: float = Field(gt=0, lt=1)
    forget_after: int = Field(ge=1)


class Recording(Frozen):
    """What is kept of suspicious stretches, in seconds and megabytes."""

    before: float
    after: float
    longest: float
    memory_mb: int


class Challenging(Frozen):
    """What challenges ask for and how answers are judged."""

    rest_seconds: float
    rest_wait: float
    answer_seconds: float
    pause_seconds: float
    rest_yaw: float
    rest_pitch: float
    turn: Range
    nod: Range
    back: float
    closer: Range
    mouth_open: float
    mouth_closed: float
    mouths: tuple[int, int]
    covered_below: float
    uncovered_above: float
    covered_seconds: float
    speech_seconds: float
    lips_ratio: float
    lips_shift: float
    words: tuple[int, int]
    shape_most: float
    jump_most: float
    lost_most: float
    blended_share: float
    least_samples: int


class LiveSettings(Frozen):
    """The whole file."""

    looking: Looking
    delay: Delay
    windows: Windows
    record: Recording
    challenge: Challenging


@cache
def read_settings(path: Path = FILE) -> LiveSettings:
    """Read and check ``live.toml``. Raises `CardError`."""
    try:
        return LiveSettings.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise CardError("live.settings", f"{path.name}: {error}") from error
