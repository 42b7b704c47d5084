"""``audio.splice`` on sound made here, and on the kit's recordings joined here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from media_made import RATE, encode_sound, pan, write_film, write_wav
from numpy.typing import NDArray
from scipy import signal

from unmask.detectors.audio_splice.copies import correlation
from unmask.detectors.audio_splice.detector import CARD, examine
from unmask.detectors.audio_splice.hum import find_hum
from unmask.detectors.audio_splice.traces import bandwidth, bandwidth_story, silent_runs
from unmask.media.sound import Constant, Sound
from unmask.options import Options
from unmask.report import Finding
from unmask.subject import Subject

Wave = NDArray[np.floating]
CODECS = [("a.mp3", "libmp3lame", 64000), ("b.mp3", "libmp3lame", 128000), ("a.ogg", "libopus", 24000)]
CODECS += [("a.m4a", "aac", 48000), ("a.wav", "pcm_mulaw", 0)]


def speech(seconds: float, seed: int = 0, noise: float = 0.002) -> Wave:
    """Something like a voice: pulses at a wandering pitch through wandering resonances, with pauses and noise."""
    rng = np.random.default_rng(seed)
    n = int(seconds * RATE)
    pitch = 120 * 2 ** (0.4 * signal.lfilter([1e-4], [1, -0.9999], rng.normal(0, 60, n)))
    phase = np.cumsum(pitch) / RATE
    source = np.diff(np.floor(phase), prepend=0) * 3 + rng.normal(0, 0.08, n)
    out = np.zeros(n)
    length = RATE // 8
    for start in range(0, n, length):
        if rng.random() < 0.25:
            continue
        part = source[start : start + length]
        for centre in (rng.uniform(300, 800), rng.uniform(900, 2300), rng.uniform(2400, 3600), rng.uniform(4500, 6500)):
            b, a = signal.iirpeak(centre, 6, fs=RATE)
            out[start : start + part.size] += signal.lfilter(b, a, part) * np.hanning(part.size)
    return (0.1 * out / np.abs(out).max() * 4).clip(-0.95, 0.95) + rng.normal(0, noise, n)


def look(path: Path) -> Finding:
    finding = examine(Subject(path), Options())
    assert finding.detector == "audio.splice"
    return finding


def clips(kit: Path, count: int) -> list[Wave]:
    """Two-second clips of that many sources."""
    found = []
    for folder in sorted((kit / "audio" / "real").iterdir()):
        wave = Subject(sorted(folder.glob("*.flac"))[0]).audio.mono()
        if wave.size >= 2 * RATE and np.abs(wave).max() < 0.99:
            found.append(wave[: 2 * RATE] * (0.05 / np.sqrt(np.mean(wave**2))))
        if len(found) == count:
            break
    return found


def raw(finding: Finding) -> float:
    assert finding.raw_score is not None
    return finding.raw_score


def test_made_speech_is_quiet(tmp_path: Path) -> None:
    finding = look(write_wav(tmp_path / "a.wav", speech(12)))
    assert finding.status == "ok"
    assert raw(finding) == 0


@pytest.mark.parametrize(("name", "codec", "bit_rate"), CODECS)
def test_copied_word_survives_codecs(tmp_path: Path, name: str, codec: str, bit_rate: int) -> None:
    wave = speech(10, 1)
    forged = wave.copy()
    forged[7 * RATE : 7 * RATE + 12000] = wave[2 * RATE : 2 * RATE + 12000]
    rate = 8000 if codec == "pcm_mulaw" else RATE
    if rate == 8000:
        forged = signal.decimate(forged, 2)
    finding = look(encode_sound(tmp_path / name, forged, codec, bit_rate, rate))
    assert finding.reason.code == "audio.copied"
    assert raw(finding) >= 4
    segment = next(e for e in finding.evidence if e.title == "Copied stretches").data["segments"]  # type: ignore[index]
    assert segment[0]["start"] == pytest.approx(2.0, abs=0.3)  # type: ignore[index, call-overload]
    assert segment[1]["start"] == pytest.approx(7.0, abs=0.3)  # type: ignore[index, call-overload]


def test_loops_are_music(tmp_path: Path) -> None:
    finding = look(write_wav(tmp_path / "a.wav", np.tile(speech(1.5, 2), 6)))
    assert finding.reason.code == "audio.loops"
    assert raw(finding) == 0


def test_tone_is_no_copy() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(5 * RATE) / RATE).astype(np.float32)
    assert correlation(tone, 1000, 50000)[0] < CARD.parameters["copy_match_weak"]


@pytest.mark.parametrize("place", [50.02, 99.96])
def test_break_of_the_hum(tmp_path: Path, place: float) -> None:
    rng = np.random.default_rng(4)
    t = np.arange(16 * RATE) / RATE
    wander = np.cumsum(rng.normal(0, 2e-6, t.size))
    wave = speech(16, 3) * 0.5 + 0.01 * np.sin(2 * np.pi * place * (t + wander))
    assert raw(look(write_wav(tmp_path / "a.wav", wave))) == 0
    cut = int(0.5 * RATE / place) + 5 * RATE  # half a turn is missing
    finding = look(write_wav(tmp_path / "b.wav", np.r_[wave[: 5 * RATE], wave[cut:]]))
    assert finding.reason.code == "audio.hum_break"
    assert raw(finding) > 2
    marks = next(e for e in finding.evidence if e.kind == "plot").data["marks"]  # type: ignore[index]
    assert marks[0]["x"] == pytest.approx(5.0, abs=0.3)  # type: ignore[index, call-overload]


def test_no_hum_no_claim() -> None:
    rng = np.random.default_rng(5)
    assert find_hum(rng.normal(0, 0.01, 20000).astype(np.float32), CARD.parameters) is None


@pytest.mark.parametrize(("name", "codec"), [("a.wav", "pcm_s16le"), ("a.mp3", "libmp3lame"), ("a.ogg", "libopus")])
def test_word_from_a_telephone(tmp_path: Path, name: str, codec: str) -> None:
    wave = speech(9, 6)
    other = signal.sosfiltfilt(signal.butter(10, 3400, fs=RATE, output="sos"), speech(2, 7))
    forged = wave.copy()
    forged[4 * RATE : 6 * RATE] = other
    finding = look(encode_sound(tmp_path / name, forged, codec, 96000 if codec != "pcm_s16le" else 0))
    if codec == "libopus":
        assert finding.reason.code in ("audio.no_join", "audio.bandwidth_change")
        assert raw(finding) <= 0.5  # Opus changes its bandwidth by itself
    else:
        assert finding.reason.code == "audio.bandwidth_change"
        assert raw(finding) >= 2
        joins = next(e for e in finding.evidence if e.title == "Changes of bandwidth").data["segments"]  # type: ignore[index]
        assert [j["start"] for j in joins] == pytest.approx([4.0, 6.0], abs=0.35)  # type: ignore[union-attr, index, call-overload]


def test_declines(tmp_path: Path) -> None:
    assert look(write_wav(tmp_path / "s.wav", speech(1))).reason.code == "audio.too_short"
    assert look(write_wav(tmp_path / "n.wav", np.zeros(0))).reason.code == "audio.too_short"
    assert look(write_wav(tmp_path / "z.wav", np.zeros(5 * RATE))).reason.code == "audio.silent"
    assert look(write_film(tmp_path / "f.mp4", pan(5))).status == "not_applicable"


def test_sound_of_a_film_is_examined(tmp_path: Path) -> None:
    assert look(write_film(tmp_path / "f.mp4", pan(5), sound=speech(4))).status == "ok"


def test_facts(tmp_path: Path) -> None:
    wave = speech(6, 8) + 0.02
    wave[2 * RATE : 2 * RATE + 8000] = 0
    finding = look(write_wav(tmp_path / "a.wav", wave))
    titles = [e.title for e in finding.evidence]
    assert "Digital silence" in titles
    assert "Offset from zero" in titles
    assert raw(finding) == 0
    constant = Constant()
    constant.take(np.round(wave[None] * 32767).astype(np.float32))
    assert silent_runs(constant.runs(2), RATE, 0.1) == [(2.0, 2.5)]


def test_sound_beyond_what_is_examined_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_wav(tmp_path / "a.wav", speech(12))
    assert "Examined" not in [e.title for e in look(path).evidence]
    monkeypatch.setattr("unmask.media.audio.MAX_SECONDS", 6)
    assert "Examined" in [e.title for e in look(path).evidence]


def test_bandwidth_of_an_old_mp3() -> None:
    rng = np.random.default_rng(9)
    noise = rng.normal(0, 0.1, 5 * 44100)
    spectrum = np.fft.rfft(noise)
    spectrum[np.fft.rfftfreq(noise.size, 1 / 44100) > 16000] = 0  # LAME's low-pass at 128 kbit/s is as steep
    narrow = np.fft.irfft(spectrum).astype(np.float32)
    found = bandwidth(Sound.of(narrow, 44100))
    assert found is not None
    assert found.cut_off == pytest.approx(16000, abs=400)
    story = bandwidth_story(found.cut_off, found.steepness, 44100, "pcm_s16le")
    assert story is not None
    assert "MP3" in story
    full = bandwidth(Sound.of(noise.astype(np.float32), 44100))
    assert full is not None
    assert bandwidth_story(full.cut_off, full.steepness, 44100, "pcm_s16le") is None


def test_pure(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", speech(5))
    before = path.read_bytes()
    assert look(path) == look(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("name", "codec", "bit_rate"), [("a.flac", "flac", 0), *CODECS[:4]])
def test_kit_clips_are_quiet(kit: Path, tmp_path: Path, name: str, codec: str, bit_rate: int) -> None:
    scores = [raw(look(encode_sound(tmp_path / name, w, codec, bit_rate))) for w in clips(kit, 10)]
    assert max(scores) <= 1


def test_kit_words_copied(kit: Path, tmp_path: Path) -> None:
    parts = clips(kit, 4)
    whole = np.concatenate(parts)
    start = int(np.argmax(np.convolve(parts[0] ** 2, np.ones(9600), "valid")))
    forged = np.r_[whole, whole[start : start + 9600], parts[1][::-1]]
    assert look(encode_sound(tmp_path / "a.mp3", forged, "libmp3lame", 64000)).reason.code == "audio.copied"
