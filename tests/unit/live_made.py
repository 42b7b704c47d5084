"""Streams on loopback for the tests of live watching: MPEG-TS over TCP, files over HTTP, RTSP with MPEG-TS inside."""

from __future__ import annotations

import contextlib
import functools
import http.server
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from faces_made import scene
from media_made import write_film

from unmask.detectors.face_swap.faces import FaceScore
from unmask.faces.face import Face
from unmask.live.settings import LiveSettings, read_settings

TS = 188


def quick_settings(**windows: float) -> LiveSettings:
    """The packaged settings with windows short enough for a test."""
    settings = read_settings()
    short = {"swap_seconds": 1.0, "swap_least": 2, "synthetic_seconds": 2.0, "synthetic_least": 2} | windows
    return settings.model_copy(update={"windows": settings.windows.model_copy(update=short)})


def steady_network(monkeypatch: pytest.MonkeyPatch, score: float) -> None:
    """face.swap's network answers ``score`` for every face: it does not know drawn ones."""

    def answer(_rgb: np.ndarray, faces: list[Face]) -> list[FaceScore]:
        return [FaceScore(face, score, np.zeros((10, 10), np.float32), 0.5) for face in faces]

    monkeypatch.setattr("unmask.live.looks.score_faces", answer)


def talk(count: int, side: int = 180, size: tuple[int, int] = (240, 320)) -> list[np.ndarray]:
    """Frames with one drawn face that sways a little, with noise."""
    rng = np.random.default_rng(11)
    frames = []
    for i in range(count):
        x = 70 + round(6 * np.sin(i / 7))
        picture = scene((x, 30, side), size=size).astype(np.int16)
        frames.append(np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).astype(np.uint8))
    return frames


def ts_film(path: Path, seconds: float = 4.0, fps: int = 10) -> Path:
    """A film as MPEG-TS with a key frame each second."""
    return write_film(path, talk(int(seconds * fps)), fps=fps, gop=fps)


@contextlib.contextmanager
def serve(handle: Callable[[socket.socket, int], None]) -> Iterator[int]:
    """A TCP server on a free port; ``handle`` gets each connection and its number."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.2)
    over = threading.Event()

    def accept() -> None:
        number = 0
        while not over.is_set():
            try:
                connection, _ = server.accept()
            except OSError:
                continue
            number += 1
            with connection, contextlib.suppress(OSError):
                handle(connection, number)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        over.set()
        server.close()
        thread.join(2)


def send_slowly(connection: socket.socket, data: bytes, seconds: float) -> None:
    """All of ``data`` in about so many seconds, as a live sender does."""
    size = max(TS, len(data) // 40 // TS * TS)
    parts = [data[i : i + size] for i in range(0, len(data), size)]
    for part in parts:
        connection.sendall(part)
        time.sleep(seconds / len(parts))


@contextlib.contextmanager
def http_folder(folder: Path) -> Iterator[str]:
    """A folder over HTTP; its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def rtsp(data: bytes, seconds: float) -> Callable[[socket.socket, int], None]:
    """A handler for `serve` that speaks as much RTSP (RFC 2326) as a player needs: RTP over its TCP connection,
    with MPEG-TS as payload type 33 (RFC 2250).
    """

    def handle(connection: socket.socket, _number: int) -> None:
        file = connection.makefile("rb")
        while True:
            request = _request(file)
            if request is None:
                return
            method, number = request
            body, more = b"", ""
            if method == "DESCRIBE":
                body = b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:t\r\n"
                more = "Content-Type: application/sdp\r\n"
            elif method == "SETUP":
                more = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
            elif method == "OPTIONS":
                more = "Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
            head = f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\nSession: 7\r\n{more}Content-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            if method == "PLAY":
                _rtp(connection, data, seconds)
                return

    return handle


def _request(file: object) -> tuple[str, str] | None:
    lines = []
    while True:
        line = file.readline().decode("latin-1").strip()  # type: ignore[attr-defined]
        if not line:
            break
        lines.append(line)
    if not lines:
        return None
    number = next((x.split(":")[1].strip() for x in lines if x.lower().startswith("cseq")), "0")
    return lines[0].split()[0], number


def _rtp(connection: socket.socket, data: bytes, seconds: float) -> None:
    size, chance = 7 * TS, random.Random(1)
    source = chance.getrandbits(32)
    parts = [data[i : i + size] for i in range(0, len(data), size)]
    for i, part in enumerate(parts):
        stamp = int(i / len(parts) * seconds * 90000)
        packet = struct.pack(">BBHII", 0x80, 33, i & 0xFFFF, stamp, source) + part
        connection.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
        time.sleep(seconds / len(parts))
