"""A watch in the terminal: one line a face, one for the voice, one for the pictures, one for the verdict."""

from __future__ import annotations

from collections import deque

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from unmask.live.events import (
    AnyEvent,
    ChallengeEvent,
    Dropped,
    Ended,
    FaceState,
    Labelled,
    QuestionState,
    Reconnected,
    Recorded,
    Stalled,
    Started,
    State,
    Watching,
)
from unmask.render import words
from unmask.report import Label

MOST_FACES, MOST_LINES = 6, 4
"""Faces shown, and lines of what happened last."""

_SYMBOLS: dict[Watching, str] = {"watching": "…", "quiet": "·", "raised": "▲", "not_judged": "–"}
_STYLES: dict[Watching, str] = {"watching": "dim", "quiet": "green", "raised": "yellow", "not_judged": "dim"}
_NAMES = {"face.swap": "faces", "image.synthetic": "pictures", "voice.synthetic": "voice"}
_LABELS: dict[Label, str] = {
    "likely_manipulated": "bold red",
    "suspicious": "bold yellow",
    "no_sign_found": "green",
    "inconclusive": "bold",
    "declared_synthetic": "bold magenta",
}


class Screen:
    """What is shown now; `take` events, then ask for `render`."""

    def __init__(self) -> None:
        self._started: Started | None = None
        self._state: State | None = None
        self._challenge: ChallengeEvent | None = None
        self._lines: deque[str] = deque(maxlen=MOST_LINES)

    def take(self, event: AnyEvent) -> None:
        """Take in an event."""
        if isinstance(event, Started):
            self._started = event
            self._lines.extend(reason.text for reason in event.not_asked)
        elif isinstance(event, State):
            self._state = event
        elif isinstance(event, ChallengeEvent):
            self._challenge = event
            if event.what == "judged":
                self._lines.append(_judged(event))
        else:
            line = told(event)
            if line:
                self._lines.append(f"{_clock(event.time)}  {line}")

    def render(self) -> RenderableType:
        """The screen."""
        parts: list[RenderableType] = [self._head(), Text()]
        if self._state is not None:
            parts += [self._table(self._state), Text(), self._verdict(self._state)]
        if self._challenge is not None and self._challenge.what == "issued":
            parts += [Text(), self._asked(self._challenge)]
        if self._lines:
            parts += [Text(), *(Text(words.visible(line), style="dim") for line in self._lines)]
        return Group(*parts)

    def _head(self) -> Text:
        if self._started is None:
            return Text("Opening …")
        out = Text("Watching ").append(words.visible(self._started.source), style="bold")
        if self._started.width:
            out.append(f"  {self._started.width} x {self._started.height}", style="dim")
        if self._state is not None:
            state = self._state
            out.append(f"   {_clock(state.time)}   delay {state.delay:.1f} s", style="dim")
            if state.dropped:
                out.append(f"   dropped {state.dropped / max(1, state.dropped + state.read):.0%}", style="dim")
        return out

    def _table(self, state: State) -> Table:
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        for _ in range(3):
            table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for face in state.faces[:MOST_FACES]:
            table.add_row(*_face(face))
        hidden = len(state.faces) - MOST_FACES + state.more_faces
        if hidden > 0:
            table.add_row(Text(" ", style="dim"), Text("more", style="dim"), Text(), Text(f"{hidden} faces not shown"))
        for question in state.questions:
            table.add_row(*_question(question))
        return table

    def _verdict(self, state: State) -> Text:
        style = _LABELS[state.label]
        out = Text(f"{words.SYMBOLS[state.label]} {words.SHORT[state.label]}", style=style)
        return out.append(f"   {words.visible(state.reason.text)}", style="default not bold")

    def _asked(self, event: ChallengeEvent) -> Text:
        out = Text(f"Challenge {event.number} of {event.of}   ", style="bold cyan")
        return out.append(words.visible(event.text), style="bold")


def told(event: AnyEvent) -> str:
    """An event in one line, or nothing where the screen shows it otherwise."""
    match event:
        case Labelled():
            out = f"verdict: {words.SHORT[event.verdict.label]}"
        case Stalled() | Ended():
            out = event.reason.text
        case Reconnected():
            out = "the stream is back"
        case Dropped():
            out = f"{event.count} frames dropped: the machine was {event.behind:.1f} s behind"
        case Recorded():
            out = _recorded(event)
        case _:
            out = ""
    return out


def _recorded(event: Recorded) -> str:
    if event.reason is not None:
        return event.reason.text
    if event.label is not None:
        return f"report: {words.SHORT[event.label]}, {event.report}"
    return f"kept {event.start:.0f} to {event.end:.0f} s: {event.file}"


def _judged(event: ChallengeEvent) -> str:
    outcome = (event.outcome or "").replace("_", " ")
    reason = event.reason.text if event.reason is not None else ""
    return f"{_clock(event.time)}  {event.text.rstrip('.')}: {outcome}. {reason}"


def _face(face: FaceState) -> tuple[Text, Text, Text, Text]:
    style = _STYLES[face.status]
    score = Text("" if face.raw is None else f"{face.raw:+.1f}", style=style, justify="right")
    return (
        Text(_SYMBOLS[face.status], style=style),
        Text(f"face {face.number}"),
        score,
        Text(f"{face.reason.text}", style=style),
    )


def _question(question: QuestionState) -> tuple[Text, Text, Text, Text]:
    style = _STYLES[question.status]
    raw = Text("" if question.raw is None else f"{question.raw:+.1f}", style=style, justify="right")
    text = question.reason.text
    if question.raw is not None and question.windows < question.needed:
        text += f", {question.windows} of {question.needed} windows so far"
    name = _NAMES.get(question.question, question.question)
    return Text(_SYMBOLS[question.status], style=style), Text(name), raw, Text(text, style=style)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"
