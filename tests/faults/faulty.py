"""Detectors that go wrong on purpose, installed the way a third party's detector is."""

from __future__ import annotations

from pathlib import Path

CARD = """
id = "faulty.{name}"
version = "1"
title = "Faulty {name}"
question = "Does the examination survive a detector that goes wrong?"
why = "It must."
innocent_causes = "None."
kinds = ["image"]
licence = "Apache-2.0"
scored = false
"""

HEAD = """
import os, signal, time
from unmask.card import read_card
from pathlib import Path
CARD = read_card(Path(__file__).parent, __name__)

def examine(subject, options):
"""

BODIES = {
    "abort": "    os.abort()",
    "deep": "    def f(): return f()\n    f()",
    "asks": "    from unmask.models.runtime import open_model\n"
    "    from unmask.models.store import reference_input\n"
    "    session = open_model('kept-1')\n"
    "    out = session.run(reference_input(session.card))\n"
    "    total = sum(abs(values).astype('float64').sum() for values in out.values())\n"
    "    return CARD.ok('fine', type(session).__name__, raw_score=float(total))",
    "exits": "    os._exit(9)",
    "good": "    time.sleep(0.2)\n    return CARD.ok('fine', 'Nothing seen.')",
    "hangs": "    while True:\n        time.sleep(1)",
    "infinite": "    return CARD.ok('fine', 'Not a number.', raw_score=float('nan'))",
    "memory": "    return CARD.ok('fine', str(len(bytearray(20 * 1024**3))))",
    "nonsense": "    return 0.5",
    "raises": "    raise ZeroDivisionError('secret path /root')",
    "segfault": "    import ctypes\n    ctypes.string_at(0)",
    "spins": "    while True:\n        pass",
    "writes": "    Path(os.environ.get('TMPDIR', '/tmp'), 'left-behind').write_bytes(b'x')\n"
    "    return CARD.ok('fine', os.environ['TMPDIR'])",
}


def install(folder: Path, *names: str) -> None:
    """Write a distribution with these faulty detectors into ``folder``, which then goes on the path."""
    package = folder / "faulty_detectors"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    points = ["[unmask.detectors]"]
    for name in names:
        home = package / name
        home.mkdir()
        (home / "__init__.py").write_text("")
        (home / "card.toml").write_text(CARD.format(name=name))
        (home / "detector.py").write_text(HEAD + BODIES[name] + "\n")
        points.append(f"{name} = faulty_detectors.{name}")
    info = folder / "faulty_detectors-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty-detectors\nVersion: 1\n")
    (info / "entry_points.txt").write_text("\n".join(points) + "\n")
