"""Where somebody speaks, and the form in which voices reach a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unmask.media.sound import Sound
from unmask.subject import Subject
from unmask.voices.neutral import LEVEL, RATE, band, level, neutral
from unmask.voices.speech import Cut, cut_segments, speech_of, speech_probability

STEP = 0.032
TIGHT = Cut(start=0.5, stop=0.3, shortest=0.25, gap=0.1, pad=0.0)


def tone(hertz: float, seconds: float = 2.0) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE).astype(np.float32)


def test_rumble_offset_and_the_highest_frequencies_are_taken_out() -> None:
    for hertz, share in ((40, 0.05), (1000, 1.0), (7950, 0.0)):
        kept = band(tone(hertz) + np.float32(0.3))[RATE // 2 : -RATE // 2]
        assert float(np.abs(kept).max()) == pytest.approx(share, abs=0.06), hertz


def test_the_level_is_the_same_for_loud_and_quiet_and_silence_stays_silent() -> None:
    quiet, loud = neutral(1e-3 * tone(500)), neutral(0.9 * tone(500))
    assert float(np.sqrt(np.mean(quiet**2))) == pytest.approx(LEVEL, rel=1e-3)
    assert np.allclose(quiet, loud, atol=1e-4)
    assert not level(np.zeros(RATE, np.float32)).any()


def test_a_clip_shorter_than_the_filter_is_left_as_it_is() -> None:
    assert band(np.ones(50, np.float32)).size == 50
    assert neutral(np.zeros(0, np.float32)).size == 0


def test_stretches_are_cut_with_hysteresis() -> None:
    probability = np.zeros(100, np.float32)
    probability[10:30] = 0.9
    probability[20:24] = 0.4  # above `stop`: no end
    probability[60:64] = 0.9  # too short
    assert cut_segments(probability, 3.2, TIGHT) == ((10 * STEP, 30 * STEP),)


def test_short_pauses_do_not_end_a_stretch_and_touching_stretches_are_joined() -> None:
    probability = np.full(100, 0.9, np.float32)
    probability[40:42] = 0.0
    assert cut_segments(probability, 3.2, TIGHT) == ((0.0, 3.2),)
    probability[40:50] = 0.0
    assert len(cut_segments(probability, 3.2, TIGHT)) == 2
    assert cut_segments(probability, 3.2, Cut(0.5, 0.3, 0.25, 0.1, 0.2)) == ((0.0, 3.2),)


def test_speech_is_found_where_it_is(examples: Path) -> None:
    voice = Subject(examples / "voice.flac").audio.mono(RATE)
    silence = np.zeros(3 * RATE, np.float32)
    speech = speech_of(Sound.of(np.concatenate([silence, voice, silence]), RATE))
    assert speech.seconds > 0.6 * voice.size / RATE
    assert all(2.7 < a < b < 3.3 + voice.size / RATE for a, b in speech.segments)
    assert speech.duration == pytest.approx(6 + voice.size / RATE)


def test_quiet_speech_is_speech_too(examples: Path) -> None:
    voice = Subject(examples / "voice.flac").audio.mono(RATE)
    quiet, usual = (speech_of(Sound.of(voice * np.float32(gain), RATE)).seconds for gain in (0.01, 1))
    assert quiet == pytest.approx(usual, abs=0.2)


def test_noise_and_tones_are_no_speech() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, 8 * RATE).astype(np.float32)
    chord = 0.1 * sum(tone(f, 8.0) for f in (220, 277, 330, 440))
    assert speech_of(Sound.of(noise, RATE)).seconds < 0.3
    assert speech_of(Sound.of(np.asarray(chord, np.float32), RATE)).seconds < 0.3


@pytest.mark.parametrize("samples", [0, 1, 511, 512, 513, 32 * 512 + 7])
def test_one_probability_for_each_step(samples: int) -> None:
    assert speech_probability(Sound.of(np.zeros(samples, np.float32), RATE)).shape == (-(-samples // 512),)


def test_the_state_is_carried_from_block_to_block(examples: Path) -> None:
    """Blocks begin at step 32: had the state been forgotten there, a reading that begins earlier would differ."""
    voice = np.tile(Subject(examples / "voice.flac").audio.mono(RATE), 2)[: 60 * 512]
    whole, later = speech_probability(Sound.of(voice, RATE)), speech_probability(Sound.of(voice[16 * 512 :], RATE))
    assert float(np.abs(whole[32:40] - later[16:24]).max()) < 0.05
