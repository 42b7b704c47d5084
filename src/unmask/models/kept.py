"""Asking the keeper: a large model that one process holds for all (`unmask.models.keeper`), used like any session.

How the two talk, over a stream socket between them alone: the asker sends a line with the model's name and the
SHA-256 of its weights, and gets one byte, 0 for ready. From then on it sends all inputs in the card's order, as
float32 in the card's shapes and nothing else, and gets 0 and all outputs in the same manner. A byte of 1 instead
is followed by a length and a JSON object with ``code`` and ``text``. Both sides know every length beforehand.
"""

from __future__ import annotations

import json
import math
import os
import socket
import struct
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask.errors import ModelError
from unmask.models.runtime import Arrays, Session, checked_inputs
from unmask.models.store import ModelCard, Tensor

VARIABLE = "UNMASK_KEEPER"
"""Holds the number of the descriptor over which sockets are handed to the keeper; set for examining processes."""

OPEN_SECONDS = 120.0
RUN_SECONDS = 60.0
MAX_ERROR_BYTES = 1 << 16
READY, ERROR = b"\0", b"\1"


class KeptSession(Session):
    """A session whose model another process holds. `run` may be called from several threads."""

    def __init__(self, card: ModelCard, control: int) -> None:
        super().__init__(card, None)
        self._control = control
        self._connections = threading.local()

    def infer(self, inputs: Mapping[str, NDArray[np.floating[Any]]]) -> Arrays:
        """Outputs by name. Raises `ModelError`, also where the keeper is lost: ``model.keeper``."""
        arrays = checked_inputs(self.card, inputs)
        try:
            connection = self._connection()
            connection.settimeout(RUN_SECONDS)
            for tensor in self.card.inputs:
                connection.sendall(arrays[tensor.name].data)
            _expect_ready(connection)
            return receive_tensors(connection, self.card.outputs)
        except (OSError, EOFError) as error:
            self._forget()
            raise lost(self.card) from error

    def connect(self) -> None:
        """Have the keeper open the model now. Raises `ModelError` where it cannot."""
        try:
            self._connection()
        except (OSError, EOFError) as error:
            self._forget()
            raise lost(self.card) from error

    def _connection(self) -> socket.socket:
        made: socket.socket | None = getattr(self._connections, "socket", None)
        if made is None:
            made = self._connections.socket = _connected(self._control, self.card)
        return made

    def _forget(self) -> None:
        made: socket.socket | None = getattr(self._connections, "socket", None)
        if made is not None:
            made.close()
            self._connections.socket = None


def control() -> int | None:
    """The descriptor that leads to a keeper, where this process has one."""
    number = os.environ.get(VARIABLE, "")
    return int(number) if number.isdigit() else None


def lost(card: ModelCard) -> ModelError:
    """The keeper died or does not answer."""
    return ModelError(
        "model.keeper",
        f"The process that holds the model {card.name} was lost or did not answer, so the model did not take part. "
        "Try again; if it repeats, the machine may have too little memory.",
    )


def greeting(card: ModelCard) -> bytes:
    """The line that opens a conversation about a model."""
    return f"{card.name} {card.info.sha256}\n".encode("ascii")


def send_error(connection: socket.socket, error: ModelError) -> None:
    """Tell the other side why there is no answer."""
    body = json.dumps({"code": error.code, "text": error.text}).encode("ascii")[:MAX_ERROR_BYTES]
    connection.sendall(ERROR + struct.pack("<I", len(body)) + body)


def receive_tensors(connection: socket.socket, tensors: Sequence[Tensor]) -> Arrays:
    """Arrays of the tensors' shapes, one after the other. Raises EOFError where the other side is gone."""
    out: Arrays = {}
    for tensor in tensors:
        data = receive(connection, 4 * math.prod(tensor.shape))
        out[tensor.name] = np.frombuffer(data, "<f4").reshape(tensor.shape)
    return out


def receive(connection: socket.socket, length: int) -> bytearray:
    """Exactly ``length`` bytes. Raises EOFError where the other side is gone."""
    data = bytearray(length)
    view = memoryview(data)
    while view:
        count = connection.recv_into(view)
        if count == 0:
            raise EOFError
        view = view[count:]
    return data


def _connected(control: int, card: ModelCard) -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with theirs, socket.socket(fileno=os.dup(control)) as keeper:
            keeper.settimeout(OPEN_SECONDS)
            socket.send_fds(keeper, [b"k"], [theirs.fileno()])
        ours.settimeout(OPEN_SECONDS)
        ours.sendall(greeting(card))
        _expect_ready(ours)
    except BaseException:
        ours.close()
        raise
    return ours


def _expect_ready(connection: socket.socket) -> None:
    """Raises what the keeper reports, or EOFError where it talks nonsense."""
    word = bytes(receive(connection, 1))
    if word == READY:
        return
    if word != ERROR:
        raise EOFError
    (length,) = struct.unpack("<I", receive(connection, 4))
    if length > MAX_ERROR_BYTES:
        raise EOFError
    try:
        told = json.loads(bytes(receive(connection, length)))
        code, text = str(told["code"]), str(told["text"])
    except (ValueError, KeyError, TypeError) as error:
        raise EOFError from error
    raise ModelError(code, text)
