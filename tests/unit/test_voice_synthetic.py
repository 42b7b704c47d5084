"""`voice.synthetic`: which windows are judged, what they make together, and what is declined."""

from __future__ import annotations

import csv
import wave
from pathlib import Path

import numpy as np
import pytest

from unmask.detectors.voice_synthetic import detector
from unmask.detectors.voice_synthetic.detector import CARD, P, examine, pooled
from unmask.detectors.voice_synthetic.windows import Heard, by_second, held_speech, listen, places, strongest_run
from unmask.options import Options
from unmask.report import Finding
from unmask.subject import Subject
from unmask.voices.speech import RATE, Speech


def spoken(segments: list[tuple[float, float]], duration: float) -> Speech:
    return Speech(np.ones(int(duration / 0.032), np.float32), tuple(segments), duration)


def heard(score: list[float], starts: list[float] | None = None) -> Heard:
    at = np.arange(len(score), dtype=float) if starts is None else np.asarray(starts)
    return Heard(at, np.asarray(score, float), np.zeros(len(score)), len(score))


def save(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def ask(path: Path) -> Finding:
    return examine(Subject(path), Options())


@pytest.fixture
def voice(examples: Path) -> np.ndarray:
    return Subject(examples / "voice.flac").audio.mono(RATE)


def test_speech_in_a_window_is_counted_in_seconds() -> None:
    speech = spoken([(1.0, 2.5), (4.0, 4.5)], 8.0)
    found = held_speech(speech, np.asarray([0.0, 1.0, 2.0, 3.0, 5.0]))
    assert found.tolist() == pytest.approx([1.0, 1.5, 0.5, 0.5, 0.0])


def test_windows_lie_over_speech_only_and_reach_the_end() -> None:
    speech = spoken([(0.0, 3.0), (8.0, 10.3)], 10.3)
    assert places(speech, 1.0).tolist() == pytest.approx([0.0, 1.0, 2.0, 7.0, 8.0, 8.3])


def test_where_no_window_is_full_the_fullest_is_taken() -> None:
    assert places(spoken([(3.0, 3.6), (6.0, 6.9)], 9.0), 1.0).tolist() == [5.0]
    assert places(spoken([(0.0, 1.6)], 1.6), 1.0).tolist() == [0.0]


def test_too_many_windows_are_thinned_evenly(voice: np.ndarray) -> None:
    starts = np.arange(0.0, 40.0)
    found = listen(np.tile(voice, 25), starts, 5)
    assert found.starts.tolist() == [0.0, 9.0, 19.0, 29.0, 39.0]
    assert found.asked == 40 and found.score.shape == found.distance.shape == (5,)


def test_a_second_has_the_mean_of_the_windows_over_it() -> None:
    times, values = by_second(heard([1.0, 3.0, 5.0], [0.0, 1.0, 5.0]))
    assert times.tolist() == [0, 1, 2, 5, 6]
    assert values.tolist() == [1.0, 2.0, 3.0, 5.0, 5.0]


def test_the_whole_counts_where_it_is_even_and_the_part_where_it_stands_out() -> None:
    whole, part = pooled(heard([2.0] * 10))
    assert whole == 2.0 and part == pytest.approx(2.0 - P["part_margin"])
    whole, part = pooled(heard([-3.0] * 10 + [6.0] * 4))
    assert part == pytest.approx(6.0 - P["part_margin"]) and part > whole
    assert pooled(heard([1.0, 9.0]))[1] == -np.inf
    assert strongest_run(np.asarray([1.0, 2.0]), 3) == 1.5


def test_a_single_window_that_errs_does_not_make_a_part() -> None:
    whole, part = pooled(heard([-3.0] * 10 + [4.0] + [-3.0] * 10))
    assert max(whole, part) < 0


@pytest.mark.parametrize(
    ("samples", "code"),
    [
        (np.zeros(5 * RATE), "voice.silent"),
        (np.random.default_rng(1).normal(0, 0.1, 5 * RATE), "voice.no_speech"),
        (np.sin(np.arange(5 * RATE) * 0.2) * (np.arange(5 * RATE) % 8000 < 6000), "voice.no_speech"),
        (np.zeros(RATE), "voice.too_short"),
    ],
    ids=["silence", "noise", "beeps", "short"],
)
def test_what_is_no_speech_is_declined(samples: np.ndarray, code: str, tmp_path: Path) -> None:
    finding = ask(save(tmp_path / "a.wav", samples))
    assert (finding.status, finding.reason.code, finding.raw_score) == ("declined", code, None)


def test_a_word_in_a_long_silence_is_too_little_speech(voice: np.ndarray, tmp_path: Path) -> None:
    samples = np.concatenate([np.zeros(3 * RATE), voice[: int(0.8 * RATE)], np.zeros(3 * RATE)])
    assert ask(save(tmp_path / "a.wav", samples)).reason.code == "voice.too_little_speech"


def test_a_recorded_voice_is_answered_with_its_course(examples: Path) -> None:
    finding = ask(examples / "voice.flac")
    assert finding.status == "ok" and finding.reason.code == "voice.none"
    assert finding.raw_score is not None and finding.raw_score < P["report_above"]
    assert {"plot", "fact"} <= {e.kind for e in finding.evidence}


def test_the_telephone_band_is_answered(voice: np.ndarray, tmp_path: Path) -> None:
    import soxr

    narrow = soxr.resample(np.tile(voice, 3), RATE, 8000)
    assert ask(save(tmp_path / "a.wav", narrow, 8000)).status == "ok"


def test_loudness_does_not_matter(voice: np.ndarray, tmp_path: Path) -> None:
    loud, quiet = (ask(save(tmp_path / f"{g}.wav", np.tile(voice, 2) * g)) for g in (0.9, 0.09))
    assert loud.raw_score == pytest.approx(quiet.raw_score, abs=0.3)


def test_a_film_without_sound_is_not_asked(examples: Path) -> None:
    assert ask(examples / "pan.mp4").status in ("not_applicable", "declined")


def test_a_voice_unlike_the_training_material_gets_no_score(
    voice: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector, "P", {**P, "drift_limit": 0.0})
    finding = ask(save(tmp_path / "a.wav", np.tile(voice, 2)))
    assert (finding.status, finding.reason.code) == ("declined", "drift.unlike_training")
    assert finding.evidence


def test_limits_are_told(voice: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector, "P", {**P, "most_windows": 4})
    finding = ask(save(tmp_path / "a.wav", np.tile(voice, 6)))
    told = {e.title: e.data for e in finding.evidence if e.kind == "fact"}
    assert str(told["Windows"]["value"]).startswith("4 of ")


def test_kit_voices_are_ordered(kit: Path) -> None:
    """Not a measure of quality (the network has trained on them): the whole way from file to score works."""
    with (kit / "manifest-audio.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[::60]
    raws: dict[str, list[float]] = {"real": [], "fake": []}
    for row in rows:
        finding = ask(kit / row["path"])
        if finding.raw_score is not None:
            raws[row["label"]].append(finding.raw_score)
    above = np.asarray(raws["fake"])[:, None] > np.asarray(raws["real"])[None]
    assert min(map(len, raws.values())) >= 12
    assert above.mean() > 0.85
    assert CARD.calibration is not None or CARD.strata
