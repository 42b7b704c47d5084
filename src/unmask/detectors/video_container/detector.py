"""The film's container: who wrote it, when, and whether its parts agree."""

from __future__ import annotations

from typing import Any

from unmask.card import own_card
from unmask.options import Options
from unmask.provenance.report import container_reason, facts
from unmask.report import Finding
from unmask.subject import Subject

CARD = own_card(__file__)


def examine(subject: Subject, options: Options) -> Finding:  # noqa: ARG001 - every detector takes options
    """All facts of the container with their source; the reason is the most important of them."""
    found: dict[str, Any] = dict(subject.metadata)
    code, text = container_reason(found)
    return CARD.ok(code, text, evidence=facts(found))
