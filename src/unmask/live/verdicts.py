"""The questions of a stream, from moments to a verdict by the rules for films."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from unmask.card import Card, find_cards
from unmask.detectors.face_swap.faces import crowd_score
from unmask.live.events import QuestionState
from unmask.live.options import QUESTIONS
from unmask.live.rolling import Combine, Question, Window, needed
from unmask.live.settings import Windows
from unmask.report import Finding, Label, Reason, Verdict
from unmask.verdict import LABELS, fuse

Moments = Mapping[int, Sequence[float]]
SIGNS: tuple[Label, ...] = ("suspicious", "likely_manipulated")
_STARTED = Reason(code="live.watching", text="Watching: too few clear moments so far.")


class Verdicts:
    """All questions of one stream.

    Args:
        windows: lengths and counts.
        asked: the questions that can be asked; the others are left out of every verdict.
    """

    def __init__(self, windows: Windows, asked: Sequence[str]) -> None:
        self._windows = windows
        self._cards = {card.id: card for card in find_cards()}
        slope = self._cards["face.swap"].parameters["crowd_slope"]
        w = windows
        made = {
            "face.swap": Question(w.swap_seconds, _faces(w.swap_least, slope), w.forget_after),
            "image.synthetic": Question(w.synthetic_seconds, _median(w.synthetic_least), w.forget_after),
            "voice.synthetic": Question(w.voice_seconds, _mean(w.voice_least), w.forget_after),
        }
        self.questions = {name: made[name] for name in QUESTIONS if name in asked}
        self._strata: dict[str, str | None] = {}
        self._why: dict[str, Reason] = {}

    def card(self, question: str) -> Card:
        """The question's card."""
        return self._cards[question]

    def add(self, question: str, time: float, score: float, key: int = 0, stratum: str | None = None) -> None:
        """A clear moment of a question."""
        if question in self.questions:
            self._strata[question] = stratum
            self._why.pop(question, None)
            self.questions[question].add(time, key, score)

    def explain(self, question: str, reason: Reason) -> None:
        """Why the question has no clear moment now."""
        if question in self.questions:
            self._why[question] = reason

    def drop(self, question: str) -> None:
        """The question cannot be asked after all."""
        self.questions.pop(question, None)

    def close(self, time: float) -> dict[str, Window]:
        """The windows that end now, by question."""
        closed = {name: question.close(time) for name, question in self.questions.items()}
        return {name: window for name, window in closed.items() if window is not None}

    def needed(self, question: str) -> int:
        """Windows in a row that a label needs now."""
        w = self._windows
        return needed(self.questions[question].passed, w.in_a_row, w.first_windows, w.rate)

    def verdict(self) -> Verdict:
        """The rolling verdict: each question counts with the lowest of its windows in a row."""
        return self._fuse({name: q.held(self.needed(name)) for name, q in self.questions.items()})

    def momentary(self) -> Verdict:
        """What the last windows alone would say; for recording, never for a label."""
        return self._fuse({name: q.held(1) for name, q in self.questions.items()})

    def _fuse(self, raws: Mapping[str, float | None]) -> Verdict:
        findings = [self._finding(name, raw) for name, raw in raws.items()]
        return fuse("video", findings, tuple(self._cards.values()))

    def _finding(self, name: str, raw: float | None) -> Finding:
        card = self._cards[name]
        if raw is None:
            return card.declined("live.watching", self._progress(name))
        stratum = self._strata.get(name)
        text = f"In each of the last {min(len(self.questions[name].clear), self.needed(name))} windows "
        if raw >= report_above(card, stratum):
            return card.ok("live.signs", text + "there were signs.", raw_score=raw, stratum=stratum)
        return card.ok("live.none", "No clear sign that lasts.", raw_score=raw, stratum=stratum)

    def _progress(self, name: str) -> str:
        question = self.questions[name]
        return (
            f"Watching: {len(question.clear)} of {self.needed(name)} clear windows of {question.seconds:.0f} s so far."
        )

    def states(self) -> tuple[QuestionState, ...]:
        """Each question as it is shown."""
        return tuple(self._state(name) for name in self.questions)

    def _state(self, name: str) -> QuestionState:
        question, card = self.questions[name], self._cards[name]
        count, wanted = len(question.clear), self.needed(name)
        raw = question.clear[-1] if question.clear else None
        stratum = self._strata.get(name)
        calibration = card.calibration_for(stratum)
        probability = calibration.probability(raw) if calibration and raw is not None else None
        base = QuestionState(question=name, status="watching", reason=_STARTED, windows=count, needed=wanted)
        if raw is None:
            why = self._why.get(name)
            if why is not None and not question.moments:
                return base.model_copy(update={"status": "not_judged", "reason": why})
            return base.model_copy(update={"reason": Reason(code="live.watching", text=self._progress(name))})
        status = "raised" if raw >= report_above(card, stratum) else "quiet"
        code, text = (
            ("live.signs", "signs in the last window") if status == "raised" else ("live.none", "no clear sign")
        )
        values = {
            "status": status,
            "reason": Reason(code=code, text=text),
            "raw": round(raw, 3),
            "probability": None if probability is None else round(probability, 3),
        }
        return base.model_copy(update=values)


def report_above(card: Card, stratum: str | None) -> float:
    """The raw score from which a detector speaks of signs, of its stratum where it has several."""
    p = card.parameters
    return p[f"report_above_{stratum}"] if stratum else p["report_above"]


def graver(one: Label, other: Label) -> Label:
    """The graver of two labels, by the order that ``--fail-on`` uses; silence yields to anything."""
    order = ("inconclusive", *(label for label in LABELS if label != "inconclusive"))
    return max(one, other, key=order.index)


def _faces(least: int, slope: float) -> Combine:
    def combine(moments: Moments) -> float | None:
        known = [float(np.median(v)) for v in moments.values() if len(v) >= least]
        return crowd_score(known, slope) if known else None

    return combine


def _median(least: int) -> Combine:
    def combine(moments: Moments) -> float | None:
        values = [x for v in moments.values() for x in v]
        return float(np.median(values)) if len(values) >= least else None

    return combine


def _mean(least: int) -> Combine:
    def combine(moments: Moments) -> float | None:
        values = [x for v in moments.values() for x in v]
        return float(np.mean(values)) if len(values) >= least else None

    return combine
