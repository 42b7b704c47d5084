"""The longer list of laundering: seeded, blind to the label, the same length back, and recognisable."""

from __future__ import annotations

import numpy as np
import pytest
from lab_made import texture
from test_lab_launder import voice

from unmask.voices.neutral import neutral
from unmask_lab.launder import channels, screens


def likeness(one: np.ndarray, two: np.ndarray) -> float:
    """Largest normalised correlation at any delay of up to 50 ms."""
    lags = np.correlate(one, two, "full")[two.size - 801 : two.size + 800]
    return float(np.abs(lags).max() / (np.linalg.norm(one) * np.linalg.norm(two)))


@pytest.mark.parametrize("name", sorted(channels.CODECS))
def test_telephone_codecs_come_back_alike_and_as_long(name: str) -> None:
    if name not in channels.here():
        pytest.skip(f"this FFmpeg has no {name}")
    wave = neutral(voice())
    for rate in channels.CODECS[name][2]:
        back = channels.through(wave, name, rate)
        assert back.shape == wave.shape and back.dtype == np.float32
        assert likeness(back, wave) > 0.6
        assert np.sqrt(np.mean(back**2)) == pytest.approx(np.sqrt(np.mean(wave**2)), rel=0.5)


def test_narrow_codecs_leave_nothing_above_four_kilohertz() -> None:
    noise = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    power = np.abs(np.fft.rfft(channels.through(noise, "pcm_alaw", 64000))) ** 2
    assert power[4300:].sum() < 0.02 * power.sum()


def test_lost_packets_are_whole_packets() -> None:
    wave = neutral(voice())
    changed = channels.lossy(wave, np.random.default_rng(1)) != wave
    packets = changed[: changed.size // channels.PACKET * channels.PACKET].reshape(-1, channels.PACKET)
    hit = packets.any(1)
    assert 0 < hit.mean() < 0.5 and packets[hit].mean() > 0.9


def test_clipping_flattens_the_peaks() -> None:
    wave = neutral(voice())
    cut = channels.clipped(wave, np.random.default_rng(2))
    assert np.abs(cut).max() < np.abs(wave).max() and likeness(cut, wave) > 0.9


def test_noise_suppression_takes_noise_out_of_pauses() -> None:
    rng = np.random.default_rng(3)
    speech = voice()
    speech[10000:16000] = 0
    noisy = speech + 0.02 * rng.standard_normal(speech.size).astype(np.float32)
    clean = channels.denoised(noisy, np.random.default_rng(0))
    assert clean.shape == noisy.shape
    assert np.std(clean[11000:15000]) < 0.7 * np.std(noisy[11000:15000])
    assert likeness(clean[:10000], noisy[:10000]) > 0.9
    assert np.sqrt(np.mean(clean[:9000] ** 2)) == pytest.approx(np.sqrt(np.mean(noisy[:9000] ** 2)), rel=0.25)


def test_sound_the_long_way_is_seeded_and_neutral() -> None:
    for seed in range(6):
        one, two = (channels.widely(voice(), np.random.default_rng(seed)) for _ in range(2))
        assert np.array_equal(one, two) and one.shape == voice().shape and np.isfinite(one).all()
        assert np.sqrt(np.mean(one**2)) == pytest.approx(0.05, rel=0.02)


def test_pictures_the_long_way_are_seeded_and_bounded() -> None:
    pixels = texture(1, 300, 420)
    for seed in range(10):
        one, two = (screens.widely(pixels, np.random.default_rng(seed)) for _ in range(2))
        assert np.array_equal(one, two) and one.dtype == np.uint8 and one.shape[2] == 3
        assert min(one.shape[:2]) >= 100 and max(one.shape[:2]) <= 1.05 * screens.MAX_SIDE


def test_a_screenshot_shows_the_picture_among_other_things() -> None:
    pixels = np.full((300, 420, 3), (200, 30, 30), np.uint8)
    for seed in range(8):
        page = screens.screenshot(pixels, np.random.default_rng(seed)).astype(int)
        red = (np.abs(page - (200, 30, 30)).max(2) < 25).mean()
        assert 0.25 < red < 0.99


def test_messengers_make_large_pictures_small_and_keep_small_ones() -> None:
    large, small = texture(2, 1000, 1900), texture(2, 300, 420)
    for seed in range(3):
        assert max(screens.messengers(large, np.random.default_rng(seed)).shape) <= max(screens.SIZES)
        again = screens.messengers(small, np.random.default_rng(seed))
        assert again.shape == small.shape and not np.array_equal(again, small)


def test_night_is_darker_and_noise_is_smoothed() -> None:
    grey = np.full((200, 200, 3), 150, np.uint8)
    for seed in range(4):
        night = screens.night(grey, np.random.default_rng(seed))
        assert night.mean() < 150 and 0 < night.std() < 30
