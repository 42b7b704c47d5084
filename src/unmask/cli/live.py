"""``unmask live``: watch a source, show it in the terminal or as JSON lines, decide the exit code."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live

from unmask.cli.streams import drop_stdout, say, visible
from unmask.errors import ExitCode, UsageError
from unmask.live.events import AnyEvent, ChallengeEvent, Ended
from unmask.live.options import LiveOptions
from unmask.live.terminal import Screen, told
from unmask.report import Label
from unmask.verdict import LABELS


def run(source: str, options: LiveOptions, *, json_lines: bool, fail_on: str | None) -> ExitCode:
    """Watch ``source`` to its end; returns the exit code.

    Raises:
        UnmaskError: the source cannot be opened, or an option is wrong.
    """
    from unmask.live.watch import watch

    threshold = _threshold(fail_on)
    stop = threading.Event()
    ended: Ended | None = None
    try:
        with _until_interrupted(stop) as interrupted:
            for event in _shown(watch(source, options, stop), json_lines):
                if isinstance(event, Ended):
                    ended = event
            return _code(ended, threshold, bool(interrupted))
    except BrokenPipeError:
        # Whoever read our output has seen enough, as `| head` does.
        drop_stdout()
        return ExitCode.DONE


def _threshold(label: str | None) -> Label | None:
    if label is None:
        return None
    for known in LABELS:
        if known == label:
            return known
    raise UsageError("usage.label", f"--fail-on takes one of: {', '.join(LABELS)}.")


@contextmanager
def _until_interrupted(stop: threading.Event) -> Iterator[list[int]]:
    """Ctrl-C ends the watch in good order; a second one ends it at once."""
    pressed: list[int] = []

    def end(number: int, _frame: object) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)
        stop.set()

    before = signal.signal(signal.SIGINT, end)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _shown(events: Iterator[AnyEvent], json_lines: bool) -> Iterator[AnyEvent]:
    """The events, shown as they pass."""
    if json_lines:
        yield from _as_lines(events)
        return
    console = Console(highlight=False)
    yield from _on_screen(events, console) if console.is_terminal else _as_text(events)


def _as_lines(events: Iterator[AnyEvent]) -> Iterator[AnyEvent]:
    for event in events:
        sys.stdout.write(event.model_dump_json() + "\n")
        sys.stdout.flush()
        if isinstance(event, ChallengeEvent):
            # The person must see what is asked, whoever reads the lines.
            say(_challenge(event))
        yield event


def _on_screen(events: Iterator[AnyEvent], console: Console) -> Iterator[AnyEvent]:
    screen = Screen()
    last: Ended | None = None
    summary: ChallengeEvent | None = None
    with Live(screen.render(), console=console, auto_refresh=False, transient=False) as live:
        for event in events:
            screen.take(event)
            live.update(screen.render(), refresh=True)
            if isinstance(event, Ended):
                last = event
            elif isinstance(event, ChallengeEvent) and event.what == "summary":
                summary = event
            yield event
    if summary is not None:
        console.print(summary.text, markup=False)
    if last is not None:
        console.print(visible(_conclusion(last)), markup=False)


def _as_text(events: Iterator[AnyEvent]) -> Iterator[AnyEvent]:
    """No terminal: a line for what happens, none for what goes on."""
    for event in events:
        line = _challenge(event) if isinstance(event, ChallengeEvent) else told(event)
        if line:
            sys.stdout.write(f"{event.time:8.1f}  {visible(line)}\n")
            sys.stdout.flush()
        if isinstance(event, Ended):
            sys.stdout.write(f"{visible(_conclusion(event))}\n")
        yield event


def _challenge(event: ChallengeEvent) -> str:
    if event.what == "judged" and event.reason is not None:
        return f"{event.text} {(event.outcome or '').replace('_', ' ')}: {event.reason.text}"
    return event.text


def _conclusion(event: Ended) -> str:
    share = event.dropped / max(1, event.read + event.dropped)
    grave = f", gravest {event.gravest}" if event.gravest != event.label else ""
    return (
        f"{event.label}{grave}; {event.looked} looks at {event.read} frames, {share:.0%} dropped; delay "
        f"{event.delay_median:.1f} s, at most {event.delay_worst:.1f} s. Absence of signs is not proof."
    )


def _code(ended: Ended | None, threshold: Label | None, interrupted: bool) -> ExitCode:
    if threshold is not None and ended is not None and LABELS.index(ended.gravest) >= LABELS.index(threshold):
        return ExitCode.REACHED_FAIL_ON
    if interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.DONE if ended is not None and ended.examined else ExitCode.NOT_EXAMINED
