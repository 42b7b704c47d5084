"""Pictures as coded clips: what goes in comes out, and the table says what coding changed."""

from __future__ import annotations

import numpy as np
import pytest

from unmask_lab.evaluate import coding
from unmask_lab.manifest import Row
from unmask_lab.scores import Score


def picture(h: int, w: int) -> np.ndarray:
    small = np.random.default_rng(2).integers(0, 255, (h // 8, w // 8, 3), np.uint8)
    return np.repeat(np.repeat(small, 8, 0), 8, 1)


@pytest.mark.parametrize("size", [(256, 256), (480, 640), (1200, 1600)])
def test_a_clip_moves_and_is_never_enlarged(size: tuple[int, int]) -> None:
    for seed in range(3):
        frames = coding.clip(picture(*size), np.random.default_rng(seed))
        assert len(frames) == coding.FRAMES
        assert frames.shape[1] % 2 == 0 and frames.shape[2] % 2 == 0
        assert max(frames.shape[1:3]) <= min(1280, max(size))
        assert (frames[0] != frames[-1]).any()


@pytest.mark.parametrize("codec", coding.CODECS)
def test_a_lower_rate_keeps_less(codec: str) -> None:
    frames = coding.clip(picture(256, 320), np.random.default_rng(0))
    plain = frames[coding.LOOKED].astype(float)
    lost = [np.abs(coding.coded(frames, codec, rate) - plain).mean() for rate in (0, 2)]
    assert 0 < lost[0] < lost[1] < 40


def test_three_pictures_give_all_codings() -> None:
    assert len({one for number in range(3) for one in coding.variants(number)}) == 9


def test_each_round_takes_one_of_every_source() -> None:
    rows = [Row(path=f"{s}{i}", modality="image", label="bona_fide", source=s) for s in "ab" for i in range(3)]
    taken = coding.order(rows, 2)
    assert [row.source for row in taken] == ["a", "b", "a", "b"]
    assert len({row.path for row in taken}) == 4


def test_the_table_tells_the_change() -> None:
    rows = []
    for i in range(6):
        for variant, raw in (("uncoded", float(i % 2)), ("h264:2", i % 2 + 0.5)):
            rows.append(
                Score(path=f"{i}", question="q", label=i % 2, source="s", raw=raw, variant=variant, stratum="small")
            )
    lines = list(coding.table(rows))
    assert len(lines) == 4
    assert "| small | h264:2 | 3, 3 | +0.50 (+0.50 to +0.50) | +0.50 (+0.50 to +0.50) | 1.00 | 0% |" in lines[3]
