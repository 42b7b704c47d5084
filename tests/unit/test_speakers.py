"""Speaker turns: one voice is one speaker, two plain ones are two, and changes lie in pauses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from unmask.detectors.voice_synthetic.detector import P
from unmask.detectors.voice_synthetic.turns import lanes, strength, strongest, whose
from unmask.detectors.voice_synthetic.windows import Heard, listen, places
from unmask.media.sound import Sound
from unmask.subject import Subject
from unmask.voices.speakers import Rules, Turn, grouped, turns_of
from unmask.voices.speech import RATE, STEP, Speech

RULES = Rules.of(P)


def voices(labels: list[int], noise: float = 0.0, seed: int = 1) -> np.ndarray:
    """(n, 64) places: an axis a speaker and noise of that length."""
    rng = np.random.default_rng(seed)
    out = np.eye(64)[labels] + noise * rng.normal(0, 1 / 8, (len(labels), 64))
    return np.asarray(out / np.linalg.norm(out, axis=1, keepdims=True))


def spoken(segments: list[tuple[float, float]], duration: float) -> Speech:
    times = np.arange(int(duration * RATE / STEP)) * STEP / RATE
    on = np.zeros(times.size, np.float32)
    for a, b in segments:
        on[(times >= a) & (times < b)] = 1
    return Speech(on, tuple(segments), duration)


def heard(score: list[float], labels: list[int]) -> Heard:
    n = len(score)
    return Heard(np.arange(n, dtype=float), np.asarray(score, float), np.zeros(n), n, voices(labels))


@pytest.mark.parametrize("noise", [0.0, 0.6, 0.9])
def test_one_voice_is_one_speaker(noise: float) -> None:
    assert set(grouped(voices([0] * 40, noise), RULES).tolist()) == {0}


def test_two_voices_are_two_and_come_in_the_order_of_their_first_words() -> None:
    speech = spoken([(0.0, 6.6), (7.4, 14.0), (14.6, 20.0)], 20.0)
    labels = [5] * 6 + [3] * 7 + [5] * 6
    found = turns_of(np.arange(19.0), voices(labels, 0.5), speech, RULES)
    assert [t.speaker for t in found] == [0, 1, 0]
    assert (found[0].start, found[0].end) == (0.0, pytest.approx(6.6, abs=0.1))
    assert found[1].start == pytest.approx(7.4, abs=0.1)


def test_a_change_lies_in_the_pause_between_the_windows() -> None:
    speech = spoken([(0.0, 6.2), (6.7, 12.0)], 12.0)
    found = turns_of(np.arange(11.0), voices([0] * 5 + [1] * 6, 0.3), speech, RULES)
    assert [(round(t.start, 1), round(t.end, 1)) for t in found] == [(0.0, 6.2), (6.7, 12.0)]


def test_single_windows_and_too_few_make_no_speaker() -> None:
    one_odd = [0] * 10 + [1] + [0] * 10
    assert set(grouped(voices(one_odd), RULES).tolist()) == {0}
    assert set(grouped(voices([0, 0, 1, 1]), RULES).tolist()) == {0}
    assert turns_of(np.zeros(0), np.zeros((0, 64)), spoken([], 1.0), RULES) == ()


def test_there_are_never_more_than_the_rules_allow() -> None:
    labels = [i for i in range(12) for _ in range(6)]
    assert len(set(grouped(voices(labels), RULES).tolist())) <= RULES.most
    assert len(set(grouped(voices(labels), replace(RULES, most=3)).tolist())) <= 3


def test_a_long_silence_ends_a_turn_and_turns_hold_speech_alone() -> None:
    speech = spoken([(0.0, 3.0), (3.5, 5.0), (12.0, 15.0)], 15.0)
    found = turns_of(np.asarray([0.0, 1, 2, 3, 12, 13]), voices([0] * 6), speech, RULES)
    assert [(t.start, t.end) for t in found] == [(0.0, 5.0), (12.0, 15.0)]


def test_an_hour_is_answered_in_time() -> None:
    import time

    starts = np.linspace(0, 3598, 900)
    speech = spoken([(0.0, 3600.0)], 3600.0)
    begun = time.process_time()
    found = turns_of(starts, voices([0] * 450 + [1] * 450, 0.8), speech, RULES)
    assert [t.speaker for t in found] == [0, 1]
    assert time.process_time() - begun < 2


def test_a_turn_has_its_mean_and_its_lane() -> None:
    sound = heard([-3.0] * 6 + [6.0] * 6, [0] * 6 + [1] * 6)
    found = turns_of(sound.starts, sound.places, spoken([(0.0, 6.5), (7.0, 13.0)], 13.0), RULES)
    shown, count = lanes(found, sound, 3.0)
    assert shown.data is not None and count.data is not None
    rows = shown.data["segments"]
    assert [row["lane"] for row in rows] == ["Speaker 1", "Speaker 2"]
    assert "sign" not in rows[0] and rows[1]["sign"] and rows[1]["score"] == pytest.approx(6.0)
    assert count.data["value"] == 2
    assert whose(found, 8.0, 11.0) == "Speaker 2"
    most = strongest(found, sound)
    assert most is not None and most[0] == "Speaker 2"


def test_one_speaker_is_not_named_and_a_short_turn_has_no_value() -> None:
    sound = heard([1.0] * 4, [0] * 4)
    found = (Turn(0.0, 5.0, 0), Turn(5.1, 5.3, 0))
    assert whose(found, 0, 5) == "" and strongest(found, sound) is None
    assert strength(found[1], sound) is None
    assert lanes((), sound, 3.0) == []


def test_a_real_voice_said_four_times_is_one_speaker(examples: Path) -> None:
    wave = np.tile(Subject(examples / "voice.flac").audio.mono(RATE), 4)
    speech = spoken([(0.0, wave.size / RATE)], wave.size / RATE)
    sound = listen(Sound.of(wave, RATE), places(speech, 1.0), 100)
    assert sound.places.shape == (sound.starts.size, 64)
    assert np.linalg.norm(sound.places, axis=1) == pytest.approx(1, abs=1e-3)
    assert len({t.speaker for t in turns_of(sound.starts, sound.places, speech, RULES)}) == 1
