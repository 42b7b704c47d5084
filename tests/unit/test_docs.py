"""The documents keep up with the code."""

from __future__ import annotations

import re
from pathlib import Path

import typer

from unmask.card import find_cards
from unmask.cli.main import app
from unmask_lab.detectors_page import page

ROOT = Path(__file__).parents[2]


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_detectors_page_is_written_from_the_cards() -> None:
    own = tuple(c for c in find_cards() if c.module.startswith("unmask.detectors."))
    assert read("docs/detectors.md") == page(own), "run `make docs`"


def below(command: object) -> dict[str, object]:
    """The commands of a group."""
    return dict(getattr(command, "commands", {}))


def test_every_option_is_documented() -> None:
    words = read("README.md") + read("docs/errors.md") + read("docs/usage.md")
    commands = dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    commands |= {f"{group} {name}": c for group in list(commands) for name, c in below(commands[group]).items()}
    for name, command in commands.items():
        assert f"unmask {name}" in words, f"the command {name} is in no document"
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("--") and option != "--help":
                    assert option in words, f"{name} {option} is in no document"


def test_reason_codes_of_the_core_are_documented() -> None:
    text = read("docs/errors.md")
    core = [
        *(ROOT / "src/unmask").glob("*.py"),
        *(ROOT / "src/unmask/execution").glob("*.py"),
        *(ROOT / "src/unmask/media").glob("*.py"),
    ]
    for path in core:
        for code in re.findall(r'"((?:media|limit|subject|worker|detector)\.[a-z_]+)"', path.read_text("utf-8")):
            if code.endswith(".jpg") or code == "media.reader":
                continue  # a file's name; the finding that carries these codes
            assert code in text, f"{code} ({path.name}) is not in docs/errors.md"


def test_reason_codes_of_models_are_documented() -> None:
    text = read("docs/models.md")
    for path in (ROOT / "src/unmask/models").glob("*.py"):
        for code in re.findall(r'"(model\.[a-z_]+)"', path.read_text("utf-8")):
            assert code == "model.toml" or code in text, f"{code} ({path.name}) is not in docs/models.md"


def test_links_in_documents_lead_somewhere() -> None:
    for document in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "SECURITY.md",
        *(ROOT / "docs").rglob("*.md"),
    ]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text("utf-8")):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_no_document_says_authentic_of_a_file() -> None:
    for document in (ROOT / "docs").rglob("*.md"):
        for line in document.read_text("utf-8").splitlines():
            assert not re.search(r"\b(is|are|was|were) authentic\b", line), f"{document.name}: {line}"
