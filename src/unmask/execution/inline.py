"""Examinations in this process: for trusted files, for tests and for a debugger. No limits are enforced."""

from __future__ import annotations

from collections.abc import Sequence

from unmask.card import Card
from unmask.execution import work
from unmask.execution.contract import Examination, Job
from unmask.report import SubjectInfo


class InlineExecutor:
    """Runs each job where it is called. A detector that crashes the interpreter takes the caller with it."""

    def __init__(self, cards: Sequence[Card] | None = None) -> None:
        self._cards = cards

    def examine(self, job: Job) -> Examination:
        """Examine one subject."""
        result = Examination(SubjectInfo(name=job.name))
        work.examine(job, result.take, self._cards)
        return result

    def close(self) -> None:
        """Nothing to stop."""
