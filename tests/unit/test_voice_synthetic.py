"""`voice.synthetic`: which windows are judged, what they make together, and what is declined."""

from __future__ import annotations

import csv
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from unmask.detectors.voice_synthetic import detector, quoted
from unmask.detectors.voice_synthetic.detector import CARD, P, examine, pooled
from unmask.detectors.voice_synthetic.windows import Heard, by_second, held_speech, listen, places, strongest_run
from unmask.media.sound import Sound
from unmask.options import Options
from unmask.report import Finding
from unmask.subject import Subject
from unmask.voices import speech as activity
from unmask.voices.neutral import band, band_at
from unmask.voices.speech import RATE, Speech
from unmask.voices.words import Word, WordsError


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
    found = listen(Sound.of(np.tile(voice, 25), RATE), starts, 5)
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


# Words, and sound that is not as it should be --------------------------------------------------------------


def told(finding: Finding) -> dict[str, dict[str, object]]:
    return {e.title: dict(e.data or {}) for e in finding.evidence}


@pytest.fixture
def suspicious(voice: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A voice of some seconds, with a threshold so low that everything is a sign."""
    monkeypatch.setattr(detector, "P", {**P, "report_above": -50.0})
    return save(tmp_path / "a.wav", np.tile(voice, 3))


def test_words_of_a_suspicious_stretch_are_quoted_and_change_no_score(
    suspicious: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quoted, "transcriber", lambda: None)
    without = ask(suspicious)
    assert told(without)["Words spoken"]["value"] == "not read"
    heard_words = [Word(0.5, 0.9, " <b>send"), Word(1.0, 1.4, " money</b>\x1b")]
    monkeypatch.setattr(quoted, "transcriber", lambda: lambda waves, limit: [heard_words for _ in waves])
    finding = ask(suspicious)
    assert (finding.raw_score, finding.reason) == (without.raw_score, without.reason)
    assert told(finding)["Words spoken"]["segments"][0]["label"] == "“<b>send money</b>”"  # type: ignore[index]


def test_a_recogniser_that_fails_costs_the_words_alone(suspicious: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(waves: object, limit: float) -> list[list[Word]]:
        raise WordsError("It stopped.")

    monkeypatch.setattr(quoted, "transcriber", lambda: fails)
    finding = ask(suspicious)
    assert finding.status == "ok" and told(finding)["Words spoken"]["value"] == "not read"


def test_nothing_is_said_of_words_where_nothing_is_suspicious(examples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quoted, "transcriber", lambda: pytest.fail("asked"))
    assert "Words spoken" not in told(ask(examples / "voice.flac"))


def film(path: Path, picture: float, wave: np.ndarray | None) -> Path:
    """A grey film of ``picture`` seconds with this sound, (samples,) at 16 kHz."""
    with av.open(str(path), "w") as file:
        pictures = file.add_stream("mpeg4", rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 64, "yuv420p"
        sound = file.add_stream("aac", rate=RATE, layout="mono") if wave is not None else None
        for _ in range(round(picture * 10)):
            grey = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), format="rgb24")
            file.mux(pictures.encode(grey))
        file.mux(pictures.encode(None))
        if sound is not None and wave is not None:
            frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], format="fltp", layout="mono")
            frame.sample_rate = RATE
            file.mux(sound.encode(frame))
            file.mux(sound.encode(None))
    return path


def test_films_without_sound_and_with_sound_longer_than_the_picture(voice: np.ndarray, tmp_path: Path) -> None:
    silent = ask(film(tmp_path / "a.mp4", 1.0, None))
    assert (silent.status, silent.reason.code) == ("not_applicable", "audio.none")
    longer = ask(film(tmp_path / "b.mp4", 0.5, np.tile(voice, 3)))
    assert longer.status == "ok"
    segments = told(longer)["Speakers"]
    assert segments


def test_two_who_talk_at_once_and_music_between_speech_are_answered(voice: np.ndarray, tmp_path: Path) -> None:
    import soxr

    other = np.resize(soxr.resample(voice, RATE, RATE * 1.25), voice.size)  # another voice: faster and higher
    both = save(tmp_path / "a.wav", 0.5 * np.tile(voice + other, 3))
    assert ask(both).status in ("ok", "declined")
    t = np.arange(4 * RATE) / RATE
    music = 0.1 * sum(np.sin(2 * np.pi * f * t) for f in (220, 277, 330))
    finding = ask(save(tmp_path / "b.wav", np.concatenate([np.tile(voice, 2), music, np.tile(voice, 2)])))
    assert finding.status == "ok"
    curve = next(e for e in finding.evidence if e.kind == "plot" and e.data is not None)
    middle = 2 * voice.size / RATE + 2
    assert curve.data is not None and not [x for x in curve.data["x"] if middle - 0.9 < float(x) < middle]  # type: ignore[union-attr,arg-type]


@pytest.mark.parametrize("first", [0, 900, 70_000, 159_000])
def test_a_window_filtered_by_itself_is_that_of_the_whole_recording(first: int) -> None:
    sound = np.random.default_rng(5).normal(0.02, 0.1, 160_000).astype(np.float32)
    part = band_at(sound, first, 32_000, float(sound.mean()))
    assert part.size == min(32_000, sound.size - first)
    assert np.abs(part - band(sound)[first : first + 32_000]).max() < 1e-5


def test_speech_is_the_same_in_pieces() -> None:
    """What the detector of voice activity reads: each step with the 64 samples before it, silence outside."""
    sound = np.random.default_rng(6).normal(0, 0.1, 40 * 512 + 77).astype(np.float32)
    padded = np.concatenate([np.zeros(64, np.float32), sound, np.zeros(64 * 512, np.float32)])
    blocks = list(activity._frames(Sound.of(sound, RATE), np.float32(1)))
    assert len(blocks) == 2
    for block, frames in enumerate(blocks):
        for i in range(32):
            start = (32 * block + i) * 512
            assert np.array_equal(frames[i], padded[start : start + 576])
