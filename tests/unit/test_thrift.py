"""In a disposable process the models of a film or a recording go with the detector that used them."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from unmask.card import Card, find_cards
from unmask.execution import work
from unmask.execution.contract import Examination, Job
from unmask.memory import give_back
from unmask.models import runtime
from unmask.models.store import find_model, reference_input
from unmask.options import Options
from unmask.report import Finding, SubjectInfo
from unmask.subject import Subject

VOICES = ("silero-vad-1", "speakers-1", "voice-synthetic-2")


def opened() -> set[str]:
    return {name for name, _ in runtime._sessions}


def examined(path: Path, thrifty: bool, only: str) -> Examination:
    job = Job(path=str(path), name=path.name, options=Options(only=(only,)))
    result = Examination(SubjectInfo(name=job.name))
    work.examine(job, result.take, thrifty=thrifty)
    return result


def test_a_closed_model_opens_again_and_who_uses_one_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_sessions", {})
    first = runtime.open_model("speakers-1")
    inputs = reference_input(find_model("speakers-1"))
    place = first.run(inputs)["place"]
    runtime.close_models()
    give_back()
    assert not opened()
    assert runtime.open_model("speakers-1") is not first
    assert np.array_equal(first.run(inputs)["place"], place)


def test_large_models_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    session = runtime.Session(find_model("speakers-1").model_copy(update={"keep": True}), None)
    monkeypatch.setattr(runtime, "_sessions", {("large", 1): session})
    runtime.close_models()
    assert opened() == {"large"}


def test_a_recording_gets_the_same_answer(examples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_sessions", {})
    usual = examined(examples / "voice.flac", thrifty=False, only="voice")
    assert opened() == set(VOICES)
    thrifty = examined(examples / "voice.flac", thrifty=True, only="voice")
    assert not opened()
    one, other = (r.findings["voice.synthetic"].model_copy(update={"seconds": 0}) for r in (usual, thrifty))
    assert one == other and one.status == "ok"


def test_of_pictures_all_stay_open(examples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_sessions", {})
    examined(examples / "dogs.jpg", thrifty=True, only="image.splice")
    assert opened()


def test_one_by_one_what_needs_no_faces_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order in which a film's detectors run; the report has them by id."""
    asked: list[str] = []
    cards = [card for card in find_cards() if "video" in card.kinds]

    def note(card: Card, subject: Subject, options: Options) -> Finding:
        asked.append(card.id)
        return card.declined("test.code", "Not asked.")

    monkeypatch.setattr(work, "run_one", note)
    job = Job(path="film.mp4", name="film.mp4", options=Options())
    work.run_all(cards, Subject(Path("film.mp4")), job, lambda message: None)
    assert sorted(asked) == sorted(card.id for card in cards)
    assert asked.index("voice.synthetic") < asked.index("face.swap") < asked.index("video.lipsync")
    assert asked.index("video.frames") < asked.index("face.swap")


@pytest.mark.parametrize(("seconds", "together"), [(60.0, 2), (3600.0, 1)])
def test_of_a_long_film_detectors_run_one_by_one(
    monkeypatch: pytest.MonkeyPatch, seconds: float, together: int
) -> None:
    """With two threads, two detectors of a short film meet; those of a long one never do."""
    meeting = threading.Barrier(2, timeout=0.5)
    met: list[bool] = []

    def note(card: Card, subject: Subject, options: Options) -> Finding:
        try:
            meeting.wait()
            met.append(True)
        except threading.BrokenBarrierError:
            met.append(False)
        return card.declined("test.code", "Not asked.")

    class Film:
        kind = "video"
        video = type("Video", (), {"duration": seconds})

    monkeypatch.setattr(work, "run_one", note)
    cards = [card for card in find_cards() if card.id in ("video.frames", "video.synthetic")]
    job = Job(path="film.mp4", name="film.mp4", options=Options(), threads=2)
    work.run_all(cards, Film(), job, lambda message: None)  # type: ignore[arg-type]
    assert met == [together == 2] * 2
