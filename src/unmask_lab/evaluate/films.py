"""Scans a set of films with the product's Scanner, and keeps what every detector said of every film.

One JSON file a film. A detector is asked again where its code, its card's parameters, a model that it names or the film
changed; nothing else is, so after an exchange of one model only that detector runs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from unmask.card import Card, find_cards
from unmask.execution.contract import READER
from unmask.options import Options
from unmask.report import Evidence, Finding, Verdict
from unmask.scanner import Isolation, Scanner
from unmask.verdict import fuse
from unmask_lab.errors import LabError
from unmask_lab.evaluate.run import fingerprint
from unmask_lab.files import write_whole
from unmask_lab.forge.talking import making
from unmask_lab.forge.talking.making import TalkingRow

MODELS = Path(__file__).parents[2] / "unmask" / "models"
MEASURING = ("video.temporal", "video.lipsync")
"""Detectors without a score whose facts are numbers about the people of a film."""


@dataclass(frozen=True)
class Judged:
    """One film with the findings about it, by detector, and the verdict that follows from them today."""

    row: TalkingRow
    findings: dict[str, Finding]
    verdict: Verdict

    def raw(self, detector: str) -> float | None:
        """The detector's number, or None where it did not answer."""
        found = self.findings.get(detector)
        return found.raw_score if found is not None and found.status == "ok" else None


def scan_films(
    folder: Path,
    results: Path,
    only: Sequence[str] = (),
    again: bool = False,
    isolation: Isolation = "process",
    copies: Sequence[str] = (),
    part: tuple[int, int] = (0, 1),
) -> Iterator[tuple[str, float]]:
    """Ask the detectors about every film of a set; yields each film's path and the seconds that it took.

    Args:
        folder: made by ``unmask-lab forge-talking``.
        results: where the findings are kept, one JSON a film.
        only: detectors' ids or prefixes; by default all that can move a verdict about a film.
        again: ask even where an answer is kept that still holds.
        isolation: as `unmask.scanner.Scanner`.
        copies: only films of these compressions.
        part: (i, n): only the i-th of every n films, so that several runs share the work.

    Raises:
        LabError: ``eval.nobody``: no detector of films is called so.
    """
    cards = asked(only)
    scanners: dict[tuple[str, ...], Scanner] = {}
    try:
        # Films as they were found are long: they come last.
        rows = sorted(making.read(folder), key=lambda row: row.compression == "original")
        for row in [row for row in rows if row.compression in copies or not copies][part[0] :: part[1]]:
            kept = _kept(results, row)
            todo = tuple(card.id for card in cards if again or kept.get(card.id, {}).get("code") != code_of(card, row))
            if not todo:
                continue
            if todo not in scanners:
                scanners[todo] = Scanner(Options(only=todo, workers=1), isolation)
            report = scanners[todo].scan(folder / row.path)
            by_id = {card.id: card for card in cards}
            # Another run may have asked other detectors in the meantime.
            kept = _kept(results, row)
            for finding in report.findings:
                code = code_of(by_id[finding.detector], row) if finding.detector in by_id else ""
                kept[finding.detector] = {"code": code, "finding": finding.model_dump(mode="json")}
            write_whole(_place(results, row), json.dumps(kept).encode())
            yield row.path, report.seconds
    finally:
        for scanner in scanners.values():
            scanner.close()


def asked(only: Sequence[str] = ()) -> list[Card]:
    """The cards of the detectors that may move a verdict about a film or measure its people, or of those named.

    Raises:
        LabError: ``eval.nobody``.
    """
    cards = [card for card in find_cards() if "video" in card.kinds or "audio" in card.kinds]
    if only:
        chosen = [c for c in cards if any(c.id == name or c.id.startswith(f"{name}.") for name in only)]
    else:
        chosen = [c for c in cards if c.scored or c.labels or c.id in MEASURING]
    if not chosen:
        raise LabError("eval.nobody", f"No detector of films is called {', '.join(only)}.")
    return [card for card in chosen if card.accepts("video", "mp4")]


def code_of(card: Card, row: TalkingRow) -> str:
    """Stands for the detector's code, the models that it names, and the film's bytes."""
    return f"{fingerprint(card)}-{_models(card.folder)}-{row.sha256[:8]}"


@cache
def _models(folder: Path) -> str:
    """Of the models named in the detector's code: their cards hold the weights' digests."""
    text = "".join(path.read_text("utf-8") for path in sorted(folder.glob("*.py")))
    digest = hashlib.sha256()
    for path in sorted(MODELS.glob("**/model.toml")):
        if path.parent.name in text:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def load(folder: Path, results: Path) -> list[Judged]:
    """Every film of the set that was scanned, in the manifest's order.

    Raises:
        LabError: ``eval.no_films``: none was.
    """
    cards = find_cards()
    known = {card.id for card in cards}
    out = []
    for row in making.read(folder):
        kept = _kept(results, row)
        findings = {i: Finding.model_validate(one["finding"]) for i, one in kept.items()}
        if findings:
            told = [finding for i, finding in sorted(findings.items()) if i in known]
            out.append(Judged(row, findings, fuse("video", told, cards)))
    if not out:
        raise LabError("eval.no_films", f"{results} holds no findings: scan the set first.")
    return out


def _place(results: Path, row: TalkingRow) -> Path:
    return results / f"{row.path.replace('/', '--')}.json"


def _kept(results: Path, row: TalkingRow) -> dict[str, dict[str, object]]:
    """What is kept of a film; nothing of a film that was made anew."""
    path = _place(results, row)
    if not path.is_file():
        return {}
    kept: dict[str, dict[str, object]] = json.loads(path.read_text("utf-8"))
    return {i: one for i, one in kept.items() if str(one.get("code", "")).endswith(row.sha256[:8]) or i == READER}


def segments_of(finding: Finding) -> list[tuple[float, float]]:
    """The stretches that a finding marks as signs, in seconds, joined where they overlap."""
    found = [
        (float(str(one["start"])), float(str(one["end"])))
        for evidence in finding.evidence
        if evidence.kind == "segments"
        for one in _listed(evidence, "segments")
        if one.get("sign")
    ]
    out: list[tuple[float, float]] = []
    for start, end in sorted(found):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return out


def curve_of(finding: Finding) -> tuple[list[float], list[float]] | None:
    """Seconds and values of the finding's first plot over time."""
    for evidence in finding.evidence:
        data = evidence.data or {}
        if evidence.kind == "plot" and data.get("x_label") == "seconds":
            series = _listed(evidence, "series")
            if series:
                return _numbers(data["x"]), _numbers(series[0]["y"])
    return None


def facts_of(finding: Finding) -> dict[str, float]:
    """The facts that begin with a number, by name; of several faces the largest number."""
    out: dict[str, float] = {}
    for evidence in finding.evidence:
        data = evidence.data or {}
        found = re.match(r"[+-]?\d+(?:\.\d+)?", str(data.get("value", ""))) if evidence.kind == "fact" else None
        if found:
            name = re.sub(r"^Face \d+: |, face \d+$", "", str(data["name"]))
            out[name] = max(out.get(name, float("-inf")), float(found[0]))
    return out


def _numbers(values: object) -> list[float]:
    return [float(value) for value in values] if isinstance(values, list) else []


def _listed(evidence: Evidence, name: str) -> list[dict[str, object]]:
    found = (evidence.data or {}).get(name)
    return found if isinstance(found, list) else []  # type: ignore[return-value]


def overlap(found: Sequence[tuple[float, float]], truth: tuple[float, float]) -> float:
    """Intersection over union (0..1) of stretches that do not overlap each other and the true one, in seconds."""
    inside = sum(max(0.0, min(b, truth[1]) - max(a, truth[0])) for a, b in found)
    union = sum(b - a for a, b in found) + (truth[1] - truth[0]) - inside
    return inside / union if union > 0 else 0.0


def write_scores(path: Path, judged: Sequence[Judged]) -> None:
    """All numbers as JSON: the manifest's row, the verdict, and each detector's score, curve, stretches and facts."""
    write_whole(path, json.dumps([_plain(one) for one in judged]).encode())


def _plain(one: Judged) -> dict[str, object]:
    detectors = {}
    for name, finding in one.findings.items():
        facts = [e.data for e in finding.evidence if e.kind == "fact"]
        curve = curve_of(finding)
        detectors[name] = {
            "status": finding.status,
            "reason": finding.reason.code,
            "raw": finding.raw_score,
            "score": finding.score,
            "seconds": finding.seconds,
            "curve": None if curve is None else {"x": curve[0], "y": curve[1]},
            "segments": [e.data for e in finding.evidence if e.kind == "segments"],
            "facts": facts,
        }
    return {**asdict(one.row), "verdict": one.verdict.model_dump(mode="json"), "detectors": detectors}
