"""``video.frames`` on films made here, and on the kit's films with copies coded again and forged."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from media_made import pan, write_film
from numpy.typing import NDArray

from unmask.detectors.video_frames.coding import earlier_interval
from unmask.detectors.video_frames.detector import CARD, examine
from unmask.detectors.video_frames.repeats import find_repeats, motion_of
from unmask.options import Options
from unmask.report import Finding
from unmask.subject import Subject

Frames = list[NDArray[np.uint8]]
SUSPICIOUS = 1.0  # raw scores of films nobody touched stay below this


def look(path: Path) -> Finding:
    finding = examine(Subject(path), Options())
    assert finding.detector == "video.frames"
    return finding


@pytest.fixture(scope="module")
def shot() -> Frames:
    return pan(120)


def times_of(finding: Finding, title: str) -> list[float]:
    for evidence in finding.evidence:
        if evidence.title == title and evidence.data is not None:
            return [s["start"] for s in evidence.data["segments"]]  # type: ignore[union-attr, index, misc, call-overload]
    return []


@pytest.mark.parametrize("crf", [20, 30])
def test_untouched_is_quiet(tmp_path: Path, shot: Frames, crf: int) -> None:
    finding = look(write_film(tmp_path / "f.mp4", shot, crf=crf))
    assert finding.status == "ok"
    assert finding.raw_score == 0
    assert finding.reason.code == "video.smooth"


def test_removed_second(tmp_path: Path) -> None:
    shot = pan(120, step=0.3, shake=0.1)
    finding = look(write_film(tmp_path / "f.mp4", shot[:50] + shot[80:], crf=28))
    assert finding.reason.code == "video.step"
    assert finding.raw_score is not None
    assert finding.raw_score > SUSPICIOUS
    assert times_of(finding, "Suspected joins") == [pytest.approx(49 / 30, abs=0.01)]


def test_repeated_stretch(tmp_path: Path, shot: Frames) -> None:
    finding = look(write_film(tmp_path / "f.mp4", shot[:90] + shot[20:50] + shot[90:], crf=28))
    assert finding.reason.code == "video.repeated"
    assert finding.raw_score is not None
    assert finding.raw_score >= 4
    starts = times_of(finding, "Repeated stretches")
    assert starts[0] == pytest.approx(20 / 30, abs=0.1)
    assert starts[1] == pytest.approx(90 / 30, abs=0.1)


def test_played_backwards(tmp_path: Path, shot: Frames) -> None:
    finding = look(write_film(tmp_path / "f.mp4", shot[:60] + shot[20:58][::-1] + shot[60:], crf=24))
    assert finding.reason.code == "video.repeated"
    assert "backwards" in finding.reason.text


def test_a_movement_that_turns_round_is_innocent(tmp_path: Path) -> None:
    """A view that swings to and fro passes the same places in both directions."""
    wide = pan(1, seed=5)[0]
    places = [round(20 + 18 * np.sin(i / 6)) for i in range(120)]
    rng = np.random.default_rng(4)
    shots = [np.clip(np.roll(wide, x, axis=1) + rng.normal(0, 3, wide.shape), 0, 255).astype(np.uint8) for x in places]
    finding = look(write_film(tmp_path / "f.mp4", shots, crf=28))
    assert "backwards" not in finding.reason.text


def test_moved_stretch(tmp_path: Path, shot: Frames) -> None:
    finding = look(write_film(tmp_path / "f.mp4", shot[:30] + shot[55:90] + shot[30:55] + shot[90:], crf=24))
    assert finding.reason.code == "video.reordered"
    assert len(times_of(finding, "Broken order")) == 3


def test_scene_cut_is_a_fact(tmp_path: Path, shot: Frames) -> None:
    finding = look(write_film(tmp_path / "f.mp4", shot[:50] + pan(50, seed=99)))
    assert finding.raw_score == 0
    assert times_of(finding, "Scene cuts") == [pytest.approx(49 / 30, abs=0.01)]


def test_frame_rate_conversion_is_innocent(tmp_path: Path, shot: Frames) -> None:
    doubled = [f for i, f in enumerate(shot[:80]) for f in ([f, f] if i % 4 == 0 else [f])]
    finding = look(write_film(tmp_path / "f.mp4", doubled))
    assert finding.raw_score is not None
    assert finding.raw_score < SUSPICIOUS


def test_titles_and_flash_are_innocent(tmp_path: Path, shot: Frames) -> None:
    frames = [f.copy() for f in shot]
    for f in frames[40:80]:
        cv2.putText(f, "SUBTITLES HERE", (20, 220), cv2.FONT_HERSHEY_SIMPLEX, 1.1, (255, 255, 255), 3)
    frames[60] = np.clip(frames[60].astype(int) + 60, 0, 255).astype(np.uint8)
    finding = look(write_film(tmp_path / "f.mp4", frames))
    assert finding.raw_score is not None
    assert finding.raw_score < SUSPICIOUS


def test_slides_are_declined(tmp_path: Path) -> None:
    slides = [f for seed in range(3) for f in [pan(1, seed=seed)[0]] * 30]
    assert look(write_film(tmp_path / "f.mp4", slides)).status == "declined"


def test_loop_is_a_fact(tmp_path: Path, shot: Frames) -> None:
    finding = look(write_film(tmp_path / "f.mp4", shot[:40] * 3))
    assert finding.reason.code in ("video.loop", "video.smooth")
    assert finding.raw_score is not None
    assert finding.raw_score < SUSPICIOUS


def test_freeze_and_gaps_are_facts(tmp_path: Path, shot: Frames) -> None:
    frozen = shot[:40] + [shot[40]] * 25 + shot[41:90]
    finding = look(write_film(tmp_path / "f.mp4", frozen))
    assert finding.raw_score == 0
    assert times_of(finding, "Frozen stretches") == [pytest.approx(40 / 30, abs=0.1)]
    times = [i + 20 * (i >= 50) for i in range(100)]
    gap = look(write_film(tmp_path / "g.mkv", shot[:50] + shot[70:], times=times[:100]))
    assert gap.raw_score == 0
    assert len(times_of(gap, "Gaps in time")) == 1


def test_short_and_still_are_declined(tmp_path: Path, shot: Frames) -> None:
    assert look(write_film(tmp_path / "one.mp4", shot[:1])).reason.code == "video.too_short"
    assert look(write_film(tmp_path / "still.mp4", [shot[0]] * 40)).reason.code == "video.still"


def test_earlier_key_frames_are_seen_in_sizes() -> None:
    rng = np.random.default_rng(5)
    sizes = rng.gamma(20, 100, 600).astype(np.int64)
    types = np.full(600, "P")
    types[::250] = "I"
    assert earlier_interval(sizes, types, np.array([250, 250]), CARD.parameters) is None
    sizes[7::33] *= 3
    found = earlier_interval(sizes, types, np.array([250, 250]), CARD.parameters)
    assert found is not None
    assert (found.frames, found.offset) == (33, 7)


def test_pure(tmp_path: Path, shot: Frames) -> None:
    path = write_film(tmp_path / "f.mp4", shot[:40] + shot[60:])
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    assert look(path) == look(path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


@pytest.mark.parametrize("name", ["latentsync/d8accc26fe.mp4", "bitcam-demo/373dad0d37.mp4"])
def test_kit_film(kit: Path, tmp_path: Path, name: str) -> None:
    path = kit / "video" / "real" / name
    assert look(path).raw_score == 0
    view = Subject(path).video
    frames = [f.pixels for f in view.frames(max_side=384, rgb=True, end=5.0)]
    frames = [f[: f.shape[0] // 2 * 2, : f.shape[1] // 2 * 2] for f in frames]
    assert look(write_film(tmp_path / "again.mp4", frames, crf=35, fps=25)).raw_score == 0
    forged = frames[:110] + frames[60:100] + frames[110:]
    assert look(write_film(tmp_path / "forged.mp4", forged, crf=28, fps=25)).reason.code == "video.repeated"


def test_comparing_in_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    luma = rng.integers(0, 255, (90, 18, 32), dtype=np.uint8)
    luma[50:75] = luma[10:35]
    moving = np.ones(90, np.bool_)
    whole = motion_of(luma)
    found = find_repeats(whole, moving, CARD.parameters, 10.0)
    assert found and found[0].length >= 24
    monkeypatch.setattr("unmask.detectors.video_frames.repeats._AT_ONCE", 1000)
    parts = motion_of(luma)
    assert np.array_equal(parts.energy, whole.energy) and np.array_equal(parts.change, whole.change)
    assert find_repeats(parts, moving, CARD.parameters, 10.0) == found
