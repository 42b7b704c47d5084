"""Models as folders: found by walking, described by ``model.toml``, checked before a byte of them is opened.

Models ship inside the package; those that are too large for it, and a user's own, lie in the user's model folder
(`models_home`). Where both have a model of one name, the package's is used.

The folder's name is ``<id>-<version>``. It holds the weights (ONNX or TFLite, never a pickle), ``model.toml``,
``MODEL_CARD.md`` and a reference: one input and a part of the output it must give. Whoever opens the model runs
the reference first (`unmask.models.runtime`), so a machine on which the numbers differ says so instead of
answering. Nothing here imports the inference library.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError, model_validator

from unmask.errors import CardError, ModelError
from unmask.report import Frozen, ModelInfo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

MODELS = Path(__file__).parent
CARD_NAME = "model.toml"


class ModelFile(Frozen):
    """One file of a model: its plain name in the folder and its SHA-256 in hex."""

    name: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Tensor(Frozen):
    """An input or an output by name, with its shape and what its numbers mean."""

    name: str
    shape: tuple[int, ...]
    text: str = ""


class Reference(Frozen):
    """An input with the output that belongs to it.

    ``file`` is an ``.npz`` without pickles: ``in:<name>`` holds each whole input, ``at:<name>`` flat indices into an
    output and ``out:<name>`` the values there. A value may differ by ``tolerance`` times the largest value
    expected of that output.
    """

    file: str
    tolerance: float = Field(gt=0, le=0.1)


class ModelCard(Frozen):
    """A model's data sheet; see ``docs/models.md`` for each field.

    ``keep``: too large to be compiled for each subject; one process holds it for all (`unmask.models.keeper`).
    ``format``: ``ctranslate2`` is opened by faster-whisper alone (`unmask.voices.words`), has no tensors and no
    reference, and never makes a score.
    """

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    version: str = Field(pattern=r"^[0-9]+(\.[0-9]+)*$")
    title: str
    task: str
    licence: str
    source: str
    papers: tuple[str, ...] = ()
    trained_on: str
    known_misses: tuple[str, ...] = ()
    weights: str
    format: Literal["tflite", "onnx", "ctranslate2"]
    files: tuple[ModelFile, ...] = Field(min_length=1)
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    reference: Reference | None = None
    keep: bool = False
    folder: Path = Field(default=Path(), exclude=True)

    @model_validator(mode="after")
    def _files_listed(self) -> ModelCard:
        names = {file.name for file in self.files}
        for name in (self.weights, self.reference.file if self.reference else self.weights):
            if name not in names:
                raise ValueError(f"{name} is not among the files with a sha256")
        if self.network and not (self.inputs and self.outputs and self.reference):
            raise ValueError(f"a model in the format {self.format} needs inputs, outputs and a reference")
        return self

    @property
    def network(self) -> bool:
        """Whether `unmask.models.runtime` can open it."""
        return self.format != "ctranslate2"

    @property
    def numbers(self) -> Reference:
        """The reference of a network. Raises `ModelError` ``model.engine``, it is none that can be opened here."""
        if self.reference is None:
            raise ModelError("model.engine", f"The model {self.name} is opened by the extra [words] only.")
        return self.reference

    @property
    def name(self) -> str:
        """``<id>-<version>``, the folder's name."""
        return f"{self.id}-{self.version}"

    @property
    def info(self) -> ModelInfo:
        """What a report says of the model; the hash is that of the weights."""
        return ModelInfo(id=self.id, version=self.version, sha256=self._hash(self.weights))

    @property
    def bundled(self) -> bool:
        """Whether it ships inside the package."""
        return self.folder.parent == MODELS

    @property
    def remedy(self) -> str:
        """What to do where a file of it is missing or altered."""
        return "install Unmask again" if self.bundled else "fetch or copy the model again (see unmask models get)"

    def path(self, name: str) -> Path:
        """A file of the model, its hash checked.

        Raises:
            ModelError: ``model.missing`` or ``model.altered``.
        """
        path = self.folder / name
        if sha256_of(path, self) != self._hash(name):
            raise ModelError(
                "model.altered",
                f"The file {name} of the model {self.name} is not the one its card describes: {self.remedy}.",
            )
        return path

    def _hash(self, name: str) -> str:
        return next(file.sha256 for file in self.files if file.name == name)


def sha256_of(path: Path, card: ModelCard) -> str:
    """SHA-256 of one of the card's files, hex. Raises `ModelError` where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(
            "model.missing",
            f"The file {path.name} of the model {card.name} cannot be read ({error.strerror}): {card.remedy}.",
        ) from error


def read_model_card(folder: Path) -> ModelCard:
    """Read and check ``folder/model.toml``; the weights are not touched.

    Raises:
        CardError: missing, not TOML, an unknown key, a value out of range, or a folder of another name.
    """
    path = folder / CARD_NAME
    try:
        card = ModelCard(**tomllib.loads(path.read_text("utf-8")), folder=folder)
    except OSError as error:
        raise CardError("card.missing", f"{path}: no {CARD_NAME} here ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CardError("card.broken", f"{path}: not valid TOML: {error}.") from error
    except (ValidationError, TypeError) as error:
        raise CardError("card.invalid", f"{path}: {_first_problem(error)}") from error
    if card.name != folder.name:
        raise CardError("card.invalid", f"{path}: describes {card.name}, so the folder must be called so.")
    return card


def find_models(root: Path = MODELS) -> tuple[ModelCard, ...]:
    """The cards of all models below ``root``, by name.

    Raises:
        CardError: a card is broken.
    """
    return tuple(read_model_card(path.parent) for path in sorted(root.glob(f"*/{CARD_NAME}")))


def models_home() -> Path:
    """The user's model folder, which need not exist: ``$UNMASK_MODELS``, else the system's place for user data."""
    if chosen := os.environ.get("UNMASK_MODELS"):
        return Path(chosen)
    if sys.platform == "darwin":
        return _home() / "Library" / "Application Support" / "unmask" / "models"
    data = os.environ.get("XDG_DATA_HOME", "")
    # The XDG Base Directory Specification: a relative path is to be ignored.
    base = Path(data) if Path(data).is_absolute() else _home() / ".local" / "share"
    return base / "unmask" / "models"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:
        return Path("/nonexistent")  # a user without a home, as in some containers


def model_names() -> tuple[str, ...]:
    """Names of all installed models, the package's and the user's; no card is read."""
    return tuple(sorted({*_bundled_names(), *_user_names()}))


def find_model(name: str) -> ModelCard:
    """The card of the installed model called ``<id>-<version>``.

    Raises:
        ModelError: ``model.unknown``. CardError: its card is broken.
    """
    if name in _bundled_names():
        return _card_of(MODELS / name)
    if name in _user_names():
        return _card_of(models_home() / name)
    raise ModelError("model.unknown", f"No model is called {name!r}. There are: {', '.join(model_names())}.")


def has_model(name: str) -> bool:
    """Whether a model of this name is installed; nothing of it is read."""
    return name in _bundled_names() or name in _user_names()


def installed() -> tuple[tuple[ModelCard, ...], dict[str, str]]:
    """Cards of all installed models by name, and why the other folders of models are none, by the folder's name."""
    cards, broken = [], {}
    for name in model_names():
        try:
            cards.append(find_model(name))
        except CardError as error:
            broken[name] = error.text
    if reason := _home_problem():
        broken[str(models_home())] = reason
    return tuple(cards), broken


_card_of = cache(read_model_card)


@cache
def _bundled_names() -> tuple[str, ...]:
    return tuple(sorted(path.parent.name for path in MODELS.glob(f"*/{CARD_NAME}")))


def _user_names() -> tuple[str, ...]:
    """Not kept: a model may be fetched while Unmask runs. A folder that cannot be read holds none."""
    try:
        with os.scandir(models_home()) as entries:
            return tuple(
                sorted(e.name for e in entries if not e.name.startswith(".") and (Path(e) / CARD_NAME).is_file())
            )
    except OSError:
        return ()


def _home_problem() -> str | None:
    """Why the user's model folder cannot be read, where it exists."""
    try:
        os.scandir(models_home()).close()
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"The folder of your models cannot be read ({error.strerror}): check UNMASK_MODELS and the rights."
    return None


def check_files(card: ModelCard) -> None:
    """Check every file of a model against its hash. Raises `ModelError`."""
    for file in card.files:
        card.path(file.name)


def reference_input(card: ModelCard) -> dict[str, NDArray[Any]]:
    """The reference's inputs by name, float32. Raises `ModelError`."""
    import numpy as np

    arrays = _reference(card)
    return {tensor.name: arrays[f"in:{tensor.name}"].astype(np.float32) for tensor in card.inputs}


def check_numbers(card: ModelCard, outputs: Mapping[str, NDArray[Any]]) -> float:
    """Compare outputs for the reference input with what the card's reference expects.

    Returns:
        The largest difference, as a share of the tolerance (0..1).

    Raises:
        ModelError: ``model.numbers``, a value differs by more than the tolerance or is not finite.
    """
    import numpy as np

    arrays, worst = _reference(card), 0.0
    for tensor in card.outputs:
        expected = arrays[f"out:{tensor.name}"].astype(np.float64)
        given = np.asarray(outputs[tensor.name], np.float64).ravel()[arrays[f"at:{tensor.name}"]]
        allowed = card.numbers.tolerance * float(np.abs(expected).max(initial=1e-6))
        # A value that is not a number compares as False, so it is asked for the other way round.
        share = float(np.abs(given - expected).max(initial=0.0)) / allowed
        if not share <= 1.0:
            raise ModelError(
                "model.numbers",
                f"The model {card.name} gives other numbers on this machine than where it was made "
                f"({tensor.name} differs by {share:.3g} times the tolerance), so it is not used.",
            )
        worst = max(worst, share)
    return worst


def _reference(card: ModelCard) -> dict[str, NDArray[Any]]:
    import numpy as np

    wanted: Sequence[str] = [f"in:{t.name}" for t in card.inputs]
    wanted = [*wanted, *(f"{part}:{t.name}" for t in card.outputs for part in ("at", "out"))]
    try:
        with np.load(card.path(card.numbers.file), allow_pickle=False) as file:
            return {key: file[key] for key in wanted}
    except (KeyError, ValueError, OSError) as error:
        raise ModelError("model.reference", f"The reference of {card.name} is incomplete: {error}.") from error


def _first_problem(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(p) for p in first['loc'])}: {first['msg']}"
    return str(error)
