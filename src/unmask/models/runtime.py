"""The only place that opens an inference session: OpenVINO, float32, one answer on every machine.

Sessions are compiled at first use and kept for the life of the process; examinations run in forked children, and
a session made before a fork would wait for threads that the child does not have, so none is made at import.
What can be made before a fork is plain data: `Preparation` compiles in a short-lived child that sees no subject and
keeps the compiled form, from which `open_model` starts about five times faster than from the weights.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from unmask.errors import ModelError
from unmask.models.store import ModelCard, check_numbers, find_model, installed, reference_input
from unmask.models.uses import note_use

DEVICE = "CPU"
Arrays = dict[str, NDArray[np.float32]]

_lock = threading.Lock()
_opening: dict[tuple[str, int], threading.Lock] = {}
_sessions: dict[tuple[str, int], Session] = {}
_compiled: dict[str, bytes] = {}
_core: Any = None


class Session:
    """A compiled model. `run` may be called from several threads; each has its own request."""

    def __init__(self, card: ModelCard, compiled: Any) -> None:
        self.card = card
        self._compiled = compiled
        self._local = threading.local()

    def run(self, inputs: Mapping[str, NDArray[np.floating[Any]]]) -> Arrays:
        """Outputs by name, float32 copies, for inputs by name in the shapes of the card.

        Raises:
            ModelError: ``model.input``, an input is missing or has another shape.
        """
        outputs = self.infer(inputs)
        note_use(self.card)
        return outputs

    def infer(self, inputs: Mapping[str, NDArray[np.floating[Any]]]) -> Arrays:
        """`run`, but not counted as taking part in an examination."""
        arrays = checked_inputs(self.card, inputs)
        request = self._request()
        request.infer(arrays)
        return {t.name: np.array(request.get_tensor(t.name).data, np.float32) for t in self.card.outputs}

    def _request(self) -> Any:
        if not hasattr(self._local, "request"):
            self._local.request = self._compiled.create_infer_request()
        return self._local.request


def checked_inputs(card: ModelCard, inputs: Mapping[str, NDArray[np.floating[Any]]]) -> Arrays:
    """The inputs as contiguous float32. Raises `ModelError` ``model.input``, one is missing or has another shape."""
    for tensor in card.inputs:
        if tensor.name not in inputs or inputs[tensor.name].shape != tensor.shape:
            raise ModelError("model.input", f"The model {card.name} wants {tensor.name} as {tensor.shape}.")
    return {name: np.ascontiguousarray(value, np.float32) for name, value in inputs.items()}


def open_model(name: str, threads: int = 1, streams: int = 1) -> Session:
    """The session of an installed model, made, checked against its reference and kept at first use.

    Where there is a keeper for large models (``keep`` in the card), the session asks it instead.

    Args:
        name: ``<id>-<version>``.
        threads: threads of one inference. Detectors run side by side, so one is enough for small networks, and sums
            do not depend on how many there are. A keeper decides for itself.
        streams: inferences that may run side by side, with ``threads`` for all of them.

    Raises:
        ModelError: no such model, a file is missing or altered, or it gives other numbers on this machine.
    """
    key = (name, threads)
    with _lock:
        gate = _opening.setdefault(key, threading.Lock())
    with gate:
        session = _sessions.get(key)
        if session is None:
            card = find_model(name)
            session = (_ask_keeper(card) if card.keep else None) or open_card(card, threads, streams)
            _sessions[key] = session
        return session


def close_models() -> None:
    """Let go of all sessions but the large ones; who uses one keeps it, who wants one again opens it anew.

    What takes part in a film takes 100 MB, while opening takes a second.
    """
    with _lock:
        for key in [key for key, session in tuple(_sessions.items()) if not session.card.keep]:
            _sessions.pop(key, None)


def _ask_keeper(card: ModelCard) -> Session | None:
    """A session at the keeper, where this process has one."""
    from unmask.models.kept import KeptSession, control

    descriptor = control()
    if descriptor is None:
        return None
    session = KeptSession(card, descriptor)
    session.connect()
    return session


def open_card(card: ModelCard, threads: int = 1, streams: int = 1) -> Session:
    """A new session of any model, its files and its numbers checked. Raises `ModelError`."""
    compiled = _compile(card, threads, streams)
    _check_tensors(card, compiled)
    session = Session(card, compiled)
    check_numbers(card, session.infer(reference_input(card)))
    return session


def _check_tensors(card: ModelCard, compiled: Any) -> None:
    """The graph has the card's inputs, no others, and its outputs. Raises `ModelError` ``model.tensors``."""
    for kind, described, ports in (("input", card.inputs, compiled.inputs), ("output", card.outputs, compiled.outputs)):
        there = {name: port.partial_shape for port in ports for name in port.names}
        for tensor in described:
            shape = _openvino().PartialShape(list(tensor.shape))
            if tensor.name not in there or not there[tensor.name].compatible(shape):
                raise ModelError(
                    "model.tensors",
                    f"The file of the model {card.name} has no {kind} {tensor.name} of shape {tensor.shape}, which "
                    f"its card describes. It has: {', '.join(f'{name} {shape}' for name, shape in there.items())}.",
                )
        if kind == "input" and len(ports) != len(described):
            raise ModelError("model.tensors", f"The file of the model {card.name} wants {len(ports)} inputs.")


def machine() -> str:
    """The processor and OpenVINO's version on this machine, for the record of a check."""
    name = str(_engine().get_property(DEVICE, "FULL_DEVICE_NAME")).strip()
    return f"Processor {name}, OpenVINO {_openvino().__version__.split('-')[0]}, float32"


def settings(threads: int, streams: int = 1) -> dict[str, Any]:
    """OpenVINO's settings: float32 whatever the processor offers, so that numbers agree between machines.

    Weights stored as int8 would otherwise have their inputs brought to int8 at run time on processors with VNNI:
    faster, and other numbers (a group size of 0 turns that off).
    """
    return {
        "INFERENCE_PRECISION_HINT": "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": streams,
    }


def compile_file(path: Path, threads: int = 1, streams: int = 1) -> Any:
    """OpenVINO's compiled form of a network file, no card asked. Raises RuntimeError where it cannot be read."""
    core = _engine()
    return core.compile_model(core.read_model(path), DEVICE, settings(threads, streams))


class Preparation:
    """Compiled forms of models, made beside the examinations by a process that forks for each subject.

    A child says with `mark` what it used. After it `begin` forks another that sees no subject, compiles, and writes
    into a file without a name; `collect`, called before the next examination is forked, takes what is there. The
    process that forks never makes a session itself.
    """

    def __init__(self) -> None:
        # The names as they are now, for this process and all its children: the user's folder may change meanwhile.
        self._known = {name: i for i, name in enumerate(_prepared_names()[: mmap.PAGESIZE])}
        self._marks = mmap.mmap(-1, mmap.PAGESIZE)
        self._tried: set[str] = set()
        self._names: list[str] = []
        self._child = 0
        self._file: IO[bytes] | None = None

    def mark(self, names: Iterable[str]) -> None:
        """In a child: these models were used."""
        for name in names:
            if name in self._known:
                self._marks[self._known[name]] = 1

    def leave(self) -> None:
        """In a child: what is being prepared is no business of a process that opens a subject."""
        if self._file is not None:
            self._file.close()

    def begin(self, close: Iterable[int] = ()) -> None:
        """Prepare what was marked and not tried before; ``close``: descriptors that the new child must not keep."""
        names = [n for n, i in self._known.items() if self._marks[i] and n not in self._tried]
        if self._child or not names:
            return
        _openvino()  # imported once here, every later child has it

        self._tried.update(names)
        self._names = names
        try:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `collect`
            self._child = os.fork()
        except OSError:
            # No room for a file or a process: each user compiles anew, and the worker lives on.
            self.leave()
            return
        if self._child == 0:
            status = 1
            try:
                for descriptor in close:
                    os.close(descriptor)
                _export(names, self._file)
                status = 0
            finally:
                os._exit(status)

    def collect(self, wait: bool = False) -> None:
        """Take the compiled forms in where the child has finished; what failed is compiled anew by each user."""
        if not self._child or self._file is None:
            return
        child, status = os.waitpid(self._child, 0 if wait else os.WNOHANG)
        if child == 0:
            return
        with self._file as file:
            if status == 0:
                file.seek(0)
                sizes = [int(size) for size in file.readline().split()]
                _compiled.update((name, file.read(size)) for name, size in zip(self._names, sizes, strict=True))
        self._child, self._file = 0, None


def _prepared_names() -> tuple[str, ...]:
    """The installed models that each process opens for itself; the large ones have a keeper."""
    cards, _ = installed()
    return tuple(card.name for card in cards if card.network and not card.keep)


def _export(names: Iterable[str], file: IO[bytes]) -> None:
    forms = []
    for name in names:
        with contextlib.suppress(ModelError):
            exported = _compile(find_model(name), 1).export_model()
            forms.append(exported if isinstance(exported, bytes) else bytes(exported.getvalue()))
            continue
        forms.append(b"")
    file.write(" ".join(str(len(form)) for form in forms).encode() + b"\n")
    file.writelines(forms)
    file.flush()


def _compile(card: ModelCard, threads: int, streams: int = 1) -> Any:
    # A graph may keep its weights in a second file: each is checked before any is opened.
    reference = card.numbers.file
    for file in card.files:
        if file.name != reference:
            card.path(file.name)
    path = card.folder / card.weights
    core = _engine()
    try:
        if _compiled.get(card.name):
            return core.import_model(_compiled[card.name], DEVICE, settings(threads, streams))
        return compile_file(path, threads, streams)
    except RuntimeError as error:
        raise ModelError(
            "model.unreadable", f"OpenVINO cannot open the model {card.name}: {str(error).splitlines()[-1]}."
        ) from error


def _openvino() -> Any:
    """OpenVINO's module, imported without its telemetry.

    `import openvino` starts a process that sends an event over the network and writes a client number into the home
    folder. Unmask makes no connection, and a fork in the middle of an examination stops SciPy's threads. Where the
    telemetry package cannot be imported, OpenVINO uses its own stub.
    """
    name = "openvino_telemetry"
    if "openvino" not in sys.modules and name not in sys.modules:
        sys.modules[name] = None  # type: ignore[assignment]  # the import system's way to say: not here
        try:
            import openvino
        finally:
            del sys.modules[name]
    import openvino

    return openvino


def _engine() -> Any:
    global _core  # noqa: PLW0603 - one engine a process, made at first use
    with _lock:
        if _core is None:
            openvino = _openvino()
            # OpenVINO's first exchange of arrays with NumPy, made here by one thread: two at once may wait for each
            # other for ever (a static variable's guard against the interpreter's lock).
            np.array(openvino.Tensor(np.zeros(1, np.float32)).data)
            _core = openvino.Core()
        return _core
