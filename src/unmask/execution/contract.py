"""What every executor takes and gives: plain data, so that it can cross a process or a machine.

A `Job` names a subject; an `Examination` is all that came back. In between travel messages, small JSON
objects with a ``type``: ``subject``, ``plan``, ``start``, ``finding``, ``models``, ``preview``, ``strip``,
``provenance``, ``unreadable``.
They are sent one by one, so that what was found before a crash is not lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from unmask.options import Options
from unmask.report import About, Evidence, Finding, Frozen, ModelInfo, Provenance, Reason, SubjectInfo

Message = dict[str, Any]
Emit = Callable[[Message], None]
READER = "media.reader"


class Job(Frozen):
    """One subject to examine. ``done`` names detectors that have answered (or died) already."""

    path: str
    name: str
    options: Options
    threads: int = 1
    done: tuple[str, ...] = ()


@dataclass
class Examination:
    """What came back for one subject; filled message by message."""

    subject: SubjectInfo
    plan: tuple[str, ...] = ()
    findings: dict[str, Finding] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)
    models: tuple[ModelInfo, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def answered(self) -> bool:
        """Whether every detector of the plan has answered or died."""
        return bool(self.plan) and not self.running and set(self.plan) <= set(self.findings)

    def take(self, message: Message) -> None:
        """Take one message in. Raises ValueError or KeyError where it is malformed."""
        match message["type"]:
            case "subject":
                self.subject = SubjectInfo.model_validate(message["subject"])
            case "plan":
                self.plan = tuple(str(i) for i in message["detectors"])
            case "start":
                self.running.add(str(message["detector"]))
            case "finding":
                finding = Finding.model_validate(message["finding"])
                self.running.discard(finding.detector)
                self.findings[finding.detector] = finding
            case "models":
                taken = {m.id: m for m in (*self.models, *map(ModelInfo.model_validate, message["models"]))}
                self.models = tuple(taken[i] for i in sorted(taken))
            case "preview":
                self.subject = self.subject.model_copy(update={"preview": str(message["jpeg"])})
            case "strip":
                strip = Evidence.model_validate(message["evidence"])
                self.subject = self.subject.model_copy(update={"strip": strip})
            case "provenance":
                self.provenance = Provenance.model_validate(message["provenance"])
            case "unreadable":
                self.findings[READER] = reader_finding(str(message["code"]), str(message["text"]))
            case other:
                raise ValueError(f"unknown message {other!r}")


class Executor(Protocol):
    """Runs jobs one at a time; safe to call from several threads where it says so."""

    def examine(self, job: Job) -> Examination:
        """Examine one subject. Never raises for what is wrong with the subject: that becomes findings."""
        ...

    def close(self) -> None:
        """Stop everything that was started."""
        ...


def reader_finding(code: str, text: str) -> Finding:
    """The finding that stands for a subject that could not be read at all."""
    return Finding(
        detector=READER,
        version="1",
        question=READER,
        about=About(
            title="Reading the file",
            question="Can this file be read as a picture, a film or a recording?",
            why="What cannot be read cannot be examined.",
            innocent_causes="Broken downloads, interrupted transfers and formats that Unmask does not read.",
        ),
        status="failed",
        reason=Reason(code=code, text=text),
    )
