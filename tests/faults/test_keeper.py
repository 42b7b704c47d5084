"""The process that holds the large models: one for all files, and its loss costs one answer and nothing else."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from unmask import Options, Scanner
from unmask.errors import ModelError
from unmask.execution.contract import Job
from unmask.execution.keeping import MAX_STARTS, Keeper
from unmask.execution.processes import ProcessExecutor
from unmask.models import kept, runtime, store
from unmask.report import Finding

Install = Callable[..., None]
BUNDLED = "face-detection-short-range-1"
DIES = "import sys; sys.exit(3)"
DIES_AFTER_TAKING = "import socket, sys; socket.recv_fds(socket.socket(fileno=int(sys.argv[1])), 16, 1)"
TALKS_NONSENSE = """
import socket, sys, time
_, fds, _, _ = socket.recv_fds(socket.socket(fileno=int(sys.argv[1])), 16, 1)
socket.socket(fileno=fds[0]).sendall(b"HTTP/1.1 200 OK" * 100)
sys.stdin.read()
"""
DIES_WHILE_COMPUTING = """
import socket, sys, time
_, fds, _, _ = socket.recv_fds(socket.socket(fileno=int(sys.argv[1])), 16, 1)
asker = socket.socket(fileno=fds[0])
asker.recv(512)
asker.sendall(bytes(1))
asker.recv(100)
"""
HANGS = "import sys; sys.stdin.read()"


@pytest.fixture(autouse=True)
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small model that says it is too large to be opened anew."""
    home = tmp_path / "models"
    folder = Path(shutil.copytree(store.MODELS / BUNDLED, home / "kept-1"))
    text = (folder / "model.toml").read_text("utf-8")
    text = text.replace('id = "face-detection-short-range"', 'id = "kept"\nkeep = true')
    (folder / "model.toml").write_text(text, "utf-8")
    monkeypatch.setenv("UNMASK_MODELS", str(home))
    yield folder
    for key in [key for key in runtime._sessions if key[0] == "kept-1"]:
        del runtime._sessions[key]
    store._card_of.cache_clear()


def fake(code: str) -> Keeper:
    return Keeper(command=[sys.executable, "-c", code])


def examine(executor: ProcessExecutor, photo: Path, only: str = "faulty") -> dict[str, Finding]:
    return executor.examine(Job(path=str(photo), name="photo.jpg", options=Options(only=(only,)))).findings


def gone(pid: int, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").is_file() and Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False


def test_one_keeper_answers_for_all_files_with_the_same_numbers(faulty: Install, photo: Path) -> None:
    faulty("asks", "good")
    keeper = Keeper()
    executor = ProcessExecutor(1, keeper=keeper)
    try:
        first, again = examine(executor, photo)["faulty.asks"], examine(executor, photo)["faulty.asks"]
        pid = keeper.pid
        assert (first.status, first.reason.text, keeper.starts) == ("ok", "KeptSession", 1)
        assert first.raw_score == again.raw_score
    finally:
        executor.close()
    assert pid is not None and gone(pid)
    with Scanner(Options(only=("faulty.asks",)), isolation="inline") as scanner:
        direct = scanner.scan(photo)
    found = direct.finding("faulty.asks")
    assert found is not None and (found.reason.text, found.raw_score) == ("Session", first.raw_score)
    assert [m.id for m in direct.tool.models] == ["kept"]


def test_no_keeper_is_started_where_nobody_asks(faulty: Install, photo: Path) -> None:
    faulty("good")
    keeper = Keeper()
    executor = ProcessExecutor(1, keeper=keeper)
    assert examine(executor, photo)["faulty.good"].status == "ok"
    executor.close()
    assert keeper.starts == 0


def test_a_report_names_the_kept_model(faulty: Install, photo: Path) -> None:
    faulty("asks")
    with Scanner(Options(only=("faulty.asks",))) as scanner:
        assert [m.id for m in scanner.scan(photo).tool.models] == ["kept"]


def test_a_killed_keeper_is_started_again(faulty: Install, photo: Path) -> None:
    faulty("asks")
    keeper = Keeper()
    executor = ProcessExecutor(1, keeper=keeper)
    try:
        assert examine(executor, photo)["faulty.asks"].status == "ok"
        assert keeper.pid is not None
        os.kill(keeper.pid, signal.SIGKILL)
        assert examine(executor, photo)["faulty.asks"].status == "ok"
        assert keeper.starts == 2
    finally:
        executor.close()


@pytest.mark.parametrize("code", [DIES, DIES_AFTER_TAKING, TALKS_NONSENSE, DIES_WHILE_COMPUTING])
def test_a_lost_keeper_costs_its_answer_only(faulty: Install, photo: Path, code: str) -> None:
    faulty("asks", "good")
    executor = ProcessExecutor(1, keeper=fake(code))
    started = time.monotonic()
    try:
        found = examine(executor, photo)
    finally:
        executor.close()
    assert (found["faulty.asks"].status, found["faulty.asks"].reason.code) == ("declined", "model.keeper")
    assert found["faulty.good"].status == "ok"
    assert time.monotonic() - started < 30


def test_a_keeper_that_always_dies_is_given_up(faulty: Install, photo: Path) -> None:
    faulty("asks")
    keeper = fake(DIES_AFTER_TAKING)
    executor = ProcessExecutor(1, keeper=keeper)
    try:
        for _ in range(MAX_STARTS + 2):
            assert examine(executor, photo)["faulty.asks"].reason.code == "model.keeper"
        assert keeper.starts == MAX_STARTS
    finally:
        executor.close()


def test_a_keeper_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "OPEN_SECONDS", 0.5)
    keeper = fake(HANGS)
    session = kept.KeptSession(store.find_model("kept-1"), keeper.descriptor)
    with pytest.raises(ModelError) as caught:
        session.connect()
    assert caught.value.code == "model.keeper"
    keeper.close()


def test_wrong_inputs_are_refused_before_they_are_sent() -> None:
    keeper = Keeper()
    session = kept.KeptSession(store.find_model("kept-1"), keeper.descriptor)
    with pytest.raises(ModelError) as caught:
        session.infer({"input": np.zeros((1, 2, 3), np.float32)})
    assert caught.value.code == "model.input" and keeper.starts == 0
    keeper.close()


def hand_over(keeper: Keeper) -> socket.socket:
    ours, theirs = socket.socketpair()
    with theirs, socket.socket(fileno=os.dup(keeper.descriptor)) as control:
        socket.send_fds(control, [b"k"], [theirs.fileno()])
    ours.settimeout(30)
    return ours


@pytest.mark.parametrize(
    "line", [b"\0" * 4096, b"../../etc/passwd x\n", f"{BUNDLED} x\n".encode(), b"kept-1 0000\n", b"\xff\n"]
)
def test_nonsense_ends_one_conversation_and_not_the_keeper(line: bytes) -> None:
    keeper = Keeper()
    try:
        with hand_over(keeper) as asker:
            asker.sendall(line)
            answer = b""
            with contextlib.suppress(ConnectionResetError):  # it left what it did not read
                while chunk := asker.recv(4096):
                    answer += chunk
            assert answer == b"" or answer[:1] == kept.ERROR
        session = kept.KeptSession(store.find_model("kept-1"), keeper.descriptor)
        session.infer(store.reference_input(session.card))
        assert keeper.starts == 1
    finally:
        keeper.close()


def test_many_ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Keeper(2, 2)
    card = store.find_model("kept-1")
    session, inputs = kept.KeptSession(card, keeper.descriptor), store.reference_input(card)
    expected = session.infer(inputs)
    wrong: list[str] = []

    def ask() -> None:
        for _ in range(5):
            out = session.infer(inputs)
            wrong.extend(name for name in out if not np.array_equal(out[name], expected[name]))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and keeper.starts == 1
    keeper.close()


def test_other_numbers_decline_with_their_reason(faulty: Install, photo: Path, model: Path) -> None:
    card = store.find_model("kept-1")
    arrays = dict(np.load(model / "reference.npz"))
    arrays["out:regressors"] = arrays["out:regressors"] * 1.01
    np.savez_compressed(model / "reference.npz", **arrays)
    old = next(file.sha256 for file in card.files if file.name == "reference.npz")
    text = (model / "model.toml").read_text("utf-8")
    (model / "model.toml").write_text(text.replace(old, store.sha256_of(model / "reference.npz", card)), "utf-8")
    store._card_of.cache_clear()
    faulty("asks")
    with Scanner(Options(only=("faulty.asks",))) as scanner:
        report = scanner.scan(photo)
    found = report.finding("faulty.asks")
    assert found is not None and (found.status, found.reason.code) == ("declined", "model.numbers")
    assert "other numbers on this machine" in found.reason.text
    assert report.tool.models == (), "a model that did not answer took no part"


def test_the_keeper_dies_with_its_parent(photo: Path) -> None:
    code = """
import os, sys
from unmask.execution.keeping import Keeper
from unmask.models import kept, store
keeper = Keeper()
kept.KeptSession(store.find_model("kept-1"), keeper.descriptor).connect()
print(keeper.pid, flush=True)
sys.stdin.read()
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None and parent.stdin is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    assert gone(pid)
    parent.stdout.close()
    parent.stdin.close()
