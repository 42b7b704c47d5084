"""Sound that is read in blocks: every user of it must give the same numbers as for an array."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from unmask.detectors.audio_splice import hum
from unmask.detectors.audio_splice.detector import CARD
from unmask.detectors.audio_splice.hum import find_hum
from unmask.detectors.audio_splice.traces import bandwidth, loudness_blocks, mute_edges
from unmask.detectors.audio_splice.width import follow_width
from unmask.detectors.voice_synthetic.windows import listen
from unmask.media.sound import Constant, Sound, cuts
from unmask.subject import Subject
from unmask.voices.speech import RATE, speech_of


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * RATE)).astype(np.float32)


def in_blocks(wave: np.ndarray, seed: int = 1, most: int = 60_000) -> Sound:
    """The same sound, read in blocks of odd sizes, some of them empty."""

    def read() -> Iterator[np.ndarray]:
        rng, at = np.random.default_rng(seed), 0
        while at < wave.size:
            size = int(rng.integers(0, most))
            yield wave[at : at + size]
            at += size

    return Sound(RATE, wave.size, read)


def test_cuts_and_pieces_are_those_of_the_array() -> None:
    wave = noise(9.03)
    for sound in (Sound.of(wave, RATE), in_blocks(wave), in_blocks(wave, most=50)):
        spans = [(-3, 40), (5, 5), (7, 9000), (2000, 100_000), (2000, 2001), (99_000, 10**9), (10**8, 10**9)]
        for got, (first, last) in zip(sound.cuts(spans), spans, strict=True):
            assert np.array_equal(got, wave[max(0, first) : last])
        pieces = list(sound.pieces(1000, before=64, after=300))
        assert len(pieces) == -(-wave.size // 1000)
        assert all(np.array_equal(p, wave[max(0, 1000 * i - 64) : 1000 * i + 1300]) for i, p in enumerate(pieces))
        assert np.array_equal(sound.head(70_000), wave[:70_000])
        assert sound.first(99) is sound and sound.first(2).size == 2 * RATE
        assert np.array_equal(sound.first(2).head(RATE * 9), wave[: 2 * RATE])


def test_cuts_hold_no_more_than_they_need() -> None:
    alive: list[int] = []

    class Block(np.ndarray):
        def __del__(self) -> None:
            alive[0] -= self.base is None

    def read() -> Iterator[np.ndarray]:
        for _ in range(100):
            alive[0] += 1
            yield Block(1000, np.float32)

    alive.append(0)
    found = [alive[0] for _ in cuts(read(), [(i * 777, i * 777 + 1500) for i in range(120)])]
    assert max(found) <= 4


@pytest.mark.parametrize("wave", [np.zeros(0, np.float32), noise(0.05), noise(31.77)])
def test_level_and_loudness(wave: np.ndarray) -> None:
    level, apart = Sound.of(wave, RATE).level, in_blocks(wave).level
    assert (level.size, level.peak, level.mean) == (apart.size, apart.peak, apart.mean)
    assert np.array_equal(level.power, apart.power) and level.power.size == wave.size // 1600
    assert level.size == wave.size and level.peak == np.abs(wave).max(initial=0)
    assert np.array_equal(loudness_blocks(Sound.of(wave, RATE)), loudness_blocks(in_blocks(wave)))
    assert loudness_blocks(in_blocks(wave)).size == wave.size // 800


def test_empty_sound() -> None:
    sound = in_blocks(np.zeros(0, np.float32))
    assert list(sound.pieces(100)) == [] and sound.head(5).size == 0
    assert [c.size for c in sound.cuts([(0, 5)])] == [0]
    assert bandwidth(sound) is None and speech_of(sound).segments == ()


@pytest.mark.parametrize("seed", range(5))
def test_constant_stretches_over_the_edges_of_blocks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    stereo = rng.integers(0, 2, (2, 5000)).astype(np.float32)
    for _ in range(12):
        at = int(rng.integers(0, 5000))
        stereo[:, at : at + int(rng.integers(1, 400))] = 0.5
    whole, parts = Constant(), Constant()
    whole.take(stereo)
    for part in np.split(stereo, np.sort(rng.integers(0, 5000, 40)), axis=1):
        parts.take(part)
    runs = whole.runs(20)
    assert runs == parts.runs(20) and runs
    for first, last in runs:
        inside = stereo[:, first:last]
        assert last - first > 20 and (inside == inside[:, :1]).all()
        assert first == 0 or (stereo[:, first - 1] != stereo[:, first]).any()
        assert last == 5000 or (stereo[:, last] != stereo[:, last - 1]).any()
    assert Constant().runs(1) == []


def test_mutes_near_one_another() -> None:
    native = noise(2)[None].copy()
    runs = [(0.0, 0.1), (0.5, 0.6), (0.602, 0.7), (1.9, 2.0)]
    for start, end in runs:
        native[:, round(start * RATE) : round(end * RATE)] = 0
    p = CARD.parameters
    found = mute_edges(runs, iter([native[:, :8500], native[:, 8500:]]), RATE, p)
    # Two milliseconds between two of them are loud for less than half of what is looked at, but loud enough.
    assert found == [0.1, 0.5, 0.6, 0.602, 0.7, 1.9]
    assert mute_edges([], iter([native]), RATE, p) == []


def test_width_and_bandwidth_in_blocks() -> None:
    wave = noise(70)
    width, apart = (follow_width(s, CARD.parameters) for s in (Sound.of(wave, RATE), in_blocks(wave)))
    assert width is not None and apart is not None
    assert np.array_equal(width.limit, apart.limit, equal_nan=True) and width.limit.size > 500
    assert (width.joins, width.low, width.high) == (apart.joins, apart.low, apart.high)
    one, other = bandwidth(Sound.of(wave, RATE)), bandwidth(in_blocks(wave))
    assert one is not None and other is not None
    assert one.cut_off == other.cut_off and np.array_equal(one.levels, other.levels)


def test_hum_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    t = np.arange(70_000) / hum.RATE
    rng = np.random.default_rng(2)
    wave = (0.01 * np.sin(2 * np.pi * 50.03 * t + (t > 40)) + rng.normal(0, 1e-4, t.size)).astype(np.float32)
    size, near = 1 << 17, np.arange(6400, 6700)
    whole = np.fft.rfft(wave * np.hanning(wave.size), size)[near]
    for part in (1 << 17, 1 << 13, 1 << 10):
        monkeypatch.setattr(hum, "_PART", part)
        assert np.abs(hum._spectrum(wave, size, near) - whole).max() < 1e-9 * np.abs(whole).max()
    found = find_hum(wave, CARD.parameters)
    monkeypatch.setattr(hum, "_PART", 1 << 17)
    monkeypatch.setattr(hum, "_ROWS", 10**6)
    again = find_hum(wave, CARD.parameters)
    assert found is not None and again is not None
    assert (found.frequency, found.margin, found.breaks) == (again.frequency, again.margin, again.breaks)
    assert np.array_equal(found.phase, again.phase) and len(found.breaks) == 1


def test_a_voice_in_blocks(examples: Path) -> None:
    wave = np.tile(Subject(examples / "voice.flac").audio.mono(RATE), 3)
    held, apart = Sound.of(wave, RATE), in_blocks(wave)
    speech = speech_of(held)
    assert np.array_equal(speech.probability, speech_of(apart).probability) and speech.seconds > 1
    starts = np.array([0.0, 0.3, 1.7, wave.size / RATE - 2])
    one, other = (listen(sound, starts, 9) for sound in (held, apart))
    assert np.array_equal(one.score, other.score) and np.array_equal(one.places, other.places)
