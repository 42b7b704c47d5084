"""``unmask live`` on the command line, and what it draws."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from live_made import talk
from media_made import pan, write_film
from rich.console import Console

from unmask.cli.main import run_app
from unmask.errors import ExitCode
from unmask.live.events import (
    ChallengeEvent,
    Dropped,
    FaceState,
    QuestionState,
    Recorded,
    Started,
    State,
    read_event,
)
from unmask.live.terminal import MOST_FACES, MOST_LINES, Screen
from unmask.report import Box, Reason


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("cli") / "face.mp4", talk(20), fps=10)


def test_json_lines_are_events_and_nothing_else(film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["live", "--fast", "--json", "--only", "face.swap", str(film)]) == ExitCode.DONE
    events = [read_event(line) for line in capsys.readouterr().out.splitlines()]
    assert (events[0].event, events[-1].event) == ("started", "ended")


def test_without_a_terminal_it_tells_what_happens(film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["live", "--fast", "--only", "face.swap", str(film)]) == ExitCode.DONE
    out = capsys.readouterr().out
    assert "unmask scan" in out
    assert "Absence of signs is not proof." in out


def test_exit_codes(film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick = ["live", "--fast", "--only", "face.swap"]
    assert run_app([*quick, "--fail-on", "suspicious", str(film)]) == ExitCode.DONE
    assert run_app([*quick, "--fail-on", "inconclusive", str(film)]) == ExitCode.REACHED_FAIL_ON
    assert run_app([*quick, "--fail-on", "nonsense", str(film)]) == ExitCode.USAGE
    assert run_app([*quick, str(tmp_path / "nothing.mp4")]) == ExitCode.NOT_EXAMINED
    assert run_app(["live", "tcp://127.0.0.1:9"]) == ExitCode.NOT_EXAMINED
    assert run_app(["live", "gopher://x"]) == ExitCode.USAGE
    assert "Check that it is running" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "setsid"), reason="needs process groups")
def test_ctrl_c_ends_in_good_order(tmp_path: Path) -> None:
    film = write_film(tmp_path / "long.mp4", pan(400, 96, 96), fps=10)
    command = [sys.executable, "-m", "unmask.cli.main", "live", "--json", "--only", "face.swap", str(film)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert json.loads(first)["event"] == "started"
    last = json.loads(out.splitlines()[-1])
    assert (last["event"], last["reason"]["code"]) == ("ended", "live.stopped")
    assert process.returncode == ExitCode.INTERRUPTED


def reason(code: str, text: str) -> Reason:
    return Reason(code=code, text=text)


def face(number: int) -> FaceState:
    why = reason("live.none", "no clear sign")
    return FaceState(
        number=number, box=Box(x=0, y=0, w=9, h=9), size=90, status="quiet", reason=why, moments=9, raw=-3.2
    )


def drawn(screen: Screen) -> list[str]:
    console = Console(width=100, record=True, force_terminal=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    console.print(screen.render())
    return console.export_text().splitlines()


def test_the_screen_is_calm() -> None:
    screen = Screen()
    screen.take(Started(time=0, source="rtsp://camera/live", kind="stream", width=1280, height=720))
    swap = QuestionState(question="face.swap", status="quiet", reason=reason("x", "no clear sign"), raw=-2.0, windows=1)
    voice = QuestionState(question="voice.synthetic", status="not_judged", reason=reason("x", "Nobody speaks."))
    watching = reason("live.watching", "Too few clear windows so far.")
    screen.take(
        State(time=83, label="inconclusive", reason=watching, faces=(face(1),), questions=(swap, voice), delay=0.4)
    )
    for i in range(50):
        screen.take(Dropped(time=float(i), count=i, behind=0.9))
    lines = drawn(screen)
    assert [line for line in lines if "face 1" in line] == [lines[2]]
    assert "-3.2" in lines[2]
    assert sum("voice" in line for line in lines) == 1
    assert sum("Inconclusive" in line for line in lines) == 1
    assert sum("frames dropped" in line for line in lines) == MOST_LINES


def test_a_crowd_and_hostile_names_stay_in_their_lines() -> None:
    screen = Screen()
    screen.take(Started(time=0, source="rtsp://x/\x1b[2J\nfake", kind="stream"))
    crowd = tuple(face(i) for i in range(1, 31))
    screen.take(State(time=3, label="no_sign_found", reason=reason("x", "quiet"), faces=crowd, more_faces=4))
    lines = drawn(screen)
    assert sum(" face " in line for line in lines) == MOST_FACES
    assert any("28 faces not shown" in line for line in lines)
    assert not any("\x1b" in line for line in lines)


def test_a_challenge_is_shown_until_it_is_judged() -> None:
    screen = Screen()
    task = {"number": 1, "of": 2, "name": "turn", "text": "Turn your head."}
    screen.take(ChallengeEvent(time=1, what="issued", **task))  # type: ignore[arg-type]
    assert any("Challenge 1 of 2" in line for line in drawn(screen))
    why = reason("challenge.passed", "as asked")
    screen.take(ChallengeEvent(time=2, what="judged", outcome="passed", reason=why, **task))  # type: ignore[arg-type]
    lines = drawn(screen)
    assert not any("Challenge 1 of 2" in line for line in lines)
    assert any("passed" in line for line in lines)
    screen.take(Recorded(time=3, file="a.mkv", report="a.json", label="suspicious"))
    assert any("report: Suspicious" in line for line in drawn(screen))
