"""Forged talking heads: the families, the set with its halves, and the evaluation of films."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from faces_made import scene
from numpy.typing import NDArray
from test_lab_faces import parent
from typer.testing import CliRunner

from unmask import evidence
from unmask.card import find_cards
from unmask_lab.cli import app
from unmask_lab.errors import LabError
from unmask_lab.evaluate import films, films_report
from unmask_lab.forge import talking
from unmask_lab.forge.av_io import read_sound, write_film, write_sound
from unmask_lab.forge.family import Family, VoiceMade, walk
from unmask_lab.forge.speech import RATE
from unmask_lab.forge.talking import making, voice
from unmask_lab.forge.talking.files import COMPRESSIONS, read_clip, write_clip
from unmask_lab.forge.talking.lips import loudness, mouths
from unmask_lab.forge.talking.parent import Head, Talking, TalkingJob, TalkingMade, follow, joined, shapes, smoothed

FOUND: dict[str, Family[TalkingJob, TalkingMade]] = walk(talking)
FPS = Fraction(12)
N = 26


def clip(seed: int) -> Talking:
    """A textured face whose mesh moves a little; two seconds of noise as sound."""
    face, rng = parent(seed), np.random.default_rng(seed)
    steps = np.cumsum(rng.normal(0, 0.6, (N, 2)), axis=0)
    frames = np.stack(
        [
            cv2.warpAffine(face.rgb, np.array([[1, 0, x], [0, 1, y]]), (200, 200), borderMode=cv2.BORDER_REPLICATE)
            for x, y in steps
        ]
    )
    mesh = np.stack([face.mesh + np.array([x, y, 0]) for x, y in steps]).astype(np.float32)
    mesh[:, 14, 1] += 4 + 3 * np.sin(np.arange(N))
    keys = np.stack([face.keypoints + step for step in steps]).astype(np.float32)
    head = Head(mesh, keys, np.full(N, face.size, np.float32), np.ones(N, np.bool_))
    return Talking(frames, FPS, rng.normal(0, 0.1, round(N / FPS * RATE)).astype(np.float32), head)


def job(seed: int = 7, first: int = 6, last: int = 20) -> TalkingJob:
    own = clip(1)
    speech = np.random.default_rng(3).normal(0, 0.1, own.sound.size).astype(np.float32)
    return TalkingJob(own, clip(2), speech, first, last, np.random.default_rng(seed))


def fake_reader(rng: np.random.Generator) -> VoiceMade:
    return VoiceMade(rng.normal(0, 0.1, RATE).astype(np.float32), "fake reader")


@pytest.fixture(autouse=True)
def readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A voice that needs no program and no weights."""
    card = SimpleNamespace(missing=lambda _: "")
    fake = SimpleNamespace(CARD=card, forge=lambda job: iter([fake_reader(job.rng)]))
    monkeypatch.setattr(voice, "READERS", (fake,))
    monkeypatch.setattr(voice, "COPIERS", ())


@pytest.mark.parametrize("name", sorted(FOUND))
def test_a_family_repeats_and_keeps_to_its_stretch(name: str) -> None:
    seed = next(s for s in range(20) if np.random.default_rng(s).random() >= 0.5)  # not through the latent decoder
    made, again = (next(iter(FOUND[name].forge(job(seed)))) for _ in range(2))
    assert made.generator
    changed = 0
    if made.frames is not None:
        assert again.frames is not None
        assert np.array_equal(made.frames, again.frames)
        differs = np.abs(made.frames.astype(int) - job().parent.frames).max(axis=(1, 2, 3)) > 0
        assert not differs[:6].any()
        assert not differs[20:].any()
        assert differs[6:20].mean() > 0.4
        changed += 1
    if made.sound is not None:
        own = job().parent.sound
        assert made.sound.size == own.size
        inside = slice(round(6 / FPS * RATE) + 800, round(20 / FPS * RATE) - 800)
        assert np.abs(made.sound - own)[inside].mean() > 0.01
        if made.offset is None:
            assert np.abs(made.sound - own)[: inside.start - 1600].max() < 1e-6
        changed += 1
    assert changed


def test_the_shift_is_the_offset_it_states() -> None:
    made = next(iter(FOUND["sound_shift"].forge(job(5))))
    assert made.sound is not None
    assert made.offset is not None
    assert 0.2 <= abs(made.offset) <= 0.6
    assert np.array_equal(np.roll(made.sound, -round(made.offset * RATE)), job().parent.sound)


def test_careless_swaps_flicker_more() -> None:
    def trembling(name: str) -> float:
        frames = next(iter(FOUND[name].forge(job(0, 0, N)))).frames
        assert frames is not None
        still = job().parent
        # Against the face's own movement: how much neighbouring frames differ where the face is.
        return float(np.abs(np.diff(frames[:, 70:130, 70:130].astype(float), axis=0)).mean() / still.fps)

    assert trembling("swap_flicker") > trembling("swap_learned")


def test_smoothing_steadies_without_delay() -> None:
    rng = np.random.default_rng(1)
    true = np.linspace(0, 50, 80)[:, None] * np.ones((1, 3))
    found = smoothed(true + rng.normal(0, 2, true.shape))
    assert np.abs(found - true)[5:-5].mean() < 1.2
    assert abs(float((found - true)[10:-10].mean())) < 0.5


def test_shapes_are_free_of_place_size_and_turn() -> None:
    face = parent(4).mesh
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    moved = face.copy()
    moved[:, :2] = face[:, :2] @ turn.T * 1.7 + 30
    one, two = shapes(np.stack([face, moved]).astype(np.float32))
    assert np.abs(one - two).max() < 1e-3


def test_mouths_open_with_the_sound() -> None:
    task = job()
    loud = np.zeros_like(task.speech)
    loud[: loud.size // 2] = task.speech[: loud.size // 2]
    task = TalkingJob(task.parent, task.donor, loud, 0, N, task.rng)
    order = mouths(task, task.parent.head.mesh)
    gap = shapes(task.parent.head.mesh)
    opening = np.linalg.norm(gap[:, 13] - gap[:, 14], axis=1)[order]
    assert opening[: N // 2 - 1].mean() > opening[N // 2 + 1 :].mean()
    assert np.all(np.abs(order - np.arange(N)) > 2)
    assert loudness(loud, N, float(FPS))[:10].min() > loudness(loud, N, float(FPS))[-8:].max()


def test_sounds_are_joined_at_the_stretch_only() -> None:
    base, upper = np.zeros(RATE, np.float32), np.ones(RATE, np.float32)
    out = joined(base, upper, (0.25, 0.5))
    assert out[: int(0.23 * RATE)].max() == 0
    assert out[int(0.27 * RATE) : int(0.48 * RATE)].min() == 1
    assert out[int(0.52 * RATE) :].max() == 0
    assert joined(base, upper, (0.0, 1.0))[0] == 1


def test_a_face_is_followed_and_its_absence_told() -> None:
    frames = np.stack([scene((60 + i, 50, 120), size=(240, 320)) for i in range(14)])
    head = follow(frames)
    assert head.seen.all()
    middle = head.mesh[:, :, 0].mean(axis=1)
    assert 8 < middle[-1] - middle[0] < 18
    with pytest.raises(ValueError, match="no face"):
        follow(np.full((3, 120, 160, 3), 90, np.uint8))


def test_a_clip_is_written_at_every_compression(tmp_path: Path) -> None:
    one = clip(1)
    for name, how in COMPRESSIONS.items():
        path = tmp_path / f"{name}.mp4"
        write_clip(path, one.frames, FPS, one.sound, how)
        frames, fps, sound = read_clip(path, 0.0, 9.0)
        assert len(frames) == N
        assert fps == FPS
        assert frames.shape[1] == (100 if name == "heavy" else 200)
        assert abs(sound.size - one.sound.size) < RATE // 4
        # The encoders are not always the same to the byte, the pictures are the same to the eye.
        write_clip(path, one.frames, FPS, one.sound, how)
        again = read_clip(path, 0.0, 9.0)[0]
        assert np.abs(again.astype(np.int16) - frames).mean() < 0.5
    sizes = [(tmp_path / f"{name}.mp4").stat().st_size for name in COMPRESSIONS]
    assert sizes == sorted(sizes, reverse=True)
    write_clip(tmp_path / "silent.mp4", one.frames, FPS, np.zeros(0, np.float32), COMPRESSIONS["light"])
    assert read_clip(tmp_path / "silent.mp4", 0.0, 1.0)[2].size == 0


@pytest.fixture(scope="module")
def tiny_kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four films of a drawn face, one of none, and some noise that passes for speech in both halves."""
    kit = tmp_path_factory.mktemp("kit")
    rows, rng = [], np.random.default_rng(4)
    for i in range(5):
        path = kit / "video" / "real" / "made" / f"head{i}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        places = [(60 + 2 * abs(12 - k) % 9, 40 + i, 120) for k in range(24)] if i < 4 else [None] * 24
        pictures = [scene(*([place] if place else []), size=(200, 240)) for place in places]
        noisy = [np.clip(p + rng.normal(0, 3, p.shape), 0, 255).astype(np.uint8) for p in pictures]
        write_film(path, np.stack(noisy), FPS, 20)
        rows.append((f"video/real/made/{path.name}", "real", "talking head" if i < 4 else "a wall", "none stated"))
    _table(kit / "manifest-video.csv", ("path", "label", "method", "licence_stated"), rows)
    sounds = []
    for source in ("one", "two", "three", "four"):
        for k in range(4):
            path = kit / "audio" / "real" / source / f"{k}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_sound(path, rng.normal(0, 0.1, RATE).astype(np.float32), RATE)
            sounds.append((f"audio/real/{source}/{k}.wav", "real"))
    _table(kit / "manifest-audio.csv", ("path", "label"), sounds)
    return kit


def _table(path: Path, names: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])


def plan(kit: Path, out: Path) -> making.TalkingPlan:
    return making.TalkingPlan(kit, out, kit, 1, ("swap_alpha", "lips"), 1, None, 2.0, 1)


@pytest.fixture(scope="module")
def tiny_set(tiny_kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("set")
    list(making.forge_talking(plan(tiny_kit, out)))
    return out


def test_a_set_has_both_classes_at_every_compression(tiny_set: Path) -> None:
    rows = making.read(tiny_set)
    assert all((tiny_set / row.path).is_file() for row in rows)
    assert len({row.sha256 for row in rows}) == len(rows)
    for name in COMPRESSIONS:
        some = [row for row in rows if row.compression == name]
        assert sum(row.forged for row in some) == 4
        assert sum(not row.forged for row in some) == 5
    assert sum(row.compression == "original" for row in rows) == 5
    forged = [row for row in rows if row.forged]
    assert {row.family for row in forged} == {"swap_alpha", "lips"}
    assert all(row.stretch is not None for row in forged)


def test_no_person_is_in_both_halves(tiny_set: Path) -> None:
    rows = making.read(tiny_set)
    half = {row.person: row.half for row in rows if row.kind == "talking head"}
    assert sorted(half.values()) == ["calibration"] * 2 + ["test"] * 2
    assert all(half[row.donor] == row.half for row in rows if row.donor)
    assert all(row.person != row.donor for row in rows)


def test_a_set_goes_on_where_it_was(tiny_kit: Path, tiny_set: Path, tmp_path: Path) -> None:
    before = making.read(tiny_set)
    assert list(making.forge_talking(plan(tiny_kit, tiny_set))) == []
    assert making.read(tiny_set) == before
    started = making.forge_talking(replace(plan(tiny_kit, tmp_path), workers=2))
    first = next(started)
    started.close()
    same = next(row for row in before if row.path == first.path)
    assert replace(first, sha256="", bytes=0) == replace(same, sha256="", bytes=0)
    # x264's AVX-512 code does not repeat itself to the byte, so the pictures are compared and not the files.
    one, two = (read_clip(folder / first.path, 0.0, 9.0) for folder in (tmp_path, tiny_set))
    assert np.abs(one[0].astype(np.int16) - two[0]).mean() < 0.5
    assert one[2].size == two[2].size


def test_too_few_people_and_other_folders_are_told(tiny_kit: Path, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no kit"):
        making.kit_films(tmp_path)
    with pytest.raises(LabError, match="no manifest"):
        making.read(tmp_path)
    lines = (tiny_kit / "manifest-video.csv").read_text().splitlines()
    (tmp_path / "manifest-video.csv").write_text("\n".join(lines[:3]))
    with pytest.raises(LabError, match="at least four"):
        list(making.forge_talking(making.TalkingPlan(tmp_path, tmp_path / "out", tmp_path)))


def test_stretches_are_long_enough_and_inside() -> None:
    for seed in range(30):
        first, last = making.stretch_of(np.random.default_rng(seed), 150, 30.0, True)
        assert 0 <= first < last <= 150
        assert 36 <= last - first <= 75
    assert making.stretch_of(np.random.default_rng(1), 150, 30.0, False) == (0, 150)


def test_films_are_scanned_once(tiny_set: Path, tmp_path: Path) -> None:
    scan = films.scan_films(tiny_set, tmp_path, ("video.frames",), isolation="inline")
    assert len(list(scan)) == len(making.read(tiny_set))
    assert list(films.scan_films(tiny_set, tmp_path, ("video.frames",), isolation="inline")) == []
    again = films.scan_films(tiny_set, tmp_path, ("video.frames",), True, isolation="inline")
    assert next(iter(again))[0]
    judged = films.load(tiny_set, tmp_path)
    assert len(judged) == len(making.read(tiny_set))
    assert all("video.frames" in one.findings for one in judged)
    films.write_scores(tmp_path / "scores.json", judged)
    kept = json.loads((tmp_path / "scores.json").read_text())
    assert {row["path"] for row in kept} == {one.row.path for one in judged}
    text = CliRunner().invoke(app, ["eval-films", str(tiny_set), "--out", str(tmp_path), "--no-scan", "--rounds", "5"])
    assert text.exit_code == 0
    assert "Untouched films" in text.output


def test_asking_nobody_is_told(tiny_set: Path, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="is called"):
        films.asked(("no.such",))
    with pytest.raises(LabError, match="scan the set first"):
        films.load(tiny_set, tmp_path)


def _judged(row: making.TalkingRow, raw: float, stretch: tuple[float, float]) -> films.Judged:
    card = next(card for card in find_cards() if card.id == "face.swap")
    x = np.arange(20) / 4
    y = np.where((x >= stretch[0]) & (x < stretch[1]), 5.0, 0.0)
    shown = [
        evidence.plot("Face 1 over time", "", x.tolist(), [("log-odds", y.tolist())], "seconds", "log-odds"),
        evidence.segments("Suspicious", "", [(*stretch, "here")], sign=True),
        evidence.segments("Faces through the film", "", [(0.0, 5.0, "face 1")]),
    ]
    found = card.ok("swap.signs", "Said.", raw_score=raw, evidence=shown)
    return films.Judged(row, {"face.swap": found}, films.fuse("video", [found], find_cards()))


def made_rows() -> list[making.TalkingRow]:
    rows = []
    for i, copy in enumerate(("light", "medium", "heavy")):
        for k in range(4):
            base = {"person": f"p{k}", "half": "test" if k % 2 else "calibration", "kind": "talking head",
                    "parent": f"p{k}", "compression": copy, "seconds": 5.0, "bytes": 1000 + i}  # fmt: skip
            rows.append(making.TalkingRow(f"{copy}/{k}-r.mp4", "bona_fide", "none", "", **base))
            rows.append(making.TalkingRow(f"{copy}/{k}-f.mp4", "manipulated", "swap_alpha", "seen", **base,
                                          start="1.0", end="3.0", partial="yes"))  # fmt: skip
    return rows


def test_tables_tell_what_was_found_and_where() -> None:
    judged = [_judged(row, 12.0 if row.forged else -4.0, (1.0, 3.0)) for row in made_rows()]
    text = "\n".join(films_report.blocks(judged, rounds=5))
    assert "| swap_alpha | 1.0 [1.0, 1.0] (n 4/4) |" in text
    assert "| `face.swap` | swap_alpha | 12 | 12 | 1.00 | 0.40 | 1.00 (12) |" in text
    assert "| talking head | light | 4 | 0 |" in text
    assert "Baseline: bytes a second" in text
    finding = judged[0].findings["face.swap"]
    assert films.segments_of(finding) == [(1.0, 3.0)]
    assert films_report.inside(finding, (1.0, 3.0)) == 1.0
    assert films_report.inside(finding, (0.0, 9.0)) is None


def test_overlap_and_marked_stretches() -> None:
    assert films.overlap([(0.0, 1.0), (2.0, 3.0)], (0.5, 2.5)) == pytest.approx(1 / 3)
    assert films.overlap([], (0.0, 1.0)) == 0.0
    card = next(card for card in find_cards() if card.id == "face.swap")
    two = [evidence.Stretch(0, 5, "all"), evidence.Stretch(1, 2, "this", "Face 1", True)]
    lanes = evidence.segments("Faces through the film", "", two)
    other = evidence.segments("Seconds", "", [(3.0, 4.0, "said")])
    assert films.segments_of(card.ok("x", "y", 1.0, [lanes, other])) == [(1.0, 2.0)]
    assert films.segments_of(card.ok("x", "y", 1.0, [other])) == []
    assert films.segments_of(card.ok("x", "y", 1.0)) == []


@pytest.mark.parametrize(("value", "said"), [("+120 ms", 0.12), ("-0.3 s", -0.3), ("none", None)])
def test_offsets_are_read_from_facts(value: str, said: float | None) -> None:
    card = next(card for card in find_cards() if card.id == "face.swap")
    assert (
        films_report.offset_of(card.ok("x", "y", 1.0, [evidence.fact("Offset of the sound, face 1", value, "lips")]))
        == said
    )


def test_facts_are_numbers_by_name_the_largest_of_all_faces() -> None:
    card = next(card for card in find_cards() if card.id == "face.swap")
    told = [evidence.fact(f"Face {i}: change of the skin", f"{i}.5 times that of before", "x") for i in (1, 3, 2)]
    told += [evidence.fact("Agreement by accident, face 1", "2.50%", "x"), evidence.fact("Faces", "none", "x")]
    assert films.facts_of(card.ok("x", "y", 1.0, told)) == {"change of the skin": 3.5, "Agreement by accident": 2.5}


def test_speech_of_others_is_as_long_as_asked(tiny_kit: Path) -> None:
    for half in ("calibration", "test"):
        try:
            wave = making.other_speech(tiny_kit, half, 2.5, np.random.default_rng(1))
        except LabError as error:
            assert error.code == "manifest.empty"
            continue
        assert wave.size == int(2.5 * RATE)
    sound, rate = read_sound(tiny_kit / "audio" / "real" / "one" / "0.wav")
    assert (sound.size, rate) == (RATE, RATE)


def test_a_reader_fills_its_stretch() -> None:
    wave: NDArray[np.float32] = voice.spoken(job(), voice.READERS[0])[0]
    assert wave.size == job().parent.sound.size
    assert np.abs(wave[round(7 / FPS * RATE) : round(18 / FPS * RATE)]).mean() > 0.01
