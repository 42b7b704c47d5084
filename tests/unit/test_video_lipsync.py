"""Lips and sound: what is compared, what offset is found, and every reason not to answer."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from faces_made import scene
from media_made import RATE, pan, write_film

from unmask.detectors.video_lipsync import agreement, detector
from unmask.detectors.video_lipsync.agreement import compare, even, weights
from unmask.detectors.video_lipsync.mouth import NAMES, measures, turned
from unmask.detectors.video_lipsync.prepare import prepared
from unmask.detectors.video_lipsync.sound import STEPS, bands, sound_start
from unmask.films.closeup import CloseLook
from unmask.films.people import FaceTrack, People
from unmask.options import Options
from unmask.report import Finding
from unmask.subject import Subject
from unmask.voices.speech import STEP, Speech
from unmask_lab.train.recipes import video_lipsync as recipe

P = detector.CARD.parameters
SECONDS = 8.0
LEAD = 1024 / RATE
"""The films made here begin with the empty block that the AAC encoder puts first, so their sound comes later by it."""


def syllables(seconds: float, seed: int = 3) -> np.ndarray:
    """How far a mouth is open, 0..1, 1000 values a second: uneven openings, about four a second."""
    rng = np.random.default_rng(seed)
    out = np.zeros(int(seconds * 1000))
    at = 0.1
    times = np.arange(out.size) / 1000
    while at < seconds:
        out += rng.uniform(0.3, 1.0) * np.exp(-(((times - at) / rng.uniform(0.04, 0.08)) ** 2))
        at += rng.uniform(0.15, 0.4)
    return np.clip(out, 0, 1)


def voice(opening: np.ndarray, late: float = 0.0, seed: int = 4) -> np.ndarray:
    """Hiss of 1.5 to 5 kHz that is as loud as the mouth is open, ``late`` seconds after it; 16 kHz."""
    rng = np.random.default_rng(seed)
    n = opening.size * RATE // 1000
    spectrum = np.fft.rfft(rng.normal(size=n))
    lines = np.fft.rfftfreq(n, 1 / RATE)
    spectrum[(lines < 1500) | (lines > 5000)] = 0
    times = np.arange(n) / RATE - late
    loud = np.interp(times, np.arange(opening.size) / 1000, opening)
    return (0.01 * rng.normal(size=n) * 0.1 + np.fft.irfft(spectrum, n) * loud * 0.3).astype(np.float32)


def mesh_of(opening: np.ndarray, times: np.ndarray, sway: float = 0.0) -> np.ndarray:
    """(n, 468, 3): a face of 100 pixels between the eyes whose lower lip and outer lips follow ``opening``."""
    rng = np.random.default_rng(7)
    still = rng.normal(0, 60, (468, 3))
    for ids, place in (((33, 133), (-50, -30, 0)), ((362, 263), (50, -30, 0)), ((1,), (0, 10, -40))):
        still[list(ids)] = place
    for index, place in ((0, (0, 40, -20)), (17, (0, 55, -20)), (61, (-25, 48, 0)), (291, (25, 48, 0))):
        still[index] = place
    still[234], still[454] = (-80, 0, 30), (80, 0, 30)
    wide = np.interp(times, np.arange(opening.size) / 1000, opening)
    out = np.repeat(still[None], times.size, axis=0)
    out[:, 17, 1] += 25 * wide
    out[:, [61, 291], 1] += 4 * wide[:, None]
    angle = sway * np.sin(2 * np.pi * 0.5 * times)
    for i, a in enumerate(angle):
        turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
        out[i] = (1 + a) * out[i] @ turn.T + (320 + 200 * a, 240, 0)
    return out.astype(np.float32)


def look(mesh: np.ndarray, times: np.ndarray, track: int = 1) -> CloseLook:
    crops = np.zeros((times.size, 2, 2, 3), np.uint8)
    size = float(np.nanmedian(np.ptp(mesh[:, :, 0], axis=1)))
    return CloseLook(track, times, mesh, np.ones(times.size, np.float32), crops, size, 1.0)


class Told(Subject):
    """A film whose faces and speech are told instead of found; picture and sound are real."""

    def __init__(self, path: Path, looks: tuple[CloseLook, ...], clear: float = 1.0, faces: int = 1) -> None:
        super().__init__(path)
        tracks = tuple(FaceTrack(i + 1, [0.0, 8.0], [(0.0, 0.0, 90.0, 90.0)] * 2) for i in range(faces))
        self.__dict__["people"] = People(tracks, np.arange(24) / 3, (), 0, 0)
        self.__dict__["close_looks"] = looks
        seconds = 30.0
        probability = np.full(int(seconds * RATE / STEP), 0.9, np.float32)
        probability[int(clear * probability.size) :] = 0.0
        self.__dict__["speech"] = Speech(probability, ((0.0, clear * seconds),), seconds)


def film(path: Path, sound: np.ndarray | None, seconds: float = SECONDS, fps: int = 25, **options: int) -> Path:
    return write_film(path, pan(round(seconds * fps), 96, 96), fps=fps, sound=sound, **options)


def examine(subject: Subject) -> Finding:
    return detector.examine(subject, Options())


TIMES = np.arange(int(SECONDS * 25)) / 25
SPOKEN = syllables(12.0)


def told(folder: Path, late: float = 0.0, opening: np.ndarray = SPOKEN, **options: float) -> Told:
    path = film(folder / "a.mp4", voice(SPOKEN, late))
    return Told(path, (look(mesh_of(opening, TIMES, sway=0.05), TIMES),), **options)


@pytest.mark.parametrize("late", [-0.4, -0.137, 0.0, 0.08, 0.26, 0.5])
def test_the_offset_is_found(tmp_path: Path, late: float) -> None:
    finding = examine(told(tmp_path, late + P["usual_offset"] - LEAD))
    assert finding.status == "ok"
    assert finding.reason.code == ("lipsync.agrees" if -0.09 < late < 0.18 else "lipsync.offset")
    fact = next(e for e in finding.evidence if e.title.startswith("Offset"))
    assert fact.data is not None
    assert float(str(fact.data["value"]).split()[0]) == pytest.approx(1000 * late, abs=15)
    assert finding.score is None
    assert finding.raw_score is None


def test_the_evidence_holds_curves_and_stretches(tmp_path: Path) -> None:
    finding = examine(told(tmp_path))
    kinds = [e.kind for e in finding.evidence]
    assert kinds.count("plot") == 2
    over_time = next(e.data for e in finding.evidence if e.kind == "plot" and e.data and e.data["x_label"] == "seconds")
    assert over_time is not None
    values = over_time["series"][0]["y"]  # type: ignore[index, call-overload]
    assert min(values) > 0  # type: ignore[type-var, arg-type]
    segments = next(e for e in finding.evidence if e.kind == "segments")
    assert segments.data is not None
    assert segments.data["segments"][0]["lane"] == "Face 1, lips"  # type: ignore[index, call-overload]


def test_another_voice_does_not_go_with_the_mouth(tmp_path: Path) -> None:
    codes = [examine(told(tmp_path, opening=syllables(12.0, seed))).reason.code for seed in range(10, 16)]
    assert "lipsync.agrees" not in codes
    assert codes.count("lipsync.offset") <= 1
    assert codes.count("lipsync.no_agreement") >= 3


def test_of_two_faces_the_one_that_speaks_answers(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", voice(SPOKEN, 0.04))
    silent, speaking = look(mesh_of(syllables(12.0, 20), TIMES), TIMES, 1), look(mesh_of(SPOKEN, TIMES), TIMES, 2)
    finding = examine(Told(path, (silent, speaking), faces=2))
    assert finding.reason.code == "lipsync.agrees"
    assert "face 2" in finding.reason.text


def test_a_turned_face_without_agreement_is_no_sign(tmp_path: Path) -> None:
    subject = told(tmp_path, opening=syllables(12.0, 10))
    mesh = subject.close_looks[0].mesh.copy()
    mesh[:, 1, 0] = mesh[:, 454, 0] + 5
    assert turned(mesh) > 0.7
    finding = examine(Told(subject.path, (replace(subject.close_looks[0], mesh=mesh),)))
    assert finding.status == "declined"
    assert "turned" in finding.reason.text
    small = examine(Told(subject.path, (replace(subject.close_looks[0], size=55.0),)))
    assert small.status == "declined"
    assert "small" in small.reason.text


@pytest.mark.parametrize(
    ("status", "code", "change"),
    [
        ("not_applicable", "lipsync.no_face", {"faces": 0}),
        ("not_applicable", "lipsync.no_speech", {"clear": 0.0}),
        ("declined", "lipsync.too_little_speech", {"clear": 0.05}),
        ("not_applicable", "lipsync.still", {"opening": np.zeros(12000)}),
    ],
)
def test_reasons_not_to_answer(tmp_path: Path, status: str, code: str, change: dict) -> None:
    finding = examine(told(tmp_path, **change))
    assert (finding.status, finding.reason.code) == (status, code)
    if code in ("lipsync.no_face", "lipsync.still"):
        assert "No speaker in view" in finding.reason.text


def test_faces_that_cannot_be_watched(tmp_path: Path) -> None:
    subject = told(tmp_path)
    good = subject.close_looks[0]
    small = replace(good, size=20.0)
    lost = good.mesh.copy()
    lost[::2] = np.nan
    short = look(good.mesh[:40], good.times[:40])
    for one, code in (
        (small, "lipsync.face_too_small"),
        (replace(good, mesh=lost), "lipsync.lost"),
        (short, "lipsync.too_short"),
    ):
        assert examine(Told(subject.path, (one,))).reason.code == code
    assert examine(Told(subject.path, ())).reason.code == "lipsync.face_too_small"


def test_silence_five_frames_a_second_one_frame_and_a_tiny_film(tmp_path: Path) -> None:
    sound = voice(SPOKEN)
    assert examine(Subject(film(tmp_path / "a.mp4", None))).status == "not_applicable"
    slow = examine(Subject(film(tmp_path / "b.mp4", sound, fps=5)))
    assert (slow.status, slow.reason.code) == ("declined", "lipsync.frame_rate")
    one = examine(Subject(film(tmp_path / "c.mp4", sound, seconds=0.04)))
    assert (one.status, one.reason.code) == ("declined", "lipsync.too_short")
    tiny = examine(Subject(write_film(tmp_path / "d.mp4", pan(100, 48, 48), sound=sound)))
    assert (tiny.status, tiny.reason.code) == ("declined", "lipsync.too_small")


def test_a_drawn_face_in_a_turned_film_and_noise_as_sound(tmp_path: Path) -> None:
    pictures = [np.rot90(scene((120 + i, 120, 220)), k=1).copy() for i in range(80)]
    path = write_film(tmp_path / "a.mp4", pictures, fps=20, rotation=90, sound=voice(SPOKEN)[: 4 * RATE])
    finding = examine(Subject(path))
    assert finding.status in ("not_applicable", "declined")


def test_sound_longer_and_shorter_than_the_picture(tmp_path: Path) -> None:
    longer = voice(syllables(30.0))
    path = film(tmp_path / "a.mp4", longer)
    same = look(mesh_of(syllables(30.0), TIMES), TIMES)
    assert examine(Told(path, (same,))).reason.code == "lipsync.agrees"
    path = film(tmp_path / "b.mp4", longer[: 5 * RATE])
    made = prepared(Subject(path), same, P)
    assert made is not None
    assert 4.5 * STEPS < len(made.mouth) < 5.2 * STEPS
    path = film(tmp_path / "c.mp4", longer[: RATE // 2])
    assert prepared(Subject(path), same, P) is None


def test_the_sound_starts_where_the_film_says(tmp_path: Path) -> None:
    assert abs(sound_start(Subject(film(tmp_path / "a.mp4", voice(SPOKEN))))) < 0.03
    assert sound_start(Subject(film(tmp_path / "b.mp4", None))) == 0.0


def test_lip_measures_do_not_mind_the_head() -> None:
    still, swaying = (measures(mesh_of(SPOKEN, TIMES, sway)) for sway in (0.0, 0.2))
    assert still.shape == (TIMES.size, len(NAMES))
    assert np.abs(still - swaying).max() < 1e-3
    assert np.ptp(still[:, 0]) > 0.1


def test_bands_of_a_tone_and_of_silence() -> None:
    tone = np.sin(2 * np.pi * 2000 * np.arange(RATE) / RATE).astype(np.float32)
    found = bands(tone, P)
    assert found.shape == (STEPS + 1, int(P["bands"]))
    assert int(found[20].argmax()) == 4
    assert np.isfinite(bands(np.zeros(RATE, np.float32), P)).all()


def test_chances_are_chances() -> None:
    rng = np.random.default_rng(1)
    assert weights().shape == (len(NAMES), int(P["bands"]))
    chances = []
    for _ in range(60):
        mouth = even(agreement.band_passed(rng.normal(size=(320, len(NAMES))), P))
        sound = even(agreement.band_passed(rng.normal(size=(480, int(P["bands"]))), P))
        chances.append(compare(mouth, sound, 40, P).chance)
    # Noise is quicker than speech, for which the number of independent offsets was fitted: it has more of them.
    assert np.mean(np.array(chances) < 0.05) < 0.25
    assert np.mean(np.array(chances) < 0.001) < 0.05
    assert max(chances) <= 1.0


def test_the_laboratory_learns_which_band_follows_which_measure() -> None:
    rng = np.random.default_rng(2)
    people = []
    for number, late in enumerate((0, 3, 6, 2)):
        sound = even(agreement.band_passed(rng.normal(size=(480, int(P["bands"]))), P))
        mouth = even(agreement.band_passed(rng.normal(size=(320, len(NAMES))), P))
        mouth[:, 1] = sound[60 + late : 380 + late, 5]
        people.append(recipe.Talker(str(number), mouth, sound, 60, late))
    table = recipe.fit(people)
    assert np.unravel_index(int(np.abs(table).argmax()), table.shape) == (1, 5)
    found = recipe.held_out(people[2], people)
    assert found["offset"] + P["usual_offset"] == pytest.approx(6 / STEPS, abs=0.01)
    assert found["chance"] < 0.01
    written = tomllib.loads(recipe.as_toml(table))["weights"]
    assert np.array([written[name] for name in NAMES]) == pytest.approx(table, abs=1e-4)


def test_people_who_speak_in_the_kit(kit: Path) -> None:
    finding = examine(Subject(kit / "video" / "real" / "latentsync" / "d8accc26fe.mp4"))
    assert finding.reason.code == "lipsync.agrees"
    music = examine(Subject(kit / "video" / "real" / "liveportrait" / "c1284ed0aa.mp4"))
    assert music.reason.code == "lipsync.no_speech"
