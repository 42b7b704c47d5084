"""What holds for the package as a whole."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
PRODUCT = sorted((SOURCE / "unmask").rglob("*.py"))
ALL = sorted(SOURCE.rglob("*.py"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


def test_import_is_light() -> None:
    code = "import sys, unmask; print(*sorted(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "unmask" in out
    assert not {"numpy", "openvino", "av", "cv2", "scipy", "PIL", "rich", "typer", "jinja2", "torch"} & set(out)


def test_import_starts_no_threads_and_sets_up_no_logging() -> None:
    code = "import threading, logging, unmask; print(threading.active_count(), len(logging.getLogger().handlers))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["1", "0"]


def test_product_never_imports_the_lab_or_torch() -> None:
    for path in PRODUCT:
        assert not imported(path) & {"unmask_lab", "torch", "timm", "onnxruntime", "pyexiv2", "requests"}, path


def test_product_asks_for_no_gpl_encoder() -> None:
    for path in PRODUCT:
        assert not re.search(r"x264|x265|libxvid", path.read_text("utf-8").replace("x264 ", "")) or (
            "container" in path.parent.name or "provenance" in path.parts
        ), f"{path} names a GPL encoder"


def test_product_opens_no_file_for_encoding_with_av() -> None:
    for path in PRODUCT:
        # FFmpeg's own Motion JPEG (LGPL) keeps what comes uncoded from a camera or a screen; every build has it.
        text = path.read_text("utf-8").replace('add_stream("mjpeg"', "")
        text = text.replace('CodecContext.create("mjpeg"', "")
        assert "add_stream(" not in text and "CodecContext.create" not in text.replace('"r")', ""), path


def test_library_does_not_print_or_exit() -> None:
    for path in PRODUCT:
        if "cli" in path.parts or path.name == "worker.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert name not in ("print", "sys.exit", "exit", "quit"), f"{path}:{node.lineno}"


@pytest.mark.parametrize("path", ALL, ids=[str(p.relative_to(SOURCE)) for p in ALL])
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 500


def test_every_error_is_drawn_in_the_tree_and_documented() -> None:
    from unmask import errors

    document = (SOURCE.parent / "docs" / "errors.md").read_text("utf-8")
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, errors.UnmaskError):
            assert name in (errors.__doc__ or ""), f"{name} is not in the tree"
            assert name in document, f"{name} is not in docs/errors.md"
    for code in errors.ExitCode:
        assert f"| {int(code)} |" in document, f"exit code {int(code)} is not in docs/errors.md"
