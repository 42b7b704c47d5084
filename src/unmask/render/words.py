"""The words that people read, in one place: labels, probabilities, likelihood ratios, names made visible."""

from __future__ import annotations

import unicodedata

from unmask.report import Finding, Label, Report, Verdict

SYMBOLS: dict[Label, str] = {
    "likely_manipulated": "▲",
    "suspicious": "◆",
    "no_sign_found": "○",
    "inconclusive": "?",
    "declared_synthetic": "■",
}
SHORT: dict[Label, str] = {
    "likely_manipulated": "Likely manipulated",
    "suspicious": "Suspicious",
    "no_sign_found": "No sign found",
    "inconclusive": "Inconclusive",
    "declared_synthetic": "Declared synthetic",
}
ORDER: tuple[Label, ...] = (
    "declared_synthetic",
    "likely_manipulated",
    "suspicious",
    "inconclusive",
    "no_sign_found",
)
_THING = {"image": "picture", "video": "film", "audio": "recording", "unknown": "file"}
_SENTENCE: dict[Label, str] = {
    "likely_manipulated": "This {thing} was likely changed after it was made.",
    "suspicious": "This {thing} shows signs that deserve a closer look.",
    "no_sign_found": "No sign of change was found in this {thing}. Absence of signs is not proof.",
    "inconclusive": "This {thing} does not allow an answer.",
    "declared_synthetic": "This {thing} says itself that a machine made it or took part.",
}
# ENFSI guideline for evaluative reporting in forensic science (2015), verbal scale of likelihood ratios.
_ENFSI = (
    (1e6, "extremely strong support"),
    (1e4, "very strong support"),
    (1e3, "strong support"),
    (1e2, "moderately strong support"),
    (1e1, "moderate support"),
    (2.0, "weak support"),
)
STATUS = {
    "ok": "answered",
    "not_applicable": "does not apply",
    "declined": "declined",
    "failed": "failed",
}


def thing(report: Report) -> str:
    """``picture``, ``film``, ``recording`` or ``file``."""
    return _THING[report.subject.kind]


def headline(report: Report) -> str:
    """The verdict in one sentence."""
    return _SENTENCE[report.verdict.label].format(thing=thing(report))


def probability(verdict: Verdict) -> str:
    """The probability in words and number."""
    p = verdict.probability
    if p is None:
        return "no probability is given"
    if p >= 0.99:
        return f"{min(p, 0.999):.1%} at even odds before looking"
    return f"{p:.0%} at even odds before looking"


def likelihood(verdict: Verdict) -> str:
    """The likelihood ratio and what it supports, on ENFSI's verbal scale."""
    ratio = verdict.likelihood_ratio
    if ratio is None:
        return "no likelihood ratio is given"
    side, size = ("manipulated", ratio) if ratio >= 1 else ("bona fide", 1 / max(ratio, 1e-12))
    for least, words in _ENFSI:
        if size >= least:
            return f"{_number(ratio)}: {words} for “{side}” over the alternative"
    return f"{_number(ratio)}: the findings hardly tell the two apart"


def false_alarms(verdict: Verdict) -> str | None:
    """How often untouched media reach this score."""
    rate = verdict.false_alarm_rate
    if rate is None:
        return None
    if rate >= 0.995:
        return "nearly all bona fide media reach this score"
    return (
        f"{rate * 100:.0f} in 100 bona fide media reach this score"
        if rate >= 0.01
        else (f"at most {max(1, round(rate * 1000))} in 1,000 bona fide media reach this score")
    )


def not_examined(verdict: Verdict) -> list[str]:
    """Questions that no installed detector asked."""
    return [r.text for r in verdict.abstained if r.code.startswith("not_examined.")]


def grade(finding: Finding) -> str:
    """How a finding is shown: one of `GRADE_WORDS`."""
    if finding.status != "ok":
        return finding.status
    if finding.score is None:
        return "fact"
    return "sign" if finding.score >= 0.8 else "weak" if finding.score >= 0.6 else "quiet"


GRADE_WORDS = {
    "sign": "sign of change",
    "weak": "weak sign",
    "quiet": "no sign",
    "fact": "facts",
    "declined": "no answer",
    "failed": "failed",
    "not_applicable": "does not apply",
}
GRADE_ORDER = tuple(GRADE_WORDS)


def sorted_findings(report: Report) -> list[Finding]:
    """Signs first, strongest first; then quiet ones, facts, and what did not answer."""
    return sorted(report.findings, key=lambda f: (GRADE_ORDER.index(grade(f)), -(f.score or 0), f.detector))


def visible(text: str) -> str:
    """Control and direction-changing characters written out, so that a hostile name cannot fake what is shown."""
    return "".join(
        c if c == " " or unicodedata.category(c)[0] not in "CZ" else c.encode("unicode_escape").decode("ascii")
        for c in text
    )


def _number(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"
