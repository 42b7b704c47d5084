"""The training loop: a killed run ends as one that was not, and nothing that goes wrong costs what was there."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import lab_tiny_run as tiny  # noqa: E402 - needs torch

from unmask.models.store import MODELS  # noqa: E402
from unmask_lab.errors import LabError  # noqa: E402
from unmask_lab.train import options  # noqa: E402
from unmask_lab.train.loop import Trainer, cosine, load_weights, read_checkpoint  # noqa: E402
from unmask_lab.train.options import TrainOptions  # noqa: E402
from unmask_lab.train.reference import drawn_picture  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@contextmanager
def small_disk(most: int) -> Iterator[None]:
    """No file may grow beyond ``most`` bytes: what a full disk does, without one."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


def same(a: Any, b: Any) -> bool:
    """Equal to the last bit, tensors and plain values."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else bool(a == b)


def lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_training_learns_and_leaves_log_and_checkpoints(tmp_path: Path) -> None:
    best = tiny.run(tmp_path)
    log = lines(tmp_path)
    assert [line["step"] for line in log] == [10, 20, 30, 40]
    assert log[-1]["loss"] < log[0]["loss"] and log[-1]["right"] > 0.8
    model = tiny.net()
    figures = load_weights(best, model)
    assert figures["loss"] == pytest.approx(min(line["loss"] for line in log), abs=1e-5)
    with torch.no_grad():
        assert tiny.validate(model.eval())["loss"] == pytest.approx(figures["loss"])


@pytest.mark.slow
def test_killed_run_ends_as_one_that_was_not(tmp_path: Path) -> None:
    script = [sys.executable, str(Path(tiny.__file__)), str(tmp_path / "killed"), str(tiny.STEPS)]
    with subprocess.Popen([*script, "25"], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        seen = next(line for line in child.stdout if line.strip() == "hanging")
        child.kill()
    assert seen and read_checkpoint(tmp_path / "killed" / "last.pt")["step"] == 20
    with (tmp_path / "killed" / "log.jsonl").open("a") as file:
        file.write('{"step": 30, "lo')  # cut off in the middle of a line
    (tmp_path / "killed" / ".last.pt.abc").write_bytes(b"half")
    subprocess.run([*script, "-1"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*script[:2], str(tmp_path / "whole"), str(tiny.STEPS)], check=True, stdout=subprocess.DEVNULL)
    for name in ("last.pt", "best.pt"):
        killed, whole = (read_checkpoint(tmp_path / run / name) for run in ("killed", "whole"))
        assert same(killed, whole), name
    for a, b in zip(lines(tmp_path / "killed"), lines(tmp_path / "whole"), strict=True):
        assert {**a, "seconds": 0} == {**b, "seconds": 0}
    assert not list((tmp_path / "killed").glob(".*.pt.*"))


def test_finished_run_is_not_trained_further(tmp_path: Path) -> None:
    tiny.run(tmp_path)
    before = (tmp_path / "best.pt").read_bytes()
    tiny.run(tmp_path)
    assert (tmp_path / "best.pt").read_bytes() == before


def test_patience_stops_early_and_stays_stopped(tmp_path: Path) -> None:
    for _ in range(2):
        run = tiny.trainer(tmp_path)
        run.run(tiny.batch, tiny.loss, lambda _: {"flat": 1.0}, steps=1000, every=5, keep="flat", patience=3)
        assert run.step == 20
    assert read_checkpoint(tmp_path / "best.pt")["step"] == 5


def test_newest_state_may_be_kept_also_after_a_pause(tmp_path: Path) -> None:
    for steps in (20, 40):
        tiny.trainer(tmp_path).run(tiny.batch, tiny.loss, lambda _: {}, steps=steps, every=10, keep="step")
        assert read_checkpoint(tmp_path / "best.pt")["step"] == steps
    assert [line["step"] for line in lines(tmp_path)] == [10, 20, 30, 40]


def test_averaged_weights_lag_behind(tmp_path: Path) -> None:
    run = tiny.trainer(tmp_path)
    run.run(tiny.batch, tiny.loss, tiny.validate, steps=20, every=20, keep="right")
    now, mean = run.model[0].weight, run.average[0].weight
    assert not torch.equal(now, mean) and torch.allclose(now, mean, atol=0.2)


@pytest.mark.parametrize("what", ["loss", "gradient", "figure"])
def test_not_a_number_keeps_the_last_good_checkpoint(tmp_path: Path, what: str) -> None:
    tiny.trainer(tmp_path).run(tiny.batch, tiny.loss, tiny.validate, steps=20, every=10, keep="right")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def loss(model: Any, tensors: Any) -> Any:
        value = tiny.loss(model, tensors)
        if what == "loss":
            return value * float("nan")
        # The root of zero is zero, its slope is not a number.
        return value + (model[0].weight * 0).sum().sqrt() if what == "gradient" else value

    def validate(model: Any) -> dict[str, float]:
        return {"right": float("nan") if what == "figure" else 1.0}

    with pytest.raises(LabError) as caught:
        tiny.trainer(tmp_path).run(tiny.batch, loss, validate, steps=30, every=10, keep="right")
    assert caught.value.code == "train.nan" and what in caught.value.text and "last.pt" in caught.value.text
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_full_disk_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    run = tiny.trainer(tmp_path)
    run.run(tiny.batch, tiny.loss, tiny.validate, steps=10, every=10, keep="right")
    before = (tmp_path / "last.pt").read_bytes()
    with small_disk(2000), pytest.raises(LabError) as caught:
        tiny.trainer(tmp_path).run(tiny.batch, tiny.loss, tiny.validate, steps=20, every=10, keep="right")
    assert caught.value.code == "disk.full" and "kept" in caught.value.text
    assert (tmp_path / "last.pt").read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {".lock", "best.pt", "last.pt", "log.jsonl"}
    tiny.trainer(tmp_path).run(tiny.batch, tiny.loss, tiny.validate, steps=20, every=10, keep="right")
    assert read_checkpoint(tmp_path / "last.pt")["step"] == 20


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_log_on_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").symlink_to("/dev/full")
    with pytest.raises(LabError) as caught:
        tiny.run(tmp_path)
    assert caught.value.code == "disk.full" and read_checkpoint(tmp_path / "last.pt")["step"] == 10


@pytest.mark.parametrize("damage", ["cut", "text", "pickle"])
def test_damaged_checkpoint_is_said_and_kept(tmp_path: Path, damage: str) -> None:
    tiny.run(tmp_path, steps=10)
    path = tmp_path / "last.pt"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:500])
    elif damage == "text":
        path.write_text("nothing")
    else:
        torch.save({"model": Path("code")}, path)
    before = path.read_bytes()
    with pytest.raises(LabError) as caught:
        tiny.run(tmp_path)
    assert caught.value.code == "train.checkpoint" and str(path) in caught.value.text
    assert path.read_bytes() == before


def test_run_of_another_seed_or_model_is_not_continued(tmp_path: Path) -> None:
    tiny.run(tmp_path, steps=10)
    before = (tmp_path / "last.pt").read_bytes()
    for other in (tiny.trainer(tmp_path, seed=9), tiny.trainer(tmp_path, model=torch.nn.Linear(4, 1))):
        with pytest.raises(LabError) as caught:
            other.run(tiny.batch, tiny.loss, tiny.validate, steps=20, every=10, keep="right")
        assert caught.value.code == "train.other_run"
    assert (tmp_path / "last.pt").read_bytes() == before
    with pytest.raises(LabError) as caught:
        load_weights(tmp_path / "best.pt", torch.nn.Linear(3, 3))
    assert caught.value.code == "train.checkpoint"


def test_two_processes_do_not_train_in_one_folder(tmp_path: Path) -> None:
    inner: list[str] = []

    def batch(step: int) -> Any:
        if step == 3:
            with pytest.raises(LabError) as caught:
                tiny.run(tmp_path)
            inner.append(caught.value.code)
        return tiny.batch(step)

    tiny.trainer(tmp_path).run(batch, tiny.loss, tiny.validate, steps=5, every=5, keep="right")
    assert inner == ["train.busy"]


def test_figure_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="right") as caught:
        tiny.trainer(tmp_path).run(tiny.batch, tiny.loss, tiny.validate, steps=5, every=5, keep="auc")
    assert caught.value.code == "train.figure"


def test_schedule_reaches_the_optimiser(tmp_path: Path) -> None:
    schedule = cosine(100, warmup=10, last=0.1)
    assert schedule(0) == pytest.approx(0.1) and schedule(10) == 1.0 and schedule(100) == pytest.approx(0.1)
    model = tiny.net()
    groups = [{"params": model[0].parameters(), "lr": 1.0}, {"params": model[-1].parameters(), "lr": 0.5}]
    run = Trainer(tmp_path, model, torch.optim.SGD(groups), seed=1, schedule=lambda step: 1 / (step + 1), amp=False)
    run.run(tiny.batch, tiny.loss, tiny.validate, steps=4, every=4, keep="right")
    assert [group["lr"] for group in run.optimiser.param_groups] == [0.25, 0.125]


def test_every_recipe_can_be_found_and_imported() -> None:
    for question in options.find_recipes():
        assert callable(options.recipe(question))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"question": "nothing"}, "train.question"),
        ({"fold": 7}, "train.fold"),
        ({"device": "cuda:99"}, "train.device"),
        ({"export": MODELS / "face-landmark-1"}, "export.exists"),
        ({"resume": False}, "train.exists"),
    ],
    ids=["question", "fold", "device", "export", "exists"],
)
def test_what_is_wrong_is_said_before_training(tmp_path: Path, change: dict[str, Any], code: str) -> None:
    (tmp_path / "fold0").mkdir()
    (tmp_path / "fold0" / "last.pt").write_bytes(b"")
    with pytest.raises(LabError) as caught:
        options.run(
            TrainOptions(**{"question": options.find_recipes()[0], "folder": tmp_path, "resume": True, **change})
        )
    assert caught.value.code == code


def test_new_layers_begin_alike(tmp_path: Path) -> None:
    drawn: list[Any] = []
    for seed in (1, 1, 2):
        options.start(lambda _: drawn.append(torch.rand(3)), TrainOptions("x.y", tmp_path, seed=seed))
        torch.rand(7)
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_drawn_reference_is_the_same_each_time_and_not_flat() -> None:
    first, again = drawn_picture(96, 128), drawn_picture(96, 128)
    assert first.shape == (96, 128, 3) and (first == again).all()
    assert (first != drawn_picture(96, 128, seed=2)).any() and first.std() > 20


def test_missing_kit_and_files_are_asked_for(tmp_path: Path) -> None:
    asked = TrainOptions("x.y", tmp_path, kit=tmp_path, files={"tower": tmp_path / "none.bin"})
    with pytest.raises(LabError, match="--kit"):
        asked.need_kit()
    with pytest.raises(LabError, match="--with tower=PATH"):
        asked.need("tower", "a speech tower")
