"""What a live watch tells, event by event. All frozen; the terminal and the JSON lines read nothing else."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, TypeAdapter

from unmask.report import Box, Frozen, Label, Reason, Verdict

Watching = Literal["watching", "quiet", "raised", "not_judged"]
Outcome = Literal["passed", "failed", "not_judged"]


class QuestionState(Frozen):
    """One question now.

    ``status``: ``watching`` (too few clear moments so far), ``quiet``, ``raised`` (signs in the last window) or
    ``not_judged`` with ``reason``. ``raw``: the last window's raw score; ``windows``: clear windows in a row;
    ``needed``: how many a label needs. ``probability``: of the last window at even prior odds, calibrated by the card.
    """

    question: str
    status: Watching
    reason: Reason
    raw: float | None = None
    probability: float | None = None
    windows: int = 0
    needed: int = 0


class FaceState(Frozen):
    """One face that is seen now. ``box``: in pixels of the upright frame; ``size``: side in pixels; ``moments``: clear
    ones of the last seconds; ``raw``: their median log-odds of face.swap, ``probability`` calibrated.
    """

    number: int
    box: Box
    size: float
    status: Watching
    reason: Reason
    moments: int = 0
    raw: float | None = None
    probability: float | None = None


class Event(Frozen):
    """``time``: seconds since the watch began (with ``--fast``: of the stream)."""

    time: float


class Started(Event):
    """The source is open. ``source``: without passwords; ``asked``: questions; ``not_asked``: why others are not."""

    event: Literal["started"] = "started"
    source: str
    kind: str
    device: str = ""
    width: int = 0
    height: int = 0
    rate: float | None = None
    sound: bool = False
    asked: tuple[str, ...] = ()
    not_asked: tuple[Reason, ...] = ()


class FaceEvent(Event):
    """A face ``appeared``, ``left`` or ``changed`` its status."""

    event: Literal["face"] = "face"
    what: Literal["appeared", "left", "changed"]
    face: FaceState


class State(Event):
    """The rolling state, about twice a second.

    ``delay``: seconds from the arrival of the frame looked at last to this state; ``delay_worst``: the longest that a
    frame of the last minute waited for the first state that holds it. ``read``/``looked``/``dropped``: frames so far;
    dropped are those that were not decoded because the machine was behind. ``reason``: why the label is what it is, or
    why nothing can be seen now (no face, black, crowd …).
    """

    event: Literal["state"] = "state"
    label: Label
    reason: Reason
    faces: tuple[FaceState, ...] = ()
    more_faces: int = 0
    questions: tuple[QuestionState, ...] = ()
    delay: float = 0.0
    delay_worst: float = 0.0
    read: int = 0
    looked: int = 0
    dropped: int = 0


class Labelled(Event):
    """The rolling label changed. ``verdict``: each question counts with the lowest of its windows in a row."""

    event: Literal["label"] = "label"
    before: Label
    verdict: Verdict


class Dropped(Event):
    """The machine was behind by ``behind`` seconds; ``count`` frames were not decoded since the last such event."""

    event: Literal["dropped"] = "dropped"
    count: int
    behind: float


class Stalled(Event):
    """No frame came for ``seconds``, or the stream broke."""

    event: Literal["stalled"] = "stalled"
    seconds: float
    reason: Reason


class Reconnected(Event):
    """The stream is back after ``attempts``."""

    event: Literal["reconnected"] = "reconnected"
    attempts: int


class ChallengeEvent(Event):
    """A challenge was ``issued`` (``text`` is for the person), or ``judged``.

    ``numbers``: what was measured. An outcome ``passed`` means that the answer was given as asked; it is no proof of a
    live person.
    """

    event: Literal["challenge"] = "challenge"
    what: Literal["waiting", "issued", "judged", "summary"]
    number: int = 0
    of: int = 0
    name: str = ""
    text: str = ""
    seconds: float = 0.0
    outcome: Outcome | None = None
    reason: Reason | None = None
    numbers: dict[str, JsonValue] = Field(default_factory=dict)


class Recorded(Event):
    """A stretch was written (``file``), its report is ready (``report``), or recording stopped (``reason``)."""

    event: Literal["recorded"] = "recorded"
    file: str | None = None
    start: float = 0.0
    end: float = 0.0
    bytes: int = 0
    report: str | None = None
    label: Label | None = None
    reason: Reason | None = None


class Ended(Event):
    """The last event. ``label``: at the end; ``gravest``: at any time; ``examined``: False where the source could not
    be examined to its end.
    """

    event: Literal["ended"] = "ended"
    reason: Reason
    label: Label
    gravest: Label
    examined: bool = True
    verdict: Verdict
    read: int = 0
    looked: int = 0
    dropped: int = 0
    delay_median: float = 0.0
    delay_worst: float = 0.0
    windows: dict[str, int] = Field(default_factory=dict)


AnyEvent = Annotated[
    Started | FaceEvent | State | Labelled | Dropped | Stalled | Reconnected | ChallengeEvent | Recorded | Ended,
    Field(discriminator="event"),
]
_ADAPTER: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)


def read_event(line: str | bytes) -> AnyEvent:
    """An event from its JSON line. Raises ValueError where it is none."""
    return _ADAPTER.validate_json(line)
