"""What is imported before a child is forked: for a picture nothing that only sound needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import sys
from unmask.execution import work
work.preload()
work.preload_for(sys.argv[1])
print("scipy.signal" in sys.modules, "scipy.cluster.hierarchy" in sys.modules)
"""


@pytest.mark.parametrize(("name", "sound"), [("a.JPG", False), ("a.webp", False), ("a.mp4", True), ("a", True)])
def test_a_picture_does_not_wait_for_what_sound_needs(name: str, sound: bool) -> None:
    done = subprocess.run([sys.executable, "-c", CODE, name], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(sound)] * 2
