"""What every recipe is told, and how a recipe is found: ``voice.synthetic`` is ``recipes/voice_synthetic.py``.

Nothing here needs torch, so that the command line can say what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from unmask_lab.errors import LabError

RECIPES = Path(__file__).with_name("recipes")
CHECKPOINT = "last.pt"


@dataclass(frozen=True)
class TrainOptions:
    """One training run.

    ``folder``: where checkpoints and logs go. ``kit``: the labelled kit's data folder. ``steps``: None for the recipe's
    own number. ``fold``: train without this fold of whole sources (and score it); None trains on everything.
    ``files``: further files and folders by name that a recipe asks for, such as a pretrained tower. ``export``: the
    model folder to write at the end (a recipe of several models says where they go), None for none; ``replace``: even
    where there is one.
    """

    question: str
    folder: Path
    kit: Path | None = None
    device: str = "cpu"
    steps: int | None = None
    seed: int = 1
    fold: int | None = None
    folds: int = 5
    resume: bool = False
    files: Mapping[str, Path] = field(default_factory=dict)
    export: Path | None = None
    replace: bool = False

    def need_kit(self) -> Path:
        """The kit's folder. Raises `LabError` ``train.kit`` where none was given or it has no manifest."""
        if self.kit is None or not any(self.kit.glob("manifest-*.csv")):
            raise LabError(
                "train.kit", f"This recipe needs the labelled kit: --kit FOLDER with its manifests ({self.kit})."
            )
        return self.kit

    def need(self, name: str, what: str) -> Path:
        """A file or folder given by ``--with name=PATH``. Raises `LabError` ``train.file``."""
        path = self.files.get(name)
        if path is None or not path.exists():
            where = "" if path is None else f" ({path} is not there)"
            raise LabError("train.file", f"This recipe needs {what}: --with {name}=PATH{where}.")
        return path


def find_recipes(folder: Path = RECIPES) -> tuple[str, ...]:
    """The questions that have a recipe, sorted; found by walking, none is imported."""
    return tuple(sorted(p.stem.replace("_", ".", 1) for p in folder.glob("[a-z]*_*.py")))


def recipe(question: str) -> Callable[[TrainOptions], None]:
    """The recipe's ``train``.

    Raises:
        LabError: ``train.question`` (no such recipe), ``train.extra`` (torch is not installed).
    """
    if question not in find_recipes():
        raise _unknown(question)
    try:
        module = import_module(f"unmask_lab.train.recipes.{question.replace('.', '_', 1)}")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("unmask"):
            raise
        raise LabError("train.extra", f"Training needs {error.name}: pip install 'unmask-media[lab]'.") from error
    found: Callable[[TrainOptions], None] = module.train
    return found


def _unknown(question: str) -> LabError:
    return LabError("train.question", f"No recipe for {question!r}. There are: {', '.join(find_recipes())}.")


def run(options: TrainOptions) -> None:
    """Check what can be checked beforehand, then train.

    Raises:
        LabError: as `recipe`; ``train.exists``, the folder holds a run and ``resume`` was not said; ``train.device``;
            ``train.fold``; ``export.exists``; and what the recipe raises.
    """
    if options.question not in find_recipes():
        raise _unknown(options.question)
    if not options.resume and options.folder.is_dir() and any(options.folder.rglob(CHECKPOINT)):
        raise LabError("train.exists", f"{options.folder} holds a run already: --resume, or choose another folder.")
    if options.fold is not None and not 0 <= options.fold < options.folds:
        raise LabError("train.fold", f"There are folds 0 to {options.folds - 1}, not {options.fold}.")
    if options.export is not None and (options.export / "model.toml").exists() and not options.replace:
        raise LabError("export.exists", f"{options.export} is there already: give a new version, or say --replace.")
    train = recipe(options.question)
    _check_device(options.device)
    start(train, options)


def start(train: Callable[[TrainOptions], None], options: TrainOptions) -> None:
    """Call the recipe with every random generator set from the seed, so that new layers begin alike each time."""
    from unmask_lab.train.loop import seed_all

    seed_all(options.seed, -1)
    train(options)


def _check_device(device: str) -> None:
    import torch

    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        what = str(error).splitlines()[0]
        raise LabError("train.device", f"torch cannot use the device {device!r} here: {what}") from error
