"""What is measured of films apart: where curves point, how faces flicker, how exact the offset of lips is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from unmask import evidence
from unmask.card import find_cards
from unmask.detectors.video_lipsync.sound import RATE
from unmask.films.closeup import CloseLook
from unmask_lab.cli import app
from unmask_lab.errors import LabError
from unmask_lab.evaluate import film_faces, film_lips, film_places, film_places_report, films
from unmask_lab.evaluate.film_places import Trace
from unmask_lab.evaluate.report import put_tables
from unmask_lab.forge.av_io import write_sound
from unmask_lab.forge.talking.making import TalkingRow
from unmask_lab.train.recipes import video_lipsync as recipe

TRUTH = (2.0, 4.0)


def made(values: list[float], person: str = "a", truth: tuple[float, float] | None = TRUTH) -> Trace:
    """Ten looks, one a second."""
    edges = np.arange(len(values) + 1, dtype=np.float64)
    return Trace(person, "lips", "light", np.array(values), edges[:-1], edges[1:], float(len(values)), truth)


def test_overlap_is_that_of_the_looks_with_the_stretch() -> None:
    one = made([0, 0, 5, 5, 0, 0, 0, 0, 0, 0])
    assert film_places.overlap_of(one.values >= 5, one) == pytest.approx(1.0)
    assert film_places.overlap_of(one.values >= 9, one) == 0.0
    assert film_places.best_overlap(one) == pytest.approx(1.0)
    assert film_places.whole_overlap(one) == pytest.approx(0.2)
    half = made([0, 5, 5, 0, 0, 0, 0, 0, 0, 0])
    assert film_places.overlap_of(half.values >= 5, half) == pytest.approx(1 / 3)


def test_turned_and_random_are_what_chance_gives() -> None:
    one = made([0, 0, 5, 5, 0, 0, 0, 0, 0, 0])
    assert 0.2 < film_places.turned_overlap(one) < 0.35
    # A stretch of two seconds put anywhere into ten: 0..1 over the distance to the true one.
    assert 0.1 < film_places.random_overlap(one) < 0.3


def test_the_level_is_what_a_share_of_looks_exceeds_and_films_count_alike() -> None:
    many, few = made(list(range(100)), truth=None), made([1000.0, 0.0], truth=None)
    assert (many.values >= film_places.level_of([many], 0.05)).mean() == pytest.approx(0.05)
    # The one loud look of the short film is a quarter of all looks by weight.
    assert film_places.level_of([many, few], 0.2) > 1000
    assert 80 < film_places.level_of([many, few], 0.3) < 1000
    assert film_places.level_of([], 0.05) == float("inf")


def test_change_points_are_found_and_noise_has_none() -> None:
    rng = np.random.default_rng(4)
    noise = rng.normal(0, 1, 120)
    assert np.ptp(film_places.stepwise(noise)) < 1e-9
    stepped = film_places.stepwise(noise + np.where((np.arange(120) >= 40) & (np.arange(120) < 70), 5.0, 0.0))
    edges = np.flatnonzero(np.diff(stepped)) + 1
    assert len(edges) == 2
    assert abs(edges[0] - 40) <= 1
    assert abs(edges[1] - 70) <= 1
    assert film_places.stepwise(np.array([1.0])).tolist() == [1.0]


def test_change_points_are_the_best_ones() -> None:
    """The pruned search gives what the whole one does."""
    values = np.random.default_rng(2).normal(0, 1, 25).cumsum()
    found = film_places.stepwise(values, 1.0)
    noise = float(np.median(np.abs(np.diff(values)))) / 0.954
    fine = noise**2 * np.log(25)
    best = np.full(26, -fine)
    for end in range(1, 26):
        best[end] = min(
            best[start] + fine + float(((values[start:end] - values[start:end].mean()) ** 2).sum())
            for start in range(end)
        )
    pieces = int((np.diff(found) != 0).sum()) + 1
    assert ((values - found) ** 2).sum() + (pieces - 1) * fine == pytest.approx(best[25])


def test_two_levels_widen_what_reaches_the_higher_one() -> None:
    values = np.array([0.0, 2, 5, 2, 0, 2, 2, 0])
    assert film_places.widened(values, 4, 1).tolist() == [False, True, True, True, False, False, False, False]
    assert film_places.runs_above(values, 4, 1, 2).any() == np.False_
    assert film_places.runs_above(values, 2, 2, 3).tolist() == [False, True, True, True, False, False, False, False]
    assert film_places.running_median(np.array([0.0, 9, 0, 0, 5]), 3).tolist() == [4.5, 0, 0, 0, 2.5]


def row(person: str, forged: bool, copy: str = "light") -> TalkingRow:
    """A five-second film."""
    name = f"{copy}/{person}-{'f' if forged else 'r'}.mp4"
    what = ("manipulated", "lips", "seen") if forged else ("bona_fide", "none", "")
    made = TalkingRow(name, *what, person, "test", "talking head", person, copy, 5.0)
    return replace(made, start="1.0", end="3.0", partial="yes") if forged else made


def judged(one: TalkingRow, detector: str = "face.swap") -> films.Judged:
    """A curve that is high in the forged stretch, and stretches and facts as video.temporal gives them."""
    card = next(card for card in find_cards() if card.id == detector)
    x = np.arange(20) / 4
    low, high = one.stretch or (9.0, 9.0)
    y = np.where((x >= low) & (x < high), 5.0, 0.0) + 0.01 * np.arange(20) % 0.07
    shown = [evidence.plot("Face 1 over time", "", x.tolist(), [("log-odds", y.tolist())], "seconds", "log-odds")]
    if detector == "video.temporal":
        skin = f"{2.0 if one.forged else 1.0:.2f} times that of its surroundings"
        shown = [
            evidence.fact("Face 1: change of the skin that motion does not explain", skin, "faces"),
            evidence.plot(
                "Face 1: trembling of the mesh",
                "",
                x.tolist(),
                [("inside", (y + 1).tolist())],
                "seconds",
                "thousandths",
            ),
        ]
        if one.forged:
            shown.append(evidence.segments("Stretches in which a face flickers", "", [(1.5, 2.5, "skin")]))
    found = card.ok("said", "Said.", raw_score=1.0 if card.scored else None, evidence=shown)
    return films.Judged(one, {detector: found}, films.fuse("video", [found], find_cards()))


def test_where_marks_the_stretch_at_other_peoples_level() -> None:
    people = "abcd"
    some = [judged(row(p, forged, c)) for p in people for forged in (False, True) for c in ("light", "heavy")]
    found = film_places_report.curves(some, "face.swap")
    assert len(found.honest) == len(found.forged) == 8
    assert all(found.overlap(one) > 0.85 for one in found.forged)
    assert all(found.share(one) < 0.1 for one in found.honest)
    text = "\n\n".join(film_places_report.blocks(some, 5))
    assert "| `face.swap` | lips | heavy | 4 / 4 | " in text
    assert "| `face.swap` | change points | 8 / 4 | " in text
    assert "image.synthetic" not in text
    assert "| 5.0 | 2.5 | 8 of 8 | 0.88 | 0.88 | 0 of 8 |" in text
    assert "| own median + 4.0 | own median + 2.0 | 8 of 8 | " in text


def test_nobodys_level_is_fitted_on_the_own_person() -> None:
    loud = judged(row("loud", False))
    plot = loud.findings["face.swap"].evidence[0]
    data = {**(plot.data or {}), "series": [{"name": "log-odds", "y": [50.0] * 20}]}
    finding = loud.findings["face.swap"].model_copy(update={"evidence": (plot.model_copy(update={"data": data}),)})
    some = [replace(loud, findings={"face.swap": finding}), judged(row("calm", False)), judged(row("calm", True))]
    levels = film_places_report.curves(some, "face.swap").levels
    assert levels["calm"][0] > 50
    assert levels["loud"][0] < 1


def test_faces_are_told_from_findings() -> None:
    some = [judged(row(p, forged), "video.temporal") for p in "abc" for forged in (False, True)]
    text = "\n".join(film_faces.blocks(some))
    assert "| skin against surroundings | lips | 1.00 (n 3/3) | – | – | 3 of 3 |" in text
    assert "| trembling inside | lips | " in text
    assert "| untouched | light | 3 | 0 | – |" in text
    assert "| lips | light | 3 | 3 | 3 |" in text


def test_the_command_writes_between_the_markers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    some = [judged(row(p, forged), "video.temporal") for p in "abc" for forged in (False, True)]
    monkeypatch.setattr(films, "load", lambda folder, out: some)
    page = tmp_path / "page.md"
    page.write_text("Before\n<!-- films-faces: begin -->\nold\n<!-- films-faces: end -->\nAfter\n")
    asked = ["eval-films-apart", str(tmp_path), "--out", str(tmp_path / "f"), "--table", "faces"]
    assert CliRunner().invoke(app, [*asked, "--into", str(page)]).exit_code == 0
    text = page.read_text()
    assert text.startswith("Before\n")
    assert "old" not in text
    assert "skin against surroundings" in text
    assert "skin against surroundings" in CliRunner().invoke(app, asked).output
    with pytest.raises(LabError, match="has no"):
        put_tables(page, [""], "films-where")


# Lips: three made people whose mouths open with their sound, the sound late by a known time.

SECONDS, FPS = 9.0, 25.0


def talker(folder: Path, name: str, late: float, seed: int) -> film_lips.Speaker:
    """A mesh whose mouth moves with a sound that comes ``late`` seconds after it."""
    rng = np.random.default_rng(seed)
    count = int((SECONDS + 2) * RATE)
    time = np.arange(count) / RATE
    knots = np.arange(0, SECONDS + 4, 0.12)
    height = rng.random(len(knots))

    def loud(t: np.ndarray) -> np.ndarray:
        return np.interp(t, knots, height)

    wave = (rng.normal(0, 0.1, count) * np.exp(4 * loud(time - late) - 4)).astype(np.float32)
    path = folder / f"{name}.wav"
    write_sound(path, wave, RATE)
    times = np.arange(int(SECONDS * FPS)) / FPS
    mesh = np.tile(rng.normal(0, 1, (1, 468, 3)).astype(np.float32) * 20 + 100, (len(times), 1, 1))
    for i, x, y in ((33, 80, 80), (133, 95, 80), (362, 105, 80), (263, 120, 80), (61, 88, 120), (291, 112, 120)):
        mesh[:, i, :2] = x, y
    for upper, lower in ((13, 14), (82, 87), (312, 317), (0, 17)):
        mesh[:, upper, :2], mesh[:, lower, :2] = (100, 118), (100, 120)
        mesh[:, lower, 1] += 12 * loud(times)
    look = CloseLook(1, times, mesh, np.ones(len(times), np.float32), np.zeros((0, 0, 0, 3), np.uint8), 100.0, 1.0)
    return film_lips.Speaker(row(name, False, "original"), path, look, late)


def test_known_offsets_are_found(tmp_path: Path) -> None:
    people = [
        talker(tmp_path, name, late, seed) for seed, (name, late) in enumerate((("a", 0.1), ("b", 0.05), ("c", 0.15)))
    ]
    found = film_lips.measure(people)
    eight = [one for one in found.shifted if one.length == 8.0]
    assert {one.person for one in eight} == {"a", "b", "c"}
    errors = np.abs([one.error for one in eight])
    assert np.median(errors) < 0.03
    text = "\n".join(film_lips.blocks(found))
    assert f"| original | 8 s | 3 / 3 / {len(eight)} | " in text
    assert "| another person's sound | 8 s | original | " in text
    true = [one.peak for one in eight if one.shift == 0]
    other = [one.peak for one in found.foreign if one.length == 8.0]
    assert np.median(true) > max(np.quantile(other, 0.9), 0)


def test_an_offset_beyond_the_search_is_not_asked(tmp_path: Path) -> None:
    people = [talker(tmp_path, name, 0.3, seed) for seed, name in enumerate("abc")]
    found = film_lips.measure(people)
    assert max(one.shift for one in found.shifted) < 400


def test_a_set_without_speakers_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(film_lips.making, "read", lambda folder: [row("nobody", False)])
    with pytest.raises(LabError, match="fewer than three"):
        list(film_lips.speakers(tmp_path, tmp_path / "looks"))


def test_what_was_followed_is_not_followed_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = [name.rpartition("/")[2] for name in recipe.PEOPLE][:3]
    rows = [replace(row(name, False), sha256=str(i) * 64) for i, name in enumerate(names)]
    monkeypatch.setattr(film_lips.making, "read", lambda folder: rows)
    for i in range(3):
        mesh = np.random.default_rng(i).normal(50, 9, (100 * (i > 0), 468, 3)).astype(np.float32)
        kept = tmp_path / "looks" / f"{str(i) * 16}.npz"
        kept.parent.mkdir(exist_ok=True)
        np.savez(kept, times=np.arange(len(mesh)) / 25, mesh=mesh, presence=np.ones(len(mesh), np.float32))
    # The films themselves are not there; the first one showed no face.
    found = list(film_lips.speakers(tmp_path, tmp_path / "looks"))
    assert [one.row.person for one in found] == names[1:]
    part = found[0].stretch(1.0, 2.0)
    assert len(part.times) == len(part.mesh) == 50
