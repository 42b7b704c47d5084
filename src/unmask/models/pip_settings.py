"""pip's settings as far as they say where packages come from. pip itself is not needed."""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path


def pip_settings(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """``[global]`` of pip's settings, later files over earlier ones; a broken file is passed over as if not there."""
    out: dict[str, str] = {}
    for path in _config_files(environment):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, "utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
        if parser.has_section("global"):
            out |= dict(parser.items("global"))
    return out


def _config_files(environment: Mapping[str, str]) -> Iterator[Path]:
    """Where pip looks, in its order: machine, user, environment, and the file that is named."""
    home = Path(environment.get("HOME", "/nonexistent"))
    named = environment.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    yield Path("/etc/pip.conf")
    for folder in environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":"):
        yield Path(folder) / "pip" / "pip.conf"
    if sys.platform == "darwin":
        yield home / "Library" / "Application Support" / "pip" / "pip.conf"
    yield home / ".pip" / "pip.conf"
    yield Path(environment.get("XDG_CONFIG_HOME", home / ".config")) / "pip" / "pip.conf"
    yield Path(sys.prefix) / "pip.conf"
    if named:
        yield Path(named)


def certificates(environment: Mapping[str, str] = os.environ) -> str | None:
    """The file of certificate authorities that pip is told to trust, if any."""
    return environment.get("PIP_CERT") or environment.get("REQUESTS_CA_BUNDLE") or pip_settings(environment).get("cert")
