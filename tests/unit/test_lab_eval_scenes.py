"""Films put together from scores of pictures: what is counted, and that chance does not grow with the scenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from unmask_lab import scores
from unmask_lab.cli import app
from unmask_lab.errors import LabError
from unmask_lab.evaluate.scenes import Pool, film, pools, rates
from unmask_lab.scores import Score


def table(path: Path) -> Path:
    rng = np.random.default_rng(3)
    rows = [
        Score(f"r{i}.jpg", "image.synthetic", 0, f"s{i}", float(rng.normal(-2, 1)), variant=v, stratum="tower")
        for i in range(60)
        for v in ("clean", "laundered:1")
    ]
    rows += [
        Score(f"films-a{i}-{k}.png", "image.synthetic", 1, "g", 5.0 + k, variant=v, stratum="tower")
        for i in range(5)
        for k in range(4)
        for v in ("clean", "laundered:1")
    ]
    rows.append(Score("pictures-a-0.png", "image.synthetic", 1, "g", 9.0, stratum="tower"))
    scores.write(path, rows)
    return path


def test_a_film_is_its_frames_and_pictures_are_left_out(tmp_path: Path) -> None:
    found = pools(scores.read(table(tmp_path / "t.csv")), "tower")
    assert {name: (pool.bona.size, len(pool.films)) for name, pool in found.items()} == {
        "clean": (60, 5),
        "laundered": (60, 5),
    }
    assert sorted(found["clean"].films[0]) == [5.0, 6.0, 7.0, 8.0]


def test_one_generated_scene_counts_less_the_more_scenes_there_are() -> None:
    rng = np.random.default_rng(0)
    quiet, loud = np.array([-3.0]), np.array([6.0])
    raws = [film([loud, *[quiet] * n], 1.0, rng) for n in (0, 1, 3, 15)]
    assert [round(raw, 3) for _, raw in raws] == [6.0, *(round(float(6 - np.log(n + 2)), 3) for n in (1, 3, 15))]
    assert raws[0][0] == 6.0 and raws[2][0] == -3.0


def test_rates_of_hits() -> None:
    pool = Pool(np.array([-3.0]), (np.array([4.0]),))
    assert rates(pool, 4, 0, 2.9, 0.6) == (0.0, 0.0)
    assert rates(pool, 4, 1, 2.9, 0.6) == (0.0, 1.0)
    assert rates(pool, 4, 4, 2.9, 0.6) == (1.0, 1.0)


def test_the_command_writes_into_a_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unmask_lab.evaluate.scenes.ROUNDS", 20)
    page = tmp_path / "page.md"
    page.write_text("# x\n<!-- film-scenes: begin -->\n<!-- film-scenes: end -->\n")
    done = CliRunner().invoke(app, ["eval-scenes", str(table(tmp_path / "t.csv")), "--into", str(page)])
    assert done.exit_code == 0, done.output
    assert "60 bona fide files and 5 generated films" in page.read_text()
    assert page.read_text().count("| tower |") == 10


def test_a_table_without_films_is_refused(tmp_path: Path) -> None:
    scores.write(tmp_path / "t.csv", [Score("a", "q", 0, "s", 0.0, stratum="tower")])
    with pytest.raises(LabError, match="No films"):
        pools(scores.read(tmp_path / "t.csv"), "tower")
