"""docs/detectors.md from the cards: `python -m unmask_lab.detectors_page` writes it, a test compares it."""

from __future__ import annotations

from pathlib import Path

from unmask.card import Card, find_cards

PAGE = Path("docs/detectors.md")
HEAD = """# Detectors

This page is written from the detectors' cards (`make docs`). `unmask detectors` lists what is installed,
`unmask detectors image.jpeg` shows one card. A score is a calibrated probability at even prior odds; a detector of
facts never has one. How well each works stands in [evaluation.md](evaluation.md).

A card has these fields: `id`, `version`, `title`, `question`, `why`, `innocent_causes`, `kinds`, `formats` (all where
empty), `licence`, `papers`, `min_side` (px), `max_pixels`, `min_seconds`, `scored`, `labels` (reason code to the least
label of the verdict), `parameters` (numbers the decision rests on), `calibration` (raw score to log10 likelihood ratio,
with the material it was fitted on), `strata` (by name, the same for one quality of subject or one model that may
answer; the finding's `stratum` says which was used), `calibrated_with` (another detector whose raw scores mean the
same: both have one calibration), `false_alarms` (share of bona fide media by kind on which the detector alone reached
suspicion), `trained_on`, `trained_quarters` (sources whose SHA-256 modulo 4 it is: trained on, so they calibrate other
detectors only), `known_misses`.
"""


def page(cards: tuple[Card, ...]) -> str:
    """The page's text."""
    rows = ["| detector | kinds | score | question |", "|---|---|---|---|"]
    rows += [
        f"| [{c.id}](#{_anchor(c)}) | {', '.join(c.kinds)} | {'yes' if c.scored else 'facts'} | {c.question} |"
        for c in cards
    ]
    return "\n".join([HEAD, *rows, "", *(section(c) for c in cards)])


def section(card: Card) -> str:
    """One detector."""
    lines = [f"## {card.id}", f"**{card.title}**, version {card.version}, {card.licence}.", "", card.question, ""]
    lines += [f"*Why it matters.* {card.why}", "", f"*Innocent causes.* {card.innocent_causes}", ""]
    limits = [
        f"sides of at least {card.min_side} px" if card.min_side else "",
        f"at most {card.max_pixels / 1e6:.0f} million pixels examined" if card.max_pixels else "",
        f"at least {card.min_seconds:g} s" if card.min_seconds else "",
    ]
    if any(limits):
        lines += [f"*Needs* {', '.join(filter(None, limits))}.", ""]
    tables = {"": card.calibration, **card.strata}
    for stratum, c in tables.items():
        if c:
            where = f" ({stratum})" if stratum else ""
            count = f"{c.n_bona_fide} bona fide and {c.n_manipulated} manipulated"
            lines += [f"*Calibrated*{where} on {c.fitted_on}: {count}.", ""]
    if card.labels:
        lines += [
            "*Labels that facts demand:* " + ", ".join(f"`{k}` → `{v}`" for k, v in card.labels.items()) + ".",
            "",
        ]
    if card.false_alarms:
        lines += ["| kind of bona fide media | false alarms | n |", "|---|---|---|"]
        lines += [f"| {kind} | {f.rate:.1%} | {f.n} |" for kind, f in card.false_alarms.items()]
        lines += [""]
    if card.known_misses:
        lines += ["*Known misses.*", *(f"- {miss}" for miss in card.known_misses), ""]
    if card.papers:
        lines += ["*Papers.*", *(f"- {paper}" for paper in card.papers), ""]
    return "\n".join(lines)


def _anchor(card: Card) -> str:
    return card.id.replace(".", "")


if __name__ == "__main__":
    PAGE.write_text(page(find_cards()), "utf-8")
