"""From findings to one answer: calibrated fusion, labels at stated false-alarm rates, and abstention.

Each scored detector's card turns its raw score into a log10 likelihood ratio. Fusion is a weighted sum of
these; the weights, the table that turns the sum into a calibrated likelihood ratio, and the thresholds of
the labels are data (``verdict.toml``), fitted on the calibration half of the lab's material. A detector that
did not answer adds nothing, which is a likelihood ratio of one and not a probability of one half. Likelihood
ratios follow the ENFSI guideline for evaluative reporting (2015).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from pydantic import Field, ValidationError

from unmask.card import Card, interpolate, ratio_to_probability
from unmask.errors import CardError
from unmask.report import Finding, Frozen, Label, Reason, Verdict

RULES = Path(__file__).with_name("verdict.toml")
_RANK: tuple[Label, ...] = ("inconclusive", "no_sign_found", "suspicious", "likely_manipulated", "declared_synthetic")
LABELS: tuple[Label, ...] = (
    "no_sign_found",
    "inconclusive",
    "suspicious",
    "likely_manipulated",
    "declared_synthetic",
)
"""The labels that ``--fail-on`` accepts, mildest first."""


class Fusion(Frozen):
    """How findings on one kind of subject are put together.

    ``score``/``log10_lr`` map the fused score to a calibrated ratio; ``false_alarm_score``/``_rate`` give the
    share of bona fide subjects at or above a fused score; ``suspicious``/``likely_manipulated`` are the fused
    scores of the labels; below ``min_weight_share`` of answered weight nothing is concluded from silence.
    """

    weights: dict[str, float]
    bias: float = 0.0
    score: tuple[float, ...] = Field(min_length=2)
    log10_lr: tuple[float, ...] = Field(min_length=2)
    false_alarm_score: tuple[float, ...] = Field(min_length=1)
    false_alarm_rate: tuple[float, ...] = Field(min_length=1)
    suspicious: float
    likely_manipulated: float
    min_weight_share: float = Field(default=0.3, ge=0, le=1)
    fitted_on: str
    n_bona_fide: int
    n_manipulated: int


class Rules(Frozen):
    """``verdict.toml``: fusion a kind, and the questions that a full examination of a kind would answer."""

    fusion: dict[str, Fusion] = Field(default_factory=dict)
    questions: dict[str, dict[str, str]] = Field(default_factory=dict)


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
    fusion = rules.fusion.get(kind)
    ratios = log_ratios(findings, by_id)
    abstained = (*_abstentions(findings), *_not_examined(kind, findings, rules))
    label, reasons = _declared(findings, by_id)
    if fusion is None or not any(i in fusion.weights for i in ratios):
        label = _higher(label, "inconclusive")
        return Verdict(label=label, reasons=(*reasons, *_why_silent(findings, label)), abstained=abstained)
    score = fused_score(fusion, ratios)
    log10_lr = interpolate(fusion.score, fusion.log10_lr, score)
    measured = _label(fusion, score, _weight_share(fusion, ratios), findings)
    if measured in ("suspicious", "likely_manipulated"):
        reasons = (*reasons, *_strongest(fusion, ratios, findings))
    if _RANK.index(label) > _RANK.index(measured):
        # A fact demands a graver label than the measurements: their numbers answer another question, so none is given.
        return Verdict(label=label, reasons=reasons, abstained=abstained)
    label = measured
    if label in ("no_sign_found", "inconclusive"):
        reasons = (*reasons, *_why_silent(findings, label))
    return Verdict(
        label=label,
        probability=round(ratio_to_probability(log10_lr), 4),
        likelihood_ratio=float(f"{10.0**log10_lr:.3g}"),
        false_alarm_rate=round(false_alarm_rate(fusion, score), 4),
        reasons=reasons,
        abstained=abstained,
    )


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


def false_alarm_rate(fusion: Fusion, score: float) -> float:
    """Share of bona fide subjects with a fused score of at least ``score`` (step function, never below 1/n)."""
    rate = 1.0
    for threshold, share in zip(fusion.false_alarm_score, fusion.false_alarm_rate, strict=True):
        if score >= threshold:
            rate = min(rate, share)
    return max(rate, 1.0 / (fusion.n_bona_fide + 1))


def _label(fusion: Fusion, score: float, share: float, findings: Sequence[Finding]) -> Label:
    if score >= fusion.likely_manipulated:
        return "likely_manipulated"
    if score >= fusion.suspicious:
        return "suspicious"
    failed = any(f.status == "failed" for f in findings)
    return "inconclusive" if failed or share < fusion.min_weight_share else "no_sign_found"


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


def _strongest(fusion: Fusion, ratios: dict[str, float], findings: Sequence[Finding]) -> tuple[Reason, ...]:
    weight = {i: fusion.weights.get(i, 0.0) * r for i, r in ratios.items()}
    speaking = [f for f in findings if weight.get(f.detector, 0.0) > 0]
    speaking.sort(key=lambda f: -weight[f.detector])
    return tuple(f.reason for f in speaking[:3])


def _why_silent(findings: Sequence[Finding], label: Label) -> tuple[Reason, ...]:
    if label == "no_sign_found":
        count = sum(f.score is not None for f in findings)
        found = (
            f"None of the {count} scored examinations found" if count > 1 else "The one scored examination did not find"
        )
        return (
            Reason(
                code="verdict.no_sign",
                text=f"{found} a sign of change. Absence of signs is not proof.",
            ),
        )
    if label != "inconclusive":
        return ()
    failed = [f.reason for f in findings if f.status == "failed"]
    declined = [f.reason for f in findings if f.status == "declined"]
    return tuple(dict.fromkeys((*failed, *declined)))[:3] or (
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
