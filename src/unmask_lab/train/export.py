"""From a trained module to a model folder that the product can use, or to nothing at all.

The folder (see docs/models.md) is made beside its place, opened there as the product would open it, compared with
torch, and only then moved into place.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from unmask.errors import UnmaskError
from unmask.models import runtime
from unmask.models.store import CARD_NAME, read_model_card
from unmask_lab.errors import LabError, disk_error
from unmask_lab.train.stored import Form, store_weights

OPSET = 18
WEIGHTS, REFERENCE, DATA_SHEET = "model.onnx", "reference.npz", "MODEL_CARD.md"
SAME = 1e-4  # float32 sums in another order, as a share of an output's largest value
MOST_REFERENCE_VALUES = 256
REFERENCE_TOLERANCE = 0.001
TOLERANCE = {"int4": 0.2, "int8": 0.05, "float16": 0.005, "float32": 0.001}

Arrays = dict[str, NDArray[np.float32]]

_REQUIRED = ("id", "version", "title", "task", "licence", "source", "trained_on")
_LISTS = ("papers", "known_misses")
_TEXTS = ("input_texts", "output_texts")
SECTIONS = {
    "intended_use": "Intended use",
    "advised_against": "Not for",
    "data": "Data and licences",
    "training": "How it was trained",
    "error_rates": "Error rates",
}


def export(
    module: Any,
    inputs: Mapping[str, Any],
    outputs: Sequence[str],
    folder: Path,
    card: Mapping[str, Any],
    *,
    weights: Form = "int8",
    tolerance: float | None = None,
    replace: bool = False,
) -> Path:
    """Write the model folder and return it.

    Args:
        module: a torch module; called with the inputs in their order, it returns a tensor or a tuple in the order of
            ``outputs``.
        inputs: name -> float32 tensor of the final shape. They become the reference, so give something that looks like
            a subject rather than zeros; they are rounded to float16 first, which halves the file.
        outputs: names.
        folder: where it goes; its name must be ``<id>-<version>``.
        card: ``id``, ``version``, ``title``, ``task``, ``licence``, ``source``, ``trained_on`` (texts), ``papers``,
            ``known_misses`` (lists), ``input_texts``, ``output_texts`` (name -> what the numbers mean), and Markdown
            for MODEL_CARD.md: ``intended_use``, ``advised_against``, ``data``, ``training``, ``error_rates``.
        weights: how they are stored; computed in float32 always.
        tolerance: largest difference between torch and the stored model, as a share of an output's largest value
            (or of 1, if that is larger); by default 20 % for int4, 5 % for int8, 0.5 % for float16, 0.1 % for float32.
        replace: whether a folder that is there may be replaced.

    Raises:
        LabError: ``export.exists``, ``export.card`` (a key is missing or unknown), ``export.graph`` (torch cannot
            express the module as ONNX), ``export.outputs``, ``export.numbers`` (OpenVINO gives other numbers), or what
            the product says of the folder. Nothing half-written stays.
    """
    folder = Path(folder)
    _check_card(card, folder, inputs, outputs)
    if folder.exists() and not replace:
        raise LabError("export.exists", f"{folder} is there already: give the model a new version, or say replace.")
    module = module.to("cpu").float().eval()
    tensors = {name: tensor.detach().cpu().half().float() for name, tensor in inputs.items()}
    wanted = _torch_outputs(module, tensors, outputs)
    exact = [b.detach().numpy() for b in module.buffers() if b.dtype == torch.float32]
    stored, expanded = store_weights(to_onnx(module, tensors, outputs), weights, exact)
    with _workshop(folder) as place:
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        expected = _infer(place.parent / "expanded.onnx", expanded, arrays, outputs)
        loss = _compare(wanted, expected, TOLERANCE[weights] if tolerance is None else tolerance, "torch")
        place.mkdir()
        (place / WEIGHTS).write_bytes(stored.SerializeToString())
        _compare(expected, _infer(place / WEIGHTS, None, arrays, outputs), SAME, "the same weights in float32")
        _write_reference(place / REFERENCE, arrays, expected)
        (place / DATA_SHEET).write_text(data_sheet(card, weights, loss), "utf-8")
        (place / CARD_NAME).write_text(_card_text(card, place, tensors, expected), "utf-8")
        _open(place)
        _move(place, folder)
    return folder


def to_onnx(module: Any, tensors: Mapping[str, Any], outputs: Sequence[str]) -> Any:
    """The module as a float32 ONNX model with fixed shapes. Raises `LabError` ``export.graph``."""
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings():
            # The tracing exporter needs no further package and OpenVINO reads what it writes; it warns that it is
            # the older one and that shapes are fixed, which is wanted.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                tuple(tensors.values()),
                buffer,
                input_names=list(tensors),
                output_names=list(outputs),
                opset_version=OPSET,
                dynamo=False,
            )
    except Exception as error:  # the exporter raises whatever the module's operations raise
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise LabError("export.graph", f"torch cannot write this module as ONNX: {what}") from error
    return onnx.load_model_from_string(buffer.getvalue())


def data_sheet(card: Mapping[str, Any], weights: Form, loss: float) -> str:
    """MODEL_CARD.md: what the model is, what it is for, how it was made and where it errs."""
    parts = [f"# {card['title']}", f"`{card['id']}-{card['version']}`. {card['task']}"]
    parts += [f"## {title}\n{str(card[key]).strip()}" for key, title in SECTIONS.items() if card.get(key)]
    parts.append(f"## Trained on\n{card['trained_on']}")
    if card.get("known_misses"):
        parts.append("## Known misses\n" + "\n".join(f"- {miss}" for miss in card["known_misses"]))
    parts.append(
        f"## Numbers\nWeights are stored as {weights} and computed in float32; on the reference input that changes "
        f"the outputs by {loss:.1e} of their largest value."
    )
    parts.append("## Origin\n" + "\n".join([f"{card['source']}. Licence: {card['licence']}.", *card.get("papers", ())]))
    return "\n\n".join(parts) + "\n"


def _check_card(card: Mapping[str, Any], folder: Path, inputs: Mapping[str, Any], outputs: Sequence[str]) -> None:
    unknown = set(card) - {*_REQUIRED, *_LISTS, *_TEXTS, *SECTIONS}
    missing = [key for key in _REQUIRED if not str(card.get(key, "")).strip()]
    if unknown or missing:
        what = f"unknown keys {sorted(unknown)}" if unknown else f"no {', '.join(missing)}"
        raise LabError("export.card", f"The card of the model has {what}.")
    if folder.name != f"{card['id']}-{card['version']}":
        raise LabError("export.card", f"The folder must be called {card['id']}-{card['version']}, not {folder.name}.")
    for key, names in zip(_TEXTS, (inputs, outputs), strict=True):
        if strange := set(card.get(key, {})) - set(names):
            raise LabError("export.card", f"{key} speaks of {sorted(strange)}, which the model does not have.")


def _torch_outputs(module: Any, tensors: Mapping[str, Any], outputs: Sequence[str]) -> Arrays:
    with torch.no_grad():
        given = module(*tensors.values())
    given = (given,) if isinstance(given, torch.Tensor) else tuple(given)
    if len(given) != len(outputs):
        raise LabError("export.outputs", f"The module gives {len(given)} outputs, and {len(outputs)} are named.")
    return {name: value.float().numpy() for name, value in zip(outputs, given, strict=True)}


def _infer(path: Path, model: Any, inputs: Arrays, outputs: Sequence[str]) -> Arrays:
    """What OpenVINO makes of ``model`` (written to ``path`` first) or of the file at ``path``."""
    if model is not None:
        path.write_bytes(model.SerializeToString())
    try:
        request = runtime.compile_file(path).create_infer_request()
        request.infer(dict(inputs))
        return {name: np.array(request.get_tensor(name).data, np.float32) for name in outputs}
    except RuntimeError as error:
        raise LabError("export.graph", f"OpenVINO cannot run the model: {str(error).splitlines()[-1]}") from error


def _compare(wanted: Arrays, given: Arrays, tolerance: float, other: str) -> float:
    """The largest difference as a share of the output's largest value. Raises `LabError` ``export.numbers``."""
    worst = 0.0
    for name, values in wanted.items():
        if given[name].shape != values.shape:
            raise LabError("export.numbers", f"{name} is {given[name].shape} in the stored model, not {values.shape}.")
        share = float(np.abs(given[name] - values).max(initial=0) / max(1.0, np.abs(values).max(initial=0)))
        # A value that is not a number compares as False, so it is asked for the other way round.
        if not share <= tolerance:
            raise LabError(
                "export.numbers",
                f"{name} of the stored model differs from {other} by {share:.2g} of its largest value, and "
                f"{tolerance:g} is allowed: store the weights as float16, or allow more knowingly.",
            )
        worst = max(worst, share)
    return worst


def _write_reference(path: Path, inputs: Arrays, outputs: Arrays) -> None:
    arrays: dict[str, NDArray[Any]] = {f"in:{name}": value.astype(np.float16) for name, value in inputs.items()}
    for name, values in outputs.items():
        flat = values.ravel()
        at = np.unique(np.linspace(0, flat.size - 1, min(flat.size, MOST_REFERENCE_VALUES)).round().astype(np.int64))
        at = np.unique(np.append(at, np.abs(flat).argmax()))
        arrays |= {f"at:{name}": at, f"out:{name}": flat[at]}
    np.savez_compressed(path, allow_pickle=False, **arrays)


def _card_text(card: Mapping[str, Any], place: Path, tensors: Mapping[str, Any], outputs: Arrays) -> str:
    lines = [f"{key} = {_toml(card[key])}" for key in _REQUIRED]
    lines += [f"{key} = {_toml(list(card[key]))}" for key in _LISTS if card.get(key)]
    lines += [f"weights = {_toml(WEIGHTS)}", 'format = "onnx"']
    for name in (WEIGHTS, REFERENCE):
        digest = hashlib.sha256((place / name).read_bytes()).hexdigest()
        lines += ["", "[[files]]", f"name = {_toml(name)}", f'sha256 = "{digest}"']
    for table, key, values in (("inputs", "input_texts", tensors), ("outputs", "output_texts", outputs)):
        for name, value in values.items():
            lines += ["", f"[[{table}]]", f"name = {_toml(name)}", f"shape = {list(value.shape)}"]
            lines += [f"text = {_toml(card.get(key, {}).get(name, ''))}"]
    lines += ["", "# float32 differs between processors by some 1e-5 of the largest value, bfloat16 by some 1e-2."]
    lines += ["[reference]", f"file = {_toml(REFERENCE)}", f"tolerance = {REFERENCE_TOLERANCE}"]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """A text or a list of texts as TOML; JSON's escapes are TOML's, but for the delete character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _open(place: Path) -> None:
    """As the product would: card, hashes, numbers."""
    try:
        runtime.open_card(read_model_card(place))
    except UnmaskError as error:
        raise LabError(error.code, f"The exported model is not usable: {error.text}") from error


@contextmanager
def _workshop(folder: Path) -> Iterator[Path]:
    """A place of the folder's name on the same disk, gone afterwards."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".export-") as temporary:
            yield Path(temporary) / folder.name
    except OSError as error:
        raise disk_error(folder, error) from error


def _move(place: Path, folder: Path) -> None:
    """Move the finished folder into its place; one that was there goes with the workshop, or comes back."""
    old = place.parent / "old"
    if folder.exists():
        folder.rename(old)
    try:
        place.rename(folder)
    except OSError:
        if old.exists():
            shutil.move(old, folder)
        raise
