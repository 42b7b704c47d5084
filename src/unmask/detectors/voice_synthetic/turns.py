"""Whose turn it is and how much each turn sounds like a machine: evidence beside the score, which it never changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from unmask.detectors.voice_synthetic.windows import SECONDS, Heard
from unmask.evidence import Stretch, fact, segments
from unmask.report import Evidence
from unmask.voices.speakers import Rules, Turn, turns_of
from unmask.voices.speech import Speech


def turns(heard: Heard, speech: Speech, parameters: Mapping[str, float]) -> tuple[Turn, ...]:
    """Who speaks when; empty where the windows have no places."""
    if not len(heard.places):
        return ()
    return turns_of(heard.starts, heard.places, speech, Rules.of(parameters))


def strength(turn: Turn, heard: Heard) -> float | None:
    """Mean log-odds of the windows whose middle lies in a turn; None where none does (a short one)."""
    middles = heard.starts + SECONDS / 2
    inside = (middles >= turn.start) & (middles <= turn.end)
    return float(heard.score[inside].mean()) if inside.any() else None


def lane(speaker: int) -> str:
    """What a speaker is called: by the order of their first words."""
    return f"Speaker {speaker + 1}"


def lanes(found: Sequence[Turn], heard: Heard, above: float) -> list[Evidence]:
    """A lane a speaker with each turn's mean, and how many speakers there are."""
    if not found:
        return []
    items = []
    for turn in found:
        value = strength(turn, heard)
        label = "too short for a value of its own" if value is None else f"log-odds {value:.1f}"
        sign = value is not None and value >= above
        items.append(Stretch(turn.start, turn.end, label, lane=lane(turn.speaker), sign=sign, score=value))
    count = len({turn.speaker for turn in found})
    text = (
        "Turns of speech by voice, found by how near windows of two seconds lie; nobody is recognised. Voices that are "
        "alike, and people who talk at once, are taken for one."
    )
    return [
        segments("Speakers", text, items),
        fact("Speakers", count, "speaker turns", "Voices told apart in this recording; it may be one more or less."),
    ]


def whose(found: Sequence[Turn], first: float, last: float) -> str:
    """Who speaks most between two seconds, ``Speaker 2``; empty where there is one speaker only."""
    if len({turn.speaker for turn in found}) < 2:
        return ""
    held: dict[int, float] = {}
    for turn in found:
        held[turn.speaker] = held.get(turn.speaker, 0.0) + max(0.0, min(turn.end, last) - max(turn.start, first))
    best = max(held, key=lambda speaker: held[speaker])
    return lane(best) if held[best] > 0 else ""


def strongest(found: Sequence[Turn], heard: Heard) -> tuple[str, float, float] | None:
    """The speaker who sounds most like a machine, with the start and end of their longest turn; None where alone."""
    if len({turn.speaker for turn in found}) < 2:
        return None
    middles = heard.starts + SECONDS / 2
    best: tuple[float, int] | None = None
    for speaker in sorted({turn.speaker for turn in found}):
        inside = np.zeros(middles.size, bool)
        for turn in found:
            if turn.speaker == speaker:
                inside |= (middles >= turn.start) & (middles <= turn.end)
        if inside.any() and (best is None or heard.score[inside].mean() > best[0]):
            best = (float(heard.score[inside].mean()), speaker)
    if best is None:
        return None
    longest = max((t for t in found if t.speaker == best[1]), key=lambda t: t.end - t.start)
    return lane(best[1]), longest.start, longest.end
