"""The words that people read, in one place: labels, probabilities, likelihood ratios, names made visible."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

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
    "no_sign_found": "No sign of change was found in this {thing}.",
    "inconclusive": "This {thing} does not allow an answer.",
    "declared_synthetic": "This {thing} says itself that a machine made it or took part.",
}
_MEANING: dict[Label, str] = {
    "likely_manipulated": (
        "Signs this strong are rare in untouched files: the threshold lets at most one untouched file in a hundred "
        "through. Look at the signs below and at their innocent causes before you publish."
    ),
    "suspicious": (
        "Something differs from what untouched files usually show, but innocent causes can explain it. "
        "Do not rely on it alone: look for the original and for another source."
    ),
    "no_sign_found": (
        "Absence of signs is not proof. A careful change, or one that was not looked for, leaves nothing that "
        "these examinations can see."
    ),
    "inconclusive": (
        "Neither “manipulated” nor “untouched” follows from what could be examined. "
        "A larger, less compressed or earlier copy may allow an answer."
    ),
    "declared_synthetic": (
        "This comes from what the file states about itself, not from its content. Such a statement can be removed or, "
        "where it is not signed, put in by anyone."
    ),
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
_CHANCE = (
    (0.99, "almost certainly manipulated"),
    (0.9, "very likely manipulated"),
    (0.7, "likely manipulated"),
    (0.55, "slightly more likely manipulated than not"),
    (0.45, "about as likely manipulated as not"),
    (0.3, "slightly less likely manipulated than not"),
    (0.1, "unlikely to be manipulated, on what was examined"),
    (0.0, "very unlikely to be manipulated, on what was examined"),
)
STATUS = {
    "ok": "answered",
    "not_applicable": "does not apply",
    "declined": "declined",
    "failed": "failed",
}
# Where a finding's own calibrated score counts as a sign, for the order and the tag only: the verdict has its own
# thresholds. 0.8 and 0.55 are likelihood ratios of 4 and 1.2.
SIGN, WEAK = 0.8, 0.55
GRADE_WORDS = {
    "decisive": "decided the verdict",
    "sign": "sign of change",
    "weak": "weak sign",
    "quiet": "no sign",
    "unscored": "seen, not scored",
    "fact": "facts",
    "failed": "failed",
    "declined": "no answer",
    "not_applicable": "does not apply",
}
GRADE_ORDER = tuple(GRADE_WORDS)


def thing(report: Report) -> str:
    """``picture``, ``film``, ``recording`` or ``file``."""
    return _THING[report.subject.kind]


def unread(report: Report) -> bool:
    """Whether nothing could be examined at all."""
    return any(f.status == "failed" for f in report.findings) and not any(f.status == "ok" for f in report.findings)


def headline(report: Report) -> str:
    """The verdict in one sentence."""
    if report.verdict.label == "inconclusive" and unread(report):
        return f"This {thing(report)} could not be examined."
    return _SENTENCE[report.verdict.label].format(thing=thing(report))


def meaning(report: Report) -> str:
    """What the verdict means and what to do with it."""
    if report.verdict.label == "inconclusive" and unread(report):
        return "Neither “manipulated” nor “untouched” follows from that. A whole copy of the file may allow an answer."
    return _MEANING[report.verdict.label]


def percent(probability: float) -> str:
    """``97%``; never 0% or 100%, which nothing measured can support."""
    if probability > 0.99:
        return f"{min(probability, 0.999) * 100:.1f}%"
    return f"{probability * 100:.0f}%" if probability >= 0.01 else "under 1%"


def probability(verdict: Verdict) -> str:
    """The probability in number and words, with the odds it starts from."""
    p = verdict.probability
    if p is None:
        return "no probability is given"
    return f"{percent(p)}: {chance(p)}"


def chance(probability: float) -> str:
    """A probability (0..1) in words."""
    return next(words for least, words in _CHANCE if probability >= least)


def likelihood(verdict: Verdict) -> str:
    """The likelihood ratio and what it supports, on ENFSI's verbal scale."""
    ratio = verdict.likelihood_ratio
    if ratio is None:
        return "no likelihood ratio is given"
    side, size = ("manipulated", ratio) if ratio >= 1 else ("untouched", 1 / max(ratio, 1e-12))
    for least, words in _ENFSI:
        if size >= least:
            return f"{number(ratio)}: {words} for “{side}”"
    return f"{number(ratio)}: the findings hardly tell the two apart"


def likelihood_meaning(verdict: Verdict) -> str:
    """The likelihood ratio as a sentence."""
    ratio = verdict.likelihood_ratio
    if ratio is None:
        return ""
    if ratio >= 1:
        return f"Such findings are {number(ratio)} times as likely in a manipulated file as in an untouched one."
    inverse = number(1 / max(ratio, 1e-12))
    return f"Such findings are {inverse} times as likely in an untouched file as in a manipulated one."


def false_alarms(verdict: Verdict) -> str | None:
    """How often untouched media reach this score."""
    rate = verdict.false_alarm_rate
    if rate is None:
        return None
    if rate >= 0.995:
        return "Nearly all untouched files reach a score this high."
    if rate >= 0.0095:
        return f"Of 100 untouched files, about {rate * 100:.0f} reach a score this high."
    return f"Of 1,000 untouched files, about {max(1, round(rate * 1000))} reach a score this high."


def not_examined(verdict: Verdict) -> list[str]:
    """Questions that no installed detector asked."""
    return [r.text for r in verdict.abstained if r.code.startswith("not_examined.")]


def grade(finding: Finding, verdict: Verdict | None = None) -> str:
    """How a finding is shown: one of `GRADE_WORDS`. With the verdict, what decided it without a score is told apart."""
    if finding.status != "ok":
        return finding.status
    if finding.score is not None:
        return "sign" if finding.score >= SIGN else "weak" if finding.score >= WEAK else "quiet"
    if verdict is not None and verdict.label not in ("no_sign_found", "inconclusive"):
        codes = {r.code for r in verdict.reasons}
        if finding.reason.code in codes:
            return "decisive"
    return "fact" if finding.raw_score is None else "unscored"


def sorted_findings(report: Report) -> list[Finding]:
    """Signs first, strongest first; then quiet ones, facts, and what did not answer."""

    def rank(finding: Finding) -> tuple[int, float, str]:
        return GRADE_ORDER.index(grade(finding, report.verdict)), -(finding.score or 0), finding.detector

    return sorted(report.findings, key=rank)


def counted(reports: Iterable[Report]) -> list[tuple[Label, int]]:
    """How many subjects have each label, gravest first; labels that nobody has are left out."""
    labels = [r.verdict.label for r in reports]
    return [(label, labels.count(label)) for label in ORDER if label in labels]


def heading_of_signs(report: Report) -> str:
    """What to call the findings that come first."""
    if report.verdict.label in ("likely_manipulated", "suspicious"):
        return "What speaks for the verdict"
    if report.verdict.label == "declared_synthetic":
        return "What the file declares, and other signs"
    return "Single signs, together too weak for the verdict"


def plural(count: int, word: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def visible(value: Any) -> str:
    """Control and direction-changing characters written out, so that a hostile name cannot fake what is shown."""
    return "".join(
        c if c == " " or unicodedata.category(c)[0] not in "CZ" else c.encode("unicode_escape").decode("ascii")
        for c in str(value)
    )


def brief(text: str, longest: int = 150) -> str:
    """The start of a long sentence, cut between words."""
    if len(text) <= longest:
        return text
    return f"{text[:longest].rsplit(' ', 1)[0].rstrip(',;:.')} …"


def number(value: float) -> str:
    """Two digits are all that a likelihood ratio deserves."""
    if value < 10:
        return f"{value:.2g}"
    digits = len(str(int(value)))
    return f"{round(value, 2 - digits):,.0f}"


def size(count: int) -> str:
    """Bytes for people: ``1.2 MB (1,234,567 bytes)``."""
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= least:
            return f"{count / least:.1f} {unit} ({count:,} bytes)"
    return plural(count, "byte")


def clock(seconds: float, fine: bool = True) -> str:
    """``1:02:03``, ``0:12.5``: tenths only where they are asked for and say something."""
    tenths = round(min(max(0.0, seconds), 1e12) * 10)
    whole, tenth = divmod(tenths, 10)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}.{tenth}" if fine and seconds < 600 else f"{minutes}:{rest:02}"
