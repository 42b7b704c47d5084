"""Words read aloud: is there a voice, and do the lips move when it speaks? What was said is not understood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unmask.live.challenge.tasks import Task
from unmask.live.settings import Challenging
from unmask.report import Reason

STEP = 0.1
"""Seconds of the grid on which voice and lips are compared."""

_SEARCH = 1.0
_LEAST_BESIDE = 3
_STILL = 0.004

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Voice:
    """``times``: (n,) seconds, growing; ``probability``: (n,) of speech, 0..1."""

    times: Floats
    probability: Floats


def judge_words(
    task: Task, voice: Voice | None, lips: tuple[Floats, Floats], p: Challenging
) -> tuple[bool | None, Reason, dict[str, float]]:
    """Whether somebody spoke and the lips moved with it; None where that cannot be judged.

    Args:
        task: ``words``.
        voice: of the time of the answer; None without sound.
        lips: (n,) times and (n,) mouth openings.
        p: thresholds.
    """
    if voice is None or voice.times.size < 2:
        return None, Reason(code="challenge.no_sound", text="There is no sound, so words cannot be judged."), {}
    if lips[0].size < p.least_samples:
        return None, Reason(code="challenge.too_few", text="The lips were seen too seldom to judge."), {}
    step = float(np.median(np.diff(voice.times)))
    spoken = float((voice.probability >= 0.5).sum()) * step
    numbers = {"speech_seconds": round(spoken, 2)}
    if spoken < p.speech_seconds:
        least = p.speech_seconds
        text = f"Somebody spoke for {spoken:.1f} s; reading {len(task.words)} words takes {least:.1f} s at least."
        return False, Reason(code="challenge.no_speech", text=text), numbers
    ratio, shift = agreement(voice, lips)
    numbers |= {"lips_ratio": round(ratio, 3), "lips_shift": round(shift, 2)}
    if ratio < p.lips_ratio or abs(shift) > p.lips_shift:
        text = "The lips did not move in time with the voice. What was said is not checked."
        return False, Reason(code="challenge.lips", text=text), numbers
    return True, Reason(code="challenge.passed", text="A voice and moving lips agree in time."), numbers


def agreement(voice: Voice, lips: tuple[Floats, Floats]) -> tuple[float, float]:
    """How much more the lips move while somebody speaks (ratio), and by how many seconds lips and voice are shifted.

    The shift is where the correlation of the two courses is highest within a second either way.
    """
    times, opening = lips
    grid = np.arange(times[0], times[-1], STEP)
    moving = np.abs(np.gradient(np.interp(grid, times, opening), STEP)) if grid.size > 1 else np.zeros(grid.size)
    speaks = np.interp(grid, voice.times, voice.probability, left=0.0, right=0.0)
    loud = speaks >= 0.5
    beside = moving[~loud]
    quiet = max(_STILL, float(beside.mean())) if beside.size >= _LEAST_BESIDE else _STILL
    ratio = float(moving[loud].mean()) / quiet if loud.any() else 0.0
    return ratio, _shift(_smooth(moving), _smooth(speaks))


def _shift(lips: Floats, voice: Floats) -> float:
    most = min(round(_SEARCH / STEP), lips.size // 2)
    best, at = -np.inf, 0
    for lag in sorted(range(-most, most + 1), key=abs):
        a = lips[max(0, lag) : lips.size + min(0, lag)]
        b = voice[max(0, -lag) : voice.size + min(0, -lag)]
        a, b = a - a.mean(), b - b.mean()
        value = float((a * b).sum()) / (float(np.sqrt((a**2).sum() * (b**2).sum())) + 1e-9)
        if value > best + 1e-6:
            best, at = value, lag
    return at * STEP


def _smooth(values: Floats) -> Floats:
    return np.convolve(values, np.ones(5) / 5, "same") if values.size >= 5 else values
