"""Judging labelled files: detectors, model folders and other people's programs, well and badly behaved."""

from __future__ import annotations

import math
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lab_made import texture
from PIL import Image

from unmask_lab import manifest, scores
from unmask_lab.errors import LabError
from unmask_lab.evaluate import judge, judges
from unmask_lab.evaluate.judges import BaselineJudge, CommandJudge, DetectorJudge, ModelJudge
from unmask_lab.launder import ladder
from unmask_lab.manifest import Row


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two sources with two bona fide and two synthetic pictures each, the latter brighter, and their manifest."""
    rows = []
    for source in "ab":
        for i in range(4):
            label = "synthetic" if i % 2 else "bona_fide"
            pixels = texture(i, 80, 96) // 4 + (120 if i % 2 else 0)
            path = tmp_path / f"{source}{i}.png"
            Image.fromarray(pixels.astype(np.uint8)).save(path)
            extra = {"question": "image.synthetic", "generator": "g", "family": "gan"} if i % 2 else {}
            rows.append(Row(path.name, "image", label, source=source, **extra))
    manifest.write(tmp_path / "m.csv", rows)
    return tmp_path


def python(code: str) -> str:
    return f'{sys.executable} -c "{code}"'


BRIGHT = (
    "import sys; from PIL import Image, ImageStat; "
    "[print(p.strip(), ImageStat.Stat(Image.open(p.strip())).mean[0]) for p in sys.stdin]"
)


def run(folder: Path, who: judges.Judge, **given: object) -> list[scores.Score]:
    found = judge.plan(folder / "m.csv", folder / "worn", "image", **given)  # type: ignore[arg-type]
    list(judge.judge(found, who, folder / "t.csv"))
    return scores.read(folder / "t.csv")


def test_a_program_that_reads_paths_from_standard_input(pictures: Path) -> None:
    rows = run(pictures, CommandJudge(python(BRIGHT), "bright"), variants=("clean", "jpeg50"))
    assert len(rows) == 16 and {r.detector for r in rows} == {"bright"}
    assert {r.variant for r in rows} == {"clean", "jpeg50"}
    assert min(r.raw for r in rows if r.label) > max(r.raw for r in rows if not r.label)
    assert {r.kind for r in rows if not r.label} == {"web photograph"} and {r.family for r in rows if r.label} == {
        "gan"
    }
    assert all(r.seconds > 0 for r in rows)


def test_a_stopped_run_goes_on(pictures: Path) -> None:
    run(pictures, CommandJudge(python(BRIGHT), "bright"))
    again = run(pictures, CommandJudge(python("import sys; sys.exit(3)"), "bright"))
    assert len(again) == 8, "nothing was left to do, so the program was not asked"
    both = run(pictures, CommandJudge(python("import sys; [print(p.strip(), 1) for p in sys.stdin]"), "other"))
    assert len(both) == 16


@pytest.mark.parametrize(
    "printed",
    [
        "print(0.25)",
        "print(json.dumps({'ai_probability': 0.25}))",
        "print(sys.argv[1], 0.25)",
        "print('hm'); print(0.25)",
    ],
)
def test_a_program_run_once_a_file(pictures: Path, printed: str) -> None:
    script = pictures / "judge.py"
    script.write_text(f"import sys, json\n{printed}\n")
    found = list(CommandJudge(f"{sys.executable} {script} {{}}").score([pictures / "a0.png"]))
    assert found[0].raw == 0.25 and found[0].status == "ok"


def test_json_lines_and_declined_answers(pictures: Path) -> None:
    paths = [pictures / "a0.png", pictures / "a1.png", pictures / "b0.png"]
    script = pictures / "judge.py"
    script.write_text(
        "import sys, json\n"
        "print('warming up')\n"
        "for i, p in enumerate(sys.stdin):\n"
        "    print(json.dumps({'path': p.strip(), 'score': None if i == 1 else i + 0.5}))\n"
    )
    found = list(CommandJudge(f"{sys.executable} {script}").score(paths))
    assert [o.status for o in found] == ["ok", "declined:command", "ok"]
    assert found[2].raw == 2.5 and math.isnan(found[1].raw)


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("/nowhere/at/all {}", "eval.command", "cannot be started"),
        ("'unclosed", "eval.command", "cannot be read"),
        ("", "eval.command", "empty"),
        (python("import sys; sys.exit('no weights')"), "eval.crashed", "no weights"),
        (python("print('it is real, I think')"), "eval.nonsense", "it is real"),
        (python("pass"), "eval.nonsense", "nothing at all"),
        (python("import sys; [print(p.strip(), 'nan') for p in sys.stdin]"), "eval.not_a_number", "nan"),
        (python("import sys; print(sys.stdin.readline().strip(), 1)"), "eval.nonsense", "no score for a1.png"),
        (python("import os; os.kill(os.getpid(), 9)"), "eval.crashed", "-9"),
    ],
)
def test_programs_that_misbehave_are_told(pictures: Path, command: str, code: str, says: str) -> None:
    with pytest.raises(LabError, match=says) as raised:
        list(CommandJudge(command).score([pictures / "a0.png", pictures / "a1.png"]))
    assert raised.value.code == code


def test_a_program_that_hangs_is_ended_with_its_children(pictures: Path) -> None:
    mark = pictures / "child"
    start = f"import subprocess as s, time; p = s.Popen(['sleep', '60']); open(r'{mark}', 'w').write(str(p.pid))"
    code = f"{start}; time.sleep(60)"
    started = time.monotonic()
    with pytest.raises(LabError, match="gave no answer") as raised:
        list(CommandJudge(python(code), timeout=1.5).score([pictures / "a0.png"]))
    assert raised.value.code == "eval.hangs" and time.monotonic() - started < 10
    for _ in range(50):
        try:
            os.kill(int(mark.read_text()), 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("the program's child lives on")


def test_an_installed_detector_and_what_it_declines(pictures: Path) -> None:
    rows = run(pictures, DetectorJudge("image.copy_move"))
    assert len(rows) == 8 and all(r.status.startswith(("ok", "declined", "not_applicable")) for r in rows)
    assert any(r.status.startswith("declined:") for r in rows), "80 pixels are too few for it"
    (pictures / "torn.png").write_bytes(b"nothing")
    torn = list(DetectorJudge("image.copy_move").score([pictures / "torn.png"]))
    assert torn[0].status.startswith("failed:")
    with pytest.raises(LabError, match="no detector"):
        DetectorJudge("image.nothing")


def test_model_folders_need_one_input_and_one_number(tmp_path: Path) -> None:
    from unmask.models.store import MODELS

    with pytest.raises(LabError, match="1404 numbers"):
        ModelJudge(MODELS / "face-landmark-1")
    with pytest.raises(LabError, match="cannot be used"):
        ModelJudge(tmp_path)


def test_trivial_facts(pictures: Path) -> None:
    path = pictures / "a0.png"
    values = {name: next(BaselineJudge(name).score([path])).raw for name in ("bytes", "bytes_per_pixel", "long_side")}
    assert values["long_side"] == 96
    assert values["bytes"] == path.stat().st_size == pytest.approx(values["bytes_per_pixel"] * 80 * 96)
    tone = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(ladder.RATE) / ladder.RATE)).astype(np.float32)
    assert judges.bandwidth(tone) == pytest.approx(1000, abs=2)
    assert judges.loudness(tone) == pytest.approx(-9.03, abs=0.05)


def test_laundered_copies_depend_on_the_bytes_only(pictures: Path) -> None:
    twin = pictures / "real-and-true.png"
    twin.write_bytes((pictures / "a1.png").read_bytes())
    made = [ladder.make_variant(p, "image", "laundered:2", pictures / "w") for p in (pictures / "a1.png", twin)]
    assert made[0] != made[1] and made[0].read_bytes() == made[1].read_bytes()


def test_plans_refuse_what_cannot_be_judged(pictures: Path) -> None:
    with pytest.raises(LabError, match="no variant 'jpeg'"):
        judge.plan(pictures / "m.csv", pictures, "image", variants=("jpeg",))
    with pytest.raises(LabError, match="not both"):
        judge.plan(pictures / "m.csv", pictures, "image", "face.swap")
    with pytest.raises(LabError, match="not both"):
        judge.plan(pictures / "m.csv", pictures, "audio")
    (pictures / "m.csv").write_text("path,modality,label\n")
    with pytest.raises(LabError, match="names no file"):
        judge.plan(pictures / "m.csv", pictures, "image")


def test_thinning_keeps_every_source() -> None:
    rows = [Row(f"{s}{i}", "image", "bona_fide", source=s) for s in "abc" for i in range(5)]
    rows += [replace(r, label="synthetic") for r in rows]
    kept = list(judge.thinned(rows, 3))
    assert {(r.source, r.label) for r in kept} == {(r.source, r.label) for r in rows} and len(kept) == 12


def test_the_commands_go_from_files_to_a_page(pictures: Path) -> None:
    from typer.testing import CliRunner

    from unmask_lab.cli import app

    def lab(*words: str) -> str:
        done = CliRunner().invoke(app, list(words))
        assert done.exit_code == 0, done.output
        return done.output

    table = pictures / "s.csv"
    given = ["--command", python(BRIGHT), "--name", "bright", "--variant", "clean", "--variant", "laundered:1"]
    told = lab("eval", str(pictures / "m.csv"), "--out", str(table), "--question", "image.synthetic", *given)
    assert "bright: 16 rows" in told and "baseline.bytes: 16 rows" in told
    assert "== bright\nall: AUC 1.0" in lab("scores", str(table), "--rounds", "10")
    (pictures / "d.md").write_text("<!-- x: begin -->\n<!-- x: end -->\n")
    words = ["--title", "Generated?", "--rounds", "10", "--html", str(pictures / "p.html")]
    lab("eval-report", str(table), *words, "--into", str(pictures / "d.md"), "--section", "x")
    assert "<h1>Generated?</h1>" in (pictures / "p.html").read_text()
    assert "| bright | 1.0" in (pictures / "d.md").read_text()
    nobody = CliRunner().invoke(app, ["eval", str(pictures / "m.csv"), "--out", str(table), "--no-baselines"])
    assert isinstance(nobody.exception, LabError) and nobody.exception.code == "eval.nobody"
