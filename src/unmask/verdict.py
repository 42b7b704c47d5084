"""From findings to one answer: calibrated fusion, labels at stated false-alarm rates, and abstention.

Each scored detector's card turns its raw score into a log10 likelihood ratio. A file may be manipulated in one of
several ways: edited in places, generated as a whole, a face swapped, a voice synthesised. Each way has a group of
detectors of its own:

- ``[fusion.<kind>]``: the traces of local edits, a weighted sum of log10 likelihood ratios;
- ``[learned."<detector>"]``: one trained detector, with thresholds for each stratum that its card calibrates.

The ways exclude each other, so the likelihood ratio of "manipulated in some way" is the mean of the ratios of the
groups that answered, weighted by how likely each way is beforehand (``[priors]``, alike unless stated):
``LR = sum(prior_g * LR_g) / sum(prior_g)``. Each group holds a share of the false-alarm budget (``[shares]``), so
that all together stay within it (the union bound): a group that is set off by the share ``p_g`` of bona fide files
counts as ``p_g / share_g``; where groups answer whose shares exceed 1 together, their labels are held to the smaller
share that is left to each; the gravest group decides the label, and the verdict's false-alarm rate is that number of
the deciding group, times the sum of the shares of the groups that answered.

All of it is data (``verdict.toml``), fitted on calibration material only. A detector that did not answer adds
nothing, which is a likelihood ratio of one and not a probability of one half. Likelihood ratios follow the ENFSI
guideline for evaluative reporting (2015).
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from unmask.card import Card, interpolate, ratio_to_probability
from unmask.errors import CardError
from unmask.report import Finding, Frozen, Label, Reason, Verdict

LEANING = 0.15
"""log10 LR (a probability of .59) from which a verdict without a sign says why its probability is not lower."""
RULES = Path(__file__).with_name("verdict.toml")
_RANK: tuple[Label, ...] = ("inconclusive", "no_sign_found", "suspicious", "likely_manipulated", "declared_synthetic")
_SIGNS: tuple[Label, ...] = ("suspicious", "likely_manipulated")
_QUIET: Label = "no_sign_found"
BUDGET: dict[Label, float] = {"suspicious": 0.05, "likely_manipulated": 0.01}
"""Share of bona fide subjects that may get a label; DESIGN section 4."""
LABELS: tuple[Label, ...] = (
    "no_sign_found",
    "inconclusive",
    "suspicious",
    "likely_manipulated",
    "declared_synthetic",
)
"""The labels that ``--fail-on`` accepts, mildest first."""


class Marks(Frozen):
    """Where a group's score reaches which label, and how often bona fide subjects get there.

    ``false_alarm_score``/``_rate`` give the share of bona fide subjects at or above a score;
    ``suspicious``/``likely_manipulated`` are the scores of the labels.
    """

    false_alarm_score: tuple[float, ...] = Field(min_length=1)
    false_alarm_rate: tuple[float, ...] = Field(min_length=1)
    suspicious: float
    likely_manipulated: float
    fitted_on: str
    n_bona_fide: int
    n_manipulated: int


class Fusion(Marks):
    """How the findings on local edits of one kind of subject are put together.

    ``score``/``log10_lr`` map the fused score to a calibrated ratio; below ``min_weight_share`` of what could answer
    nothing is concluded from silence.
    """

    weights: dict[str, float]
    bias: float = 0.0
    score: tuple[float, ...] = Field(min_length=2)
    log10_lr: tuple[float, ...] = Field(min_length=2)
    min_weight_share: float = Field(default=0.3, ge=0, le=1)


ANY_STRATUM = "any"


class Learned(Frozen):
    """One trained detector's labels; the score is its log10 likelihood ratio.

    ``strata`` has the names of the card's strata; ``any`` stands for those that are not listed and for none.
    """

    strata: dict[str, Marks] = Field(min_length=1)

    def marks(self, stratum: str | None) -> Marks | None:
        """The thresholds for an answer in ``stratum``."""
        return self.strata.get(stratum or ANY_STRATUM) or self.strata.get(ANY_STRATUM)


class Rules(Frozen):
    """``verdict.toml``: the groups, their shares and priors, and the questions that a full examination would answer.

    ``shares`` and ``priors`` are keyed by group: a kind of subject for its fusion, a detector for a learned one.
    """

    fusion: dict[str, Fusion] = Field(default_factory=dict)
    learned: dict[str, Learned] = Field(default_factory=dict)
    shares: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(default_factory=dict)
    priors: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    questions: dict[str, dict[str, str]] = Field(default_factory=dict)

    def share(self, group: str) -> float:
        """The group's share of the false-alarm budget; all of it where none is stated."""
        return self.shares.get(group, 1.0)


@dataclass(frozen=True)
class Answer:
    """What one group says: its log10 likelihood ratio, its label, and the findings that speak, strongest first.

    ``alarm`` is the share of bona fide subjects that set the group off like this, over the group's share of the
    false-alarm budget; ``weight`` (0..1) is how much of the group could answer; ``seen`` (0..1) is the share of bona
    fide subjects counted at or above its score, 0 where there were none.
    """

    group: str
    log10_lr: float
    label: Label
    alarm: float
    weight: float
    speaking: tuple[Finding, ...]
    seen: float = 0.0


@cache
def read_rules(path: Path = RULES) -> Rules:
    """Read and check ``verdict.toml``. Raises `CardError`."""
    try:
        return Rules.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise CardError("verdict.invalid", f"{path.name}: {error}") from error


def fuse(kind: str, findings: Sequence[Finding], cards: Iterable[Card], rules: Rules | None = None) -> Verdict:
    """The verdict for one subject.

    Args:
        kind: ``image``, ``video``, ``audio`` or ``unknown``.
        findings: all detectors' findings.
        cards: the cards of the installed detectors (calibration and label rules).
        rules: fusion rules; the packaged ones by default.
    """
    rules = rules or read_rules()
    by_id = {card.id: card for card in cards}
    answers = group_answers(kind, findings, by_id, rules)
    abstained = (*_abstentions(findings), *_not_examined(kind, findings, rules))
    label, reasons = _declared(findings, by_id)
    if not answers:
        label = _higher(label, "inconclusive")
        return Verdict(label=label, reasons=(*reasons, *_why_silent(findings, label, rules)), abstained=abstained)
    measured = answers[0].label
    loud = tuple(a for a in answers if a.label in _SIGNS)
    if not loud and not _settled(kind, findings, answers, rules):
        measured = "inconclusive"
    reasons = (*reasons, *_strongest(loud))
    if _RANK.index(label) > _RANK.index(measured):
        # A fact demands a graver label than the measurements: their numbers answer another question, so none is given.
        return Verdict(label=label, reasons=reasons, abstained=abstained)
    log10_lr, rate = combined(answers, rules), round(union_rate(answers, rules), 4)
    leaning = _leaning(log10_lr, rate) if measured == "no_sign_found" else ()
    return Verdict(
        label=measured,
        probability=round(ratio_to_probability(log10_lr), 4),
        likelihood_ratio=float(f"{10.0**log10_lr:.3g}"),
        false_alarm_rate=rate,
        reasons=(*reasons, *_why_silent(findings, measured, rules), *leaning),
        abstained=abstained,
        decided_by=tuple(a.group if a.group in rules.learned else f"{a.group}.edits" for a in loud),
    )


def group_answers(kind: str, findings: Sequence[Finding], cards: dict[str, Card], rules: Rules) -> tuple[Answer, ...]:
    """What each group that can answer says, gravest first."""
    ratios = log_ratios(findings, cards)
    found: list[Answer] = []
    fusion = rules.fusion.get(kind)
    if fusion is not None and any(i in fusion.weights for i in ratios):
        score = fused_score(fusion, ratios)
        log10_lr = interpolate(fusion.score, fusion.log10_lr, score)
        weight = {i: fusion.weights.get(i, 0.0) * r for i, r in ratios.items()}
        speaking = sorted((f for f in findings if weight.get(f.detector, 0.0) > 0), key=lambda f: -weight[f.detector])
        share = _weight_share(fusion, ratios)
        found.append(_answer(kind, fusion, score, log10_lr, share, tuple(speaking), rules))
    for finding in findings:
        learned = rules.learned.get(finding.detector)
        marks = learned.marks(finding.stratum) if learned else None
        if marks is not None and finding.detector in ratios:
            log10_lr = ratios[finding.detector]
            found.append(_answer(finding.detector, marks, log10_lr, log10_lr, 1.0, (finding,), rules))
    found = _within_budget(found, rules)
    return tuple(sorted(found, key=lambda a: (-_RANK.index(a.label), a.alarm, a.group)))


def _answer(
    group: str, marks: Marks, score: float, log10_lr: float, weight: float, speaking: tuple[Finding, ...], rules: Rules
) -> Answer:
    label: Label = "no_sign_found"
    if score >= marks.likely_manipulated:
        label = "likely_manipulated"
    elif score >= marks.suspicious:
        label = "suspicious"
    share, seen = rules.share(group), share_above(marks, score)
    return Answer(group, log10_lr, label, max(seen, 1.0 / (marks.n_bona_fide + 1)) / share, weight, speaking, seen)


def _within_budget(answers: Sequence[Answer], rules: Rules) -> list[Answer]:
    """Labels lowered where more groups answered than the budget has room for, as in a film with faces and a voice.

    A group's thresholds hold its share of the budget. Where the shares together exceed 1, a label needs a score that
    so much fewer bona fide subjects reach.
    """
    total = sum(rules.share(a.group) for a in answers)
    if total <= 1.0:
        return list(answers)
    out = []
    for answer in answers:
        fits = [x for x in _SIGNS if answer.seen <= BUDGET[x] * rules.share(answer.group) / total]
        if answer.label in _SIGNS and answer.label not in fits:
            lower: Label = "suspicious" if answer.label == "likely_manipulated" and "suspicious" in fits else _QUIET
            out.append(replace(answer, label=lower))
        else:
            out.append(answer)
    return out


def combined(answers: Sequence[Answer], rules: Rules) -> float:
    """log10 of the prior-weighted mean of the groups' likelihood ratios; at least one group must have answered."""
    priors = [rules.priors.get(a.group, 1.0) for a in answers]
    total = sum(prior * 10.0**a.log10_lr for prior, a in zip(priors, answers, strict=True))
    return math.log10(total / sum(priors))


def union_rate(answers: Sequence[Answer], rules: Rules) -> float:
    """Share of bona fide subjects (0..1) on which some group would sound at least as grave an alarm; an upper bound.

    ``answers``: gravest first.
    """
    return min(1.0, answers[0].alarm * sum(rules.share(a.group) for a in answers))


def log_ratios(findings: Iterable[Finding], cards: dict[str, Card]) -> dict[str, float]:
    """log10 likelihood ratio of each finding that carries a calibrated score."""
    out: dict[str, float] = {}
    for finding in findings:
        card = cards.get(finding.detector)
        calibration = card.calibration_for(finding.stratum) if card else None
        if calibration and finding.status == "ok" and finding.raw_score is not None:
            out[finding.detector] = calibration.log_ratio(finding.raw_score)
    return out


def fused_score(fusion: Fusion, ratios: dict[str, float]) -> float:
    """Weighted sum of log10 likelihood ratios; what did not answer adds nothing."""
    return fusion.bias + sum(fusion.weights.get(i, 0.0) * ratio for i, ratio in ratios.items())


def false_alarm_rate(marks: Marks, score: float) -> float:
    """Share of bona fide subjects with a score of at least ``score`` (step function, never below 1/n)."""
    return max(share_above(marks, score), 1.0 / (marks.n_bona_fide + 1))


def share_above(marks: Marks, score: float) -> float:
    """Share (0..1) of the counted bona fide subjects with a score of at least ``score``; 0 where there were none."""
    rate = 1.0
    for threshold, share in zip(marks.false_alarm_score, marks.false_alarm_rate, strict=True):
        if score >= threshold:
            rate = min(rate, share)
    return rate


def _settled(kind: str, findings: Sequence[Finding], answers: Sequence[Answer], rules: Rules) -> bool:
    """Whether silence says something: nothing broke, nothing looked too unlike the training material, enough spoke."""
    if any(f.status == "failed" for f in findings) or any(_unfit(f, rules) for f in findings):
        return False
    fusion = rules.fusion.get(kind)
    silent = {f.detector for f in findings if f.status == "declined" and f.detector in rules.learned}
    spoken = sum(rules.share(a.group) * a.weight for a in answers)
    could = sum(rules.share(group) for group in {*silent, *(a.group for a in answers)})
    if fusion is not None and not any(a.group == kind for a in answers):
        could += rules.share(kind)
    return spoken >= (fusion.min_weight_share if fusion else 0.0) * could


def _unfit(finding: Finding, rules: Rules) -> bool:
    """The subject is unlike anything the detector was trained on, or its model gives other numbers on this machine."""
    code = finding.reason.code
    grouped = finding.detector in rules.learned or any(finding.detector in f.weights for f in rules.fusion.values())
    return finding.status == "declined" and (code.startswith("drift.") or (grouped and code.startswith("model.")))


def _weight_share(fusion: Fusion, ratios: dict[str, float]) -> float:
    total = sum(fusion.weights.values())
    return sum(w for i, w in fusion.weights.items() if i in ratios) / total if total > 0 else 0.0


def _declared(findings: Sequence[Finding], cards: dict[str, Card]) -> tuple[Label, tuple[Reason, ...]]:
    """Labels that a fact demands by itself (a card's ``[labels]``), for example a valid declaration."""
    label: Label = "inconclusive"
    reasons: list[Reason] = []
    for finding in findings:
        card = cards.get(finding.detector)
        wanted = card.labels.get(finding.reason.code) if card and finding.status == "ok" else None
        if wanted:
            label = _higher(label, wanted)
            reasons.append(finding.reason)
    return label, tuple(reasons)


def _higher(one: Label, other: Label) -> Label:
    return max(one, other, key=_RANK.index)


def _strongest(loud: Sequence[Answer]) -> tuple[Reason, ...]:
    """The findings behind the groups that sounded an alarm, each with the name of its question."""
    speaking = [finding for answer in loud for finding in answer.speaking[:3]]
    return tuple(Reason(code=f.reason.code, text=f"{f.about.title}: {f.reason.text}") for f in speaking[:4])


def _leaning(log10_lr: float, rate: float) -> tuple[Reason, ...]:
    """What a probability well above one half means where no label is reached."""
    if log10_lr < LEANING:
        return ()
    share = max(1, round(100 * rate))
    text = f"They lean a little towards change, but up to {share} in 100 untouched files do as much: no sign by itself."
    return (Reason(code="verdict.leaning", text=text),)


def _why_silent(findings: Sequence[Finding], label: Label, rules: Rules) -> tuple[Reason, ...]:
    if label == "no_sign_found":
        count = sum(f.score is not None for f in findings)
        learned = any(f.score is not None and f.detector in rules.learned for f in findings)
        sign = "a sign that a machine made or changed this" if learned else "a sign of change"
        found = (
            f"None of the {count} scored examinations found" if count > 1 else "The one scored examination did not find"
        )
        return (Reason(code="verdict.no_sign", text=f"{found} {sign}. Absence of signs is not proof."),)
    if label != "inconclusive":
        return ()
    failed = [f.reason for f in findings if f.status == "failed"]
    unfit = [f.reason for f in findings if _unfit(f, rules)]
    declined = [f.reason for f in findings if f.status == "declined"]
    return tuple(dict.fromkeys((*failed, *unfit, *declined)))[:3] or (
        Reason(code="verdict.nothing_spoke", text="No scored examination could answer for this file."),
    )


def _abstentions(findings: Sequence[Finding]) -> tuple[Reason, ...]:
    return tuple(
        Reason(code=f"{f.status}.{f.detector}", text=f"{f.about.title}: {f.reason.text}")
        for f in findings
        if f.status in ("declined", "failed")
    )


def _not_examined(kind: str, findings: Sequence[Finding], rules: Rules) -> tuple[Reason, ...]:
    asked = {f.question for f in findings}
    return tuple(
        Reason(code=f"not_examined.{question}", text=text)
        for question, text in rules.questions.get(kind, {}).items()
        if question not in asked
    )
