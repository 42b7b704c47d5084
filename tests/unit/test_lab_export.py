"""Export: the model folder gives torch's scores in OpenVINO, or is not there at all."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

import lab_tiny_run as tiny  # noqa: E402 - needs torch
from onnx import TensorProto, numpy_helper  # noqa: E402

from unmask.models import runtime, store  # noqa: E402
from unmask_lab.errors import LabError  # noqa: E402
from unmask_lab.train.export import export, to_onnx  # noqa: E402
from unmask_lab.train.loop import load_weights  # noqa: E402
from unmask_lab.train.rounding import round_to_four_bits  # noqa: E402
from unmask_lab.train.stored import from_int4, round_weights, store_weights, to_int4, to_int8  # noqa: E402

CARD = {
    "id": "tiny",
    "version": "1",
    "title": "A tiny net",
    "task": 'Says whether the first number is "positive".',
    "licence": "Apache-2.0",
    "source": "made by a test",
    "trained_on": "noise",
    "papers": ["A. Nobody: Nothing. 2026"],
    "known_misses": ["everything\\else"],
    "input_texts": {"x": "four numbers"},
    "error_rates": "| set | n |\n|---|---|\n| noise | 16 |",
}


class Mixed(torch.nn.Module):  # type: ignore[misc]
    """Every kind of weight: convolution, its transpose, matrix products, a table, a buffer that must stay exact."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.bank = torch.nn.Buffer(torch.randn(64, 32))
        self.conv = torch.nn.Conv1d(64, 64, 3, padding=1)
        self.up = torch.nn.ConvTranspose1d(64, 64, 2, stride=2)
        self.table = torch.nn.Parameter(torch.randn(40, 64))
        self.one, self.two = torch.nn.Linear(64, 512), torch.nn.Linear(512, 64)
        self.norm = torch.nn.LayerNorm(64)

    def forward(self, x: Any) -> tuple[Any, Any]:
        """(1, 20, 32) to a score (1,) and a map (1, 40, 64)."""
        y = self.up(torch.relu(self.conv((x @ self.bank.T).transpose(1, 2)))).transpose(1, 2) + self.table
        y = y + self.two(torch.nn.functional.gelu(self.one(self.norm(y))))
        return y.mean((1, 2)), y


def sample() -> dict[str, Any]:
    return {"x": torch.randn(1, 20, 32, generator=torch.Generator().manual_seed(5))}


def make(folder: Path, **more: Any) -> Path:
    arguments: dict[str, Any] = {"module": Mixed(), "inputs": sample(), "outputs": ["score", "map"], "card": CARD}
    return export(**{**arguments, "folder": folder, **more})


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_trained_exported_and_opened_by_the_product(tmp_path: Path) -> None:
    model = tiny.net()
    load_weights(tiny.run(tmp_path / "run"), model)
    x, _ = tiny.batch(77)
    folder = export(model, {"x": x}, ["logit"], tmp_path / "tiny-1", CARD, weights="int8")
    card = store.read_model_card(folder)
    store.check_files(card)
    assert (card.title, card.papers, card.known_misses) == (CARD["title"], tuple(CARD["papers"]), ("everything\\else",))
    assert (card.inputs[0].text, card.inputs[0].shape, card.outputs[0].shape) == ("four numbers", (16, 4), (16, 1))
    other, _ = tiny.batch(78)
    with torch.no_grad():
        wanted = model.eval()(other).numpy()
    given = runtime.open_card(card).infer({"x": other.numpy()})["logit"]
    assert np.abs(given - wanted).max() < 1e-4
    sheet = (folder / "MODEL_CARD.md").read_text()
    assert "## Error rates\n| set | n |" in sheet and "stored as int8" in sheet


@pytest.mark.parametrize(
    ("form", "most", "size"), [("int8", 0.03, 1.3), ("float16", 0.002, 2.3), ("float32", 1e-5, 4.4)]
)
def test_stored_forms(tmp_path: Path, form: Any, most: float, size: float) -> None:
    folder = make(tmp_path / "tiny-1", weights=form)
    session = runtime.open_card(store.read_model_card(folder))
    module, x = Mixed().eval(), torch.randn(1, 20, 32, generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        wanted = [value.numpy() for value in module(x)]
    given = session.infer({"x": x.numpy()})
    for name, values in zip(("score", "map"), wanted, strict=True):
        assert np.abs(given[name] - values).max() <= most * max(1.0, np.abs(values).max())
    weights = sum(p.numel() for p in module.parameters())
    assert (folder / "model.onnx").stat().st_size / weights < size


def test_int8_weights_are_computed_in_float32(tmp_path: Path) -> None:
    """The runtime may not bring the inputs to int8 too, as OpenVINO does by default on processors with VNNI."""
    graph = to_onnx(Mixed().eval(), sample(), ["score", "map"])
    for name, model in zip(("stored", "expanded"), store_weights(graph, "int8"), strict=True):
        (tmp_path / name).with_suffix(".onnx").write_bytes(model.SerializeToString())
    given = []
    for name in ("stored", "expanded"):
        request = runtime.compile_file(tmp_path / f"{name}.onnx").create_infer_request()
        request.infer({"x": sample()["x"].numpy()})
        given.append(np.array(request.get_tensor("map").data))
    assert np.abs(given[0] - given[1]).max() <= 1e-5 * np.abs(given[1]).max()


def test_what_is_stored_how() -> None:
    module = Mixed().eval()
    graph = to_onnx(module, sample(), ["score", "map"])
    stored, _ = store_weights(graph, "int8", [module.bank.numpy()])
    kinds = {t.name: numpy_helper.to_array(t).dtype.name for t in stored.graph.initializer}
    assert kinds["conv.weight.int8"] == kinds["up.weight.int8"] == "int8"
    assert kinds["table.float16"] == "float16"
    assert sorted(kinds.values()).count("int8") == 4
    exact = [numpy_helper.to_array(t) for t in stored.graph.initializer if list(t.dims) in ([64, 32], [32, 64])]
    assert len(exact) == 1 and exact[0].dtype == np.float32
    scales = {t.name: list(t.dims) for t in stored.graph.initializer if t.name.endswith(".scale")}
    assert scales["conv.weight.scale"] == [64] and [512] in scales.values()


def test_int8_is_the_nearest_value_and_keeps_zero() -> None:
    values = np.random.default_rng(1).normal(size=(5, 300)).astype(np.float32)
    values[2] = 0
    values[3, 7] = 0
    small, scale = to_int8(values, 0)
    assert (np.abs(small * scale[:, None] - values) <= scale[:, None] / 2 * 1.001).all()
    assert small[3, 7] == 0 and not small[2].any() and np.abs(small).max() == 127


def test_existing_folder_is_kept(tmp_path: Path) -> None:
    folder = make(tmp_path / "tiny-1")
    before = files(tmp_path)
    with pytest.raises(LabError) as caught:
        make(folder)
    assert caught.value.code == "export.exists"
    assert files(tmp_path) == before
    make(folder, card={**CARD, "title": "Another"}, replace=True)
    assert store.read_model_card(folder).title == "Another"
    assert [p.name for p in tmp_path.iterdir()] == ["tiny-1"]


class Unwritable(torch.nn.Module):  # type: ignore[misc]
    """Uses an operation that ONNX does not have."""

    def forward(self, x: Any) -> Any:
        return torch.linalg.eigvals(x[0, :20, :20]).real


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"tolerance": 1e-9}, "export.numbers"),
        ({"inputs": {"x": torch.full((1, 20, 32), float("nan"))}}, "export.numbers"),
        ({"module": Unwritable(), "outputs": ["score"]}, "export.graph"),
        ({"outputs": ["score"]}, "export.outputs"),
        ({"card": {**CARD, "colour": "red"}}, "export.card"),
        ({"card": {key: value for key, value in CARD.items() if key != "licence"}}, "export.card"),
        ({"card": {**CARD, "version": "2"}}, "export.card"),
        ({"card": {**CARD, "output_texts": {"mask": "none"}}}, "export.card"),
        ({"card": {**CARD, "version": "one"}, "folder": "tiny-one"}, "card.invalid"),
    ],
    ids=["numbers", "nan", "operation", "outputs", "unknown key", "missing key", "folder", "text", "version"],
)
@pytest.mark.parametrize("there", [False, True], ids=["new", "replace"])
def test_failed_export_leaves_what_was_there(tmp_path: Path, change: dict[str, Any], code: str, there: bool) -> None:
    folder = tmp_path / change.get("folder", "tiny-1")
    if there:
        folder.mkdir()
        (folder / "old").write_text("old")
    before = files(tmp_path)
    with pytest.raises(LabError) as caught:
        make(**{**change, "folder": folder, "replace": there})
    assert caught.value.code == code
    assert files(tmp_path) == before
    assert {p.name for p in tmp_path.iterdir()} == ({folder.name} if there else set())


def test_full_disk_leaves_nothing(tmp_path: Path) -> None:
    import resource

    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, old[1]))
    try:
        with pytest.raises(LabError) as caught:
            make(tmp_path / "tiny-1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert caught.value.code == "disk.full"
    assert list(tmp_path.iterdir()) == []


def test_int4_is_what_the_runtime_computes_with(tmp_path: Path) -> None:
    """Groups of 32 inputs share a scale; weights whose inputs do not divide so keep eight bits."""
    graph = to_onnx(Mixed().eval(), sample(), ["score", "map"])
    stored, expanded = store_weights(graph, "int4")
    kinds = [t.data_type for t in stored.graph.initializer]
    assert kinds.count(TensorProto.INT4) == 5
    other = to_onnx(torch.nn.Conv1d(10, 48, 7), {"x": torch.randn(1, 10, 40)}, ["y"])
    assert TensorProto.INT8 in [t.data_type for t in store_weights(other, "int4")[0].graph.initializer]
    given = []
    for name, model in (("stored", stored), ("expanded", expanded)):
        (tmp_path / name).with_suffix(".onnx").write_bytes(model.SerializeToString())
        request = runtime.compile_file(tmp_path / f"{name}.onnx").create_infer_request()
        request.infer({"x": sample()["x"].numpy()})
        given.append(np.array(request.get_tensor("map").data))
    assert np.abs(given[0] - given[1]).max() <= 1e-5 * np.abs(given[1]).max()


@pytest.mark.parametrize("axis", [0, 1])
def test_int4_of_what_was_rounded_changes_nothing(axis: int) -> None:
    values = np.random.default_rng(2).normal(size=(64, 96)).astype(np.float32)
    values[:32] *= 1e-3
    values[3] = 0
    once = from_int4(*to_int4(values, axis), axis)
    assert np.array_equal(from_int4(*to_int4(once, axis), axis), once)
    assert np.abs(once - values).max() < 0.2 * np.abs(values).max()


def test_rounding_by_outputs_keeps_them_better_than_rounding_by_weights() -> None:
    torch.manual_seed(3)
    mix = torch.randn(64, 64) / 8
    seen = torch.randn(2000, 64) @ mix  # inputs that go together, as a layer's do
    exact = torch.nn.Sequential(torch.nn.Linear(64, 96), torch.nn.GELU(), torch.nn.Linear(96, 64))
    near, by_outputs = copy.deepcopy(exact), copy.deepcopy(exact)
    round_weights(near, "int4")
    round_to_four_bits(by_outputs, lambda: by_outputs(seen))
    with torch.no_grad():
        wrong = [float((net(seen) - exact(seen)).square().mean()) for net in (near, by_outputs)]
    assert wrong[1] < 0.7 * wrong[0]
    again = copy.deepcopy(by_outputs)
    round_weights(again, "int4")
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), by_outputs.parameters(), strict=True))
