"""The reader of sound, on bytes made here and on the kit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from media_made import RATE, encode_sound, pan, write_film, write_wav

from unmask.errors import MediaError, UnsupportedMedia
from unmask.media.audio import AudioView
from unmask.options import Limits, Options
from unmask.subject import Subject


def tone(seconds: float = 2.0, rate: int = RATE, hz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)


def whole(view: AudioView) -> np.ndarray:
    """(channels, n) as the file stores it."""
    return np.concatenate([np.zeros((view.channels, 0), np.float32), *view.blocks()], axis=1)


def test_pcm_is_exact(tmp_path: Path) -> None:
    stereo = np.stack([tone(), np.zeros(2 * RATE)])
    view = Subject(write_wav(tmp_path / "a.wav", stereo)).audio
    assert (view.rate, view.channels, view.codec, view.sample_format) == (RATE, 2, "pcm_s16le", "s16")
    assert whole(view).shape == (2, 2 * RATE)
    assert np.array_equal(whole(view)[0], (stereo[0] * 32767).round().astype(np.float32) / 32768)
    assert not whole(view)[1].any()
    assert np.array_equal(view.mono(), view.mono())
    assert view.mono(8000).shape == (RATE,)
    assert view.duration == pytest.approx(2.0)
    assert view.complete
    assert view.missing_seconds == 0


@pytest.mark.parametrize(
    ("name", "codec", "bit_rate", "kind"),
    [
        ("a.mp3", "libmp3lame", 64000, ("audio", "mp3")),
        ("a.ogg", "libopus", 24000, ("audio", "ogg")),
        ("a.m4a", "aac", 64000, ("audio", "m4a")),
        ("a.mp4", "aac", 64000, ("audio", "m4a")),
        ("a.flac", "flac", 0, ("audio", "flac")),
        ("a.mkv", "pcm_s16le", 0, ("audio", "mkv")),
        ("a.webm", "libopus", 24000, ("audio", "webm")),
    ],
)
def test_codecs(tmp_path: Path, name: str, codec: str, bit_rate: int, kind: tuple[str, str]) -> None:
    subject = Subject(encode_sound(tmp_path / name, tone(), codec, bit_rate))
    assert (subject.kind, subject.format) == kind
    wave = subject.audio.mono()
    assert abs(wave.size - 2 * RATE) < 3000
    peak = np.abs(np.fft.rfft(wave)).argmax() * RATE / wave.size
    assert peak == pytest.approx(440, abs=2)


def test_sound_of_a_film(tmp_path: Path) -> None:
    subject = Subject(write_film(tmp_path / "f.mp4", pan(20), sound=tone(0.6)))
    assert subject.kind == "video"
    assert subject.audio.codec == "aac"
    assert subject.audio.mono().size > 0.5 * RATE


def test_film_without_sound_says_so(tmp_path: Path) -> None:
    subject = Subject(write_film(tmp_path / "f.mp4", pan(5)))
    with pytest.raises(UnsupportedMedia) as caught:
        _ = subject.audio
    assert caught.value.code == "media.no_sound"


def test_no_samples(tmp_path: Path) -> None:
    view = Subject(write_wav(tmp_path / "n.wav", np.zeros(0))).audio
    assert whole(view).shape == (1, 0)
    assert view.mono().shape == (0,)
    assert view.duration == 0
    assert view.survey.sound.level.peak == 0


@pytest.mark.parametrize("tenth", range(1, 10))
@pytest.mark.parametrize("name", ["t.wav", "t.mp3", "t.flac", "t.m4a", "t.ogg"])
def test_cut_off_anywhere(tmp_path: Path, name: str, tenth: int) -> None:
    codec = {"wav": "pcm_s16le", "mp3": "libmp3lame", "flac": "flac", "m4a": "aac", "ogg": "libopus"}[name[2:]]
    path = encode_sound(tmp_path / name, tone(), codec, 0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * tenth // 10])
    try:
        wave = Subject(path).audio.mono()
    except MediaError as error:
        assert error.text.endswith(".")
    else:
        assert np.isfinite(wave).all()
        assert wave.size <= 2.2 * RATE


def test_lying_header(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "l.wav", tone())
    data = bytearray(path.read_bytes())
    data[40:44] = (0x7FFFFFF0).to_bytes(4, "little")  # claims two gigabytes of samples
    path.write_bytes(bytes(data))
    view = Subject(path).audio
    assert whole(view).shape == (1, 2 * RATE)
    data[24:28] = (0).to_bytes(4, "little")  # no sampling rate
    path.write_bytes(bytes(data))
    with pytest.raises(MediaError):
        _ = Subject(path).audio


def test_damaged_middle_is_skipped(tmp_path: Path) -> None:
    path = encode_sound(tmp_path / "d.mp3", tone(4), "libmp3lame", 64000)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 1500] = bytes(1500)
    path.write_bytes(bytes(data))
    wave = Subject(path).audio.mono()
    assert 3 * RATE < wave.size < 4.2 * RATE


def test_limit_of_length(tmp_path: Path) -> None:
    options = Options(limits=Limits(duration_seconds=1.0))
    view = Subject(write_wav(tmp_path / "a.wav", tone(5)), options).audio
    assert whole(view).shape[1] == RATE
    assert not view.complete


@pytest.mark.parametrize(("rate", "channels"), [(RATE, 1), (44100, 2), (8000, 1)])
def test_long_sound_is_the_same_though_it_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: int, channels: int
) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, (channels, 31 * rate + 77)).astype(np.float32)
    path = write_wav(tmp_path / "a.wav", noise, rate)
    short = Subject(path).audio
    wave, level = short.mono(), short.sound.level
    monkeypatch.setattr("unmask.media.audio.MAX_HELD", RATE)
    monkeypatch.setattr("unmask.media.audio.MAX_KEPT_VALUES", RATE)
    long = Subject(path).audio
    assert np.array_equal(long.mono(), wave)
    assert (long.sound.size, long.sound.level.peak, long.sound.level.mean) == (wave.size, level.peak, level.mean)
    assert np.array_equal(long.sound.level.power, level.power)
    assert np.array_equal(long.mono(1000), short.mono(1000))
    spans = [(-5, 100), (RATE - 9, 22 * RATE), (11 * RATE, 12 * RATE), (30 * RATE, 99 * RATE)]
    for got, (first, last) in zip(long.sound.cuts(spans), spans, strict=True):
        assert np.array_equal(got, wave[max(0, first) : last])


def test_long_sound_ends_with_the_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unmask.media.audio.MAX_SECONDS", 12)
    view = Subject(write_wav(tmp_path / "a.wav", tone(25))).audio
    wave = view.mono(8000)
    assert wave.size == 12 * 8000 and np.abs(wave[-800:]).max() > 0.4
    assert not view.complete and view.missing_seconds == 0


def test_kit_riff_bomb(kit: Path) -> None:
    assert whole(Subject(kit / "provenance" / "riff_bomb_1000.wav").audio).shape[0] == 1


def test_more_channels_than_are_read_is_no_damage(tmp_path: Path) -> None:
    subject = Subject(write_wav(tmp_path / "a.wav", np.tile(tone(), (12, 1))))
    with pytest.raises(UnsupportedMedia, match="12 channels"):
        _ = subject.audio


def test_bw64_is_read_as_wave(tmp_path: Path) -> None:
    plain = write_wav(tmp_path / "a.wav", tone()[None]).read_bytes()
    at = plain.index(b"data") + 4
    size = plain[at : at + 4]
    sizes = b"ds64" + (28).to_bytes(4, "little") + len(plain).to_bytes(8, "little") + size + bytes(16)
    big = b"BW64\xff\xff\xff\xffWAVE" + sizes + plain[12:at] + b"\xff\xff\xff\xff" + plain[at + 4 :]
    (tmp_path / "b.wav").write_bytes(big)
    assert np.array_equal(whole(Subject(tmp_path / "b.wav").audio), whole(Subject(tmp_path / "a.wav").audio))
    assert not Subject(tmp_path / "b.wav").metadata["contradictions"]
