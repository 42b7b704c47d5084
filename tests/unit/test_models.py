"""Models as folders: cards, hashes, reference numbers, and what happens where one of them is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from unmask.card import find_cards
from unmask.cli.main import run_app
from unmask.errors import CardError, ModelError
from unmask.execution.work import run_one
from unmask.models import runtime, store
from unmask.options import Options
from unmask.subject import Subject

LANDMARK = "face-landmark-1"
SHORT = "face-detection-short-range-1"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A model's folder that a test may spoil."""
    return Path(shutil.copytree(store.MODELS / SHORT, tmp_path / SHORT))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of the user's models."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("UNMASK_MODELS", str(folder))
    return folder


def rewrite(folder: Path, change: Callable[[str], str]) -> None:
    path = folder / "model.toml"
    path.write_text(change(path.read_text("utf-8")), "utf-8")


@pytest.mark.parametrize("card", store.find_models(), ids=lambda card: card.name)
def test_bundled_model_is_whole(card: store.ModelCard) -> None:
    store.check_files(card)
    assert (card.folder / "MODEL_CARD.md").is_file()
    assert card.folder.name == card.name
    notice = (Path(__file__).parents[2] / "NOTICE").read_text("utf-8")
    assert f"{card.name}/{card.weights}" in notice
    listed = {file.name for file in card.files} | {"model.toml", "MODEL_CARD.md"}
    assert {path.name for path in card.folder.iterdir()} == listed


@pytest.mark.parametrize("card", store.find_models(), ids=lambda card: card.name)
def test_bundled_model_gives_its_reference_numbers(card: store.ModelCard) -> None:
    session = runtime.open_model(card.name)
    assert store.check_numbers(card, session.infer(store.reference_input(card))) <= 1.0


def test_a_session_is_made_once() -> None:
    assert runtime.open_model(SHORT) is runtime.open_model(SHORT)


def test_the_same_input_gives_the_same_numbers() -> None:
    card = store.find_model(SHORT)
    session, inputs = runtime.open_model(SHORT), store.reference_input(card)
    first, again = session.infer(inputs), session.infer(inputs)
    for name, values in first.items():
        assert np.array_equal(values, again[name])


def test_wrong_hash_is_refused_before_the_file_is_opened(copy: Path) -> None:
    weights = copy / store.read_model_card(copy).weights
    data = bytearray(weights.read_bytes())
    data[1000] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        runtime.open_card(store.read_model_card(copy))
    assert caught.value.code == "model.altered"


def test_missing_file_is_said(copy: Path) -> None:
    card = store.read_model_card(copy)
    (copy / card.weights).unlink()
    with pytest.raises(ModelError, match="fetch or copy the model again") as caught:
        runtime.open_card(card)
    assert caught.value.code == "model.missing"


def test_other_numbers_are_refused(copy: Path) -> None:
    card = store.read_model_card(copy)
    arrays = dict(np.load(copy / "reference.npz"))
    arrays["out:regressors"] = arrays["out:regressors"] * 1.01
    np.savez_compressed(copy / "reference.npz", **arrays)
    with pytest.raises(ModelError) as altered:
        runtime.open_card(card)
    assert altered.value.code == "model.altered"
    old = next(file.sha256 for file in card.files if file.name == "reference.npz")
    rewrite(copy, lambda text: text.replace(old, store.sha256_of(copy / "reference.npz", card)))
    with pytest.raises(ModelError) as caught:
        runtime.open_card(store.read_model_card(copy))
    assert caught.value.code == "model.numbers"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(value: float) -> None:
    card = store.find_model(SHORT)
    outputs = runtime.open_model(SHORT).infer(store.reference_input(card))
    outputs["classificators"].ravel()[:] = value
    with pytest.raises(ModelError):
        store.check_numbers(card, outputs)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda text: text + '\n[extra]\nx = "y"\n', "card.invalid"),
        (lambda text: 'colour = "red"\n' + text, "card.invalid"),
        (lambda text: text.replace('format = "tflite"', 'format = "pickle"'), "card.invalid"),
        (lambda text: text.replace('name = "reference.npz"', 'name = "../reference.npz"'), "card.invalid"),
        (lambda text: text.replace('version = "1"', 'version = "2"'), "card.invalid"),
        (lambda text: text.replace("tolerance = 0.001", "tolerance = 5.0"), "card.invalid"),
        (lambda text: text.replace('licence = "Apache-2.0"\n', ""), "card.invalid"),
        (lambda text: "=" + text, "card.broken"),
    ],
    ids=["table", "key", "format", "path", "version", "tolerance", "licence", "toml"],
)
def test_wrong_card_is_refused(copy: Path, change: Callable[[str], str], code: str) -> None:
    rewrite(copy, change)
    with pytest.raises(CardError) as caught:
        store.read_model_card(copy)
    assert caught.value.code == code


def test_folder_without_a_card_and_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(CardError) as caught:
        store.read_model_card(tmp_path)
    assert caught.value.code == "card.missing"
    with pytest.raises(ModelError, match=LANDMARK):
        store.find_model("no-such-model-1")


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ModelError) as caught:
        runtime.open_model(SHORT).run({"input": np.zeros((1, 64, 64, 3), np.float32)})
    assert caught.value.code == "model.input"


def test_weights_that_are_no_model(copy: Path) -> None:
    card = store.read_model_card(copy)
    (copy / card.weights).write_bytes(b"TFL3 nothing")
    old = next(file.sha256 for file in card.files if file.name == card.weights)
    rewrite(copy, lambda text: text.replace(old, store.sha256_of(copy / card.weights, card)))
    with pytest.raises(ModelError) as caught:
        runtime.open_card(store.read_model_card(copy))
    assert caught.value.code == "model.unreadable"


def test_detector_declines_with_the_models_reason(examples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> object:
        raise ModelError("model.numbers", "The model gives other numbers on this machine.")

    monkeypatch.setattr("unmask.faces.blaze.open_model", refuse)
    card = next(card for card in find_cards() if card.id == "image.faces")
    finding = run_one(card, Subject(examples / "dogs.jpg"), Options())
    assert (finding.status, finding.reason.code) == ("declined", "model.numbers")


def test_report_names_the_models_that_took_part(examples: Path) -> None:
    from unmask import Scanner

    with Scanner(Options(only=("image.faces",))) as scanner:
        report = scanner.scan(examples / "dogs.jpg")
    assert [model.id for model in report.tool.models] == ["face-detection-short-range", "face-landmark"]
    assert report.tool.models[1].sha256 == store.find_model(LANDMARK).info.sha256
    with Scanner(Options(only=("image.ela",)), isolation="inline") as scanner:
        assert scanner.scan(examples / "dogs.jpg").tool.models == ()


def test_finding_models_opens_none() -> None:
    code = "import sys; from unmask.models import store; store.find_models(); print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"openvino", "numpy"} & set(out)


def test_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["models", "list"]) == 0
    assert "Apache-2.0" in capsys.readouterr().out
    assert run_app(["models", "check", SHORT]) == 0
    assert "right" in capsys.readouterr().out
    assert run_app(["models", "check", "none"]) == 2
    assert LANDMARK in capsys.readouterr().err


def own_model(home: Path, name: str = "mine-1") -> Path:
    """A user's model of another name with the files of a bundled one."""
    folder = Path(shutil.copytree(store.MODELS / SHORT, home / name))
    rewrite(folder, lambda text: text.replace('id = "face-detection-short-range"', f'id = "{name.rpartition("-")[0]}"'))
    return folder


def test_a_users_model_is_found_opened_and_checked(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = own_model(home)
    assert store.find_model("mine-1").folder == folder and store.has_model("mine-1")
    assert "mine-1" in store.model_names() and SHORT in store.model_names()
    assert run_app(["models", "list"]) == 0
    assert "mine-1" in capsys.readouterr().out
    assert run_app(["models", "check", "mine-1"]) == 0
    out = capsys.readouterr().out
    assert "OpenVINO 20" in out and "Processor" in out and "0.001 allowed" in out


def test_the_bundled_model_wins_over_a_users_of_its_name(home: Path) -> None:
    shutil.copytree(store.MODELS / SHORT, home / SHORT)
    assert store.find_model(SHORT).bundled
    assert store.model_names().count(SHORT) == 1


def test_a_users_model_with_other_numbers_is_not_used(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = own_model(home)
    arrays = dict(np.load(folder / "reference.npz"))
    arrays["out:regressors"] = arrays["out:regressors"] * 1.01
    np.savez_compressed(folder / "reference.npz", **arrays)
    card = store.read_model_card(folder)
    old = next(file.sha256 for file in card.files if file.name == "reference.npz")
    rewrite(folder, lambda text: text.replace(old, store.sha256_of(folder / "reference.npz", card)))
    assert run_app(["models", "check", "mine-1"]) == 3
    assert "other numbers on this machine" in capsys.readouterr().out


def test_broken_users_models_break_nothing(home: Path, capsys: pytest.CaptureFixture[str], examples: Path) -> None:
    (home / "broken-1").mkdir()
    (home / "broken-1" / "model.toml").write_text("=")
    (home / "no-model").mkdir()
    (home / "a-file").write_text("x")
    own_model(home, "whole-1")
    (home / "whole-1" / "reference.npz").unlink()
    cards, broken = store.installed()
    assert "whole-1" in [card.name for card in cards] and list(broken) == ["broken-1"]
    assert run_app(["models", "list"]) == 0
    assert "broken-1: " in capsys.readouterr().out
    assert run_app(["models", "check"]) == 3
    out = capsys.readouterr().out
    assert "broken-1: NOT usable" in out and "whole-1: NOT usable" in out and f"{SHORT}: files" in out
    assert run_app(["scan", str(examples / "dogs.jpg"), "--only", "image.faces"]) == 0


@pytest.mark.parametrize("what", ["file", "nowhere"])
def test_a_users_folder_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    place = tmp_path / "place"
    if what == "file":
        place.write_text("x")
    monkeypatch.setenv("UNMASK_MODELS", str(place))
    cards, broken = store.installed()
    assert SHORT in [card.name for card in cards]
    assert list(broken) == ([str(place)] if what == "file" else [])


def test_where_the_users_models_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("UNMASK_MODELS", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert store.models_home() == tmp_path / "data" / "unmask" / "models"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert store.models_home() == tmp_path / ".local" / "share" / "unmask" / "models"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert store.models_home() == tmp_path / "Library" / "Application Support" / "unmask" / "models"

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert not store.models_home().exists() and store.model_names()


def test_a_users_model_is_taken_in_whole(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder = own_model(tmp_path / "elsewhere")
    (folder / "diary.txt").write_text("not the model's")
    assert run_app(["models", "add", str(folder)]) == 0
    assert {path.name for path in (home / "mine-1").iterdir()} == {path.name for path in folder.iterdir()} - {
        "diary.txt"
    }
    assert store.find_model("mine-1").folder == home / "mine-1"
    assert run_app(["models", "add", str(folder)]) == 2
    assert "already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda folder: (folder / "reference.npz").write_bytes(b"x"), 3),
        (lambda folder: (folder / "model.toml").write_text("="), 2),
        (lambda folder: rewrite(folder, lambda text: text.replace('name = "input"', 'name = "pixels"')), 3),
        (lambda folder: rewrite(folder, lambda text: 'colour = "red"\n' + text), 2),
        (lambda folder: folder.rename(folder.with_name("other-1")), 2),
    ],
    ids=["hash", "toml", "input", "key", "name"],
)
def test_a_wrong_model_is_not_taken_in(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], object], code: int
) -> None:
    (tmp_path / "elsewhere").mkdir()
    spoil(own_model(tmp_path / "elsewhere"))
    assert run_app(["models", "add", str(next((tmp_path / "elsewhere").iterdir()))]) == code
    assert "Traceback" not in capsys.readouterr().err
    assert not [path for path in home.iterdir() if path.name != ".downloads"]


def test_prepared_names_are_those_of_the_start(home: Path) -> None:
    """A model that appears later must not shift the marks of the others."""
    preparation = runtime.Preparation()
    own_model(home, "aaa-1")
    preparation.mark([SHORT, "aaa-1"])
    marked = [name for name, i in preparation._known.items() if preparation._marks[i]]
    assert marked == [SHORT]


def test_prepared_form_gives_the_same_numbers(tmp_path: Path) -> None:
    """In a process of its own: this one has threads already."""
    code = f"""
import numpy as np
from unmask.models import runtime, store
preparation = runtime.Preparation()
preparation.begin()
preparation.collect(wait=True)
assert not runtime._compiled
preparation.mark([{SHORT!r}])
preparation.begin()
preparation.collect(wait=True)
assert list(runtime._compiled) == [{SHORT!r}] and runtime._compiled[{SHORT!r}]
assert not runtime._sessions, 'the process that forks has no session'
card = store.find_model({SHORT!r})
inputs = store.reference_input(card)
prepared = runtime.open_card(card).infer(inputs)
runtime._compiled.clear()
plain = runtime.open_card(card).infer(inputs)
for name in plain:
    assert np.array_equal(plain[name], prepared[name]), name
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_warm_worker_keeps_its_answers(examples: Path) -> None:
    from unmask import Scanner

    with Scanner(Options(only=("image.faces",))) as scanner:
        reports = []
        for _ in range(3):
            reports.append(scanner.scan(examples / "dogs.jpg"))
            time.sleep(0.7)  # the worker compiles ahead meanwhile
    assert len({report.findings[0].model_copy(update={"seconds": 0.0}).model_dump_json() for report in reports}) == 1
    assert all(len(report.tool.models) == 2 for report in reports)


@pytest.mark.parametrize("broken", ["tempfile.TemporaryFile", "os.fork"])
def test_preparation_that_cannot_begin_is_left_out(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No room for a file, no room for a process: the worker that would be faster goes on as it is."""

    def refuse(*_: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(broken, refuse)
    preparation = runtime.Preparation()
    preparation.mark([SHORT])
    preparation.begin()
    preparation.collect(wait=True)
    assert SHORT not in runtime._compiled


def test_opening_a_model_starts_no_process_makes_no_connection_and_writes_nothing_home(tmp_path: Path) -> None:
    code = """
import sys
seen = []
sys.addaudithook(lambda e, a: seen.append(e) if e.split(".")[0] in ("socket", "subprocess") or "fork" in e else None)
from unmask.models.runtime import open_model
open_model("face-landmark-1")
print(seen)
"""
    environment = {k: v for k, v in os.environ.items() if k not in ("CI", "TF_BUILD", "JENKINS_URL")}
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name = "input"', 'name = "picture"'),
        ("shape = [1, 128, 128, 3]", "shape = [1, 64, 64, 3]"),
        ('name = "regressors"', 'name = "scores"'),
        ("shape = [1, 896, 1]", "shape = [1, 1]"),
    ],
    ids=["input", "shape of input", "output", "shape of output"],
)
def test_file_with_other_inputs_or_outputs_than_its_card(copy: Path, old: str, new: str) -> None:
    rewrite(copy, lambda text: text.replace(old, new))
    with pytest.raises(ModelError, match=r"regressors|classificators|input") as caught:
        runtime.open_card(store.read_model_card(copy))
    assert caught.value.code == "model.tensors"
