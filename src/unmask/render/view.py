"""What the templates need of a report, prepared: nothing here decides anything about the subject."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from markupsafe import Markup

from unmask.render import charts, svg, words
from unmask.render.plain import dicts, mapping, numeral, texts
from unmask.render.timeline import Timeline
from unmask.report import Evidence, Finding, Report

MAX_TIMES = 40
MAX_VALUE = 1500
MAX_MANIFESTS = 50
ANNEX_LIMIT = 400_000
_LEFT_OUT = "left out here: see the JSON report"
# What a C2PA action means, in plain words (C2PA specification, chapter on actions).
_ACTIONS = {
    "created": "Made",
    "opened": "Opened for editing",
    "placed": "Another picture put in",
    "edited": "Edited",
    "edited.metadata": "Metadata edited",
    "color_adjustments": "Colours or brightness adjusted",
    "cropped": "Cropped",
    "resized": "Resized",
    "converted": "Converted to another format",
    "transcoded": "Saved in another format",
    "repackaged": "Repackaged without new coding",
    "published": "Published",
    "filtered": "A filter applied",
    "drawing": "Drawn or painted on",
    "orientation": "Turned or mirrored",
    "enhanced": "Enhanced",
    "redacted": "A statement taken out",
    "removed": "A part taken out",
    "deleted": "A part deleted",
    "dubbed": "Dubbed",
    "translated": "Translated",
    "watermarked": "A watermark put in",
    "unknown": "Something unknown was done",
}
_STATES = {
    "trusted": "valid, signer trusted",
    "valid": "valid, signer unknown",
    "invalid": "not valid",
    "unverifiable": "cannot be confirmed",
}
_RELATIONS = {
    "parentOf": "the version before",
    "componentOf": "a part put in",
    "inputTo": "given to a program as input",
}
_FACTS = {
    "mime": "Type",
    "mode": "Colour mode",
    "bit_depth": "Bits a channel",
    "frames": "Frames",
    "orientation": "EXIF orientation",
    "alpha": "Transparency",
    "name_disagrees": "Name and content",
    "fps": "Frames a second",
    "sample_rate": "Samples a second",
}


@dataclass(frozen=True)
class Layer:
    """A map or boxes over the picture. ``name`` is its id in the page, ``where`` what it shows in words."""

    name: str
    finding: Finding
    evidence: Evidence
    markup: Markup
    where: str
    image: Markup | None = None

    @property
    def is_map(self) -> bool:
        """Whether it is a heatmap, which has a legend."""
        return self.image is not None

    @property
    def title(self) -> str:
        """What to call it in a list of all layers."""
        own, whole = self.evidence.title, self.finding.about.title
        return words.visible(own if own == whole else f"{whole}: {own}")

    @property
    def legend(self) -> tuple[str, str]:
        """What the darkest and the brightest colour mean."""
        data = self.evidence.data or {}
        return words.visible(data.get("low") or "low"), words.visible(data.get("high") or "high")


class View:
    """One report, prepared."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.width, self.height = _size(report)
        self.findings = words.sorted_findings(report)
        self.grades = {id(f): words.grade(f, report.verdict) for f in self.findings}
        self.signs = self._graded("decisive", "sign", "weak")
        self.others = self._graded("quiet", "unscored", "fact")
        self.silent = self._graded("failed", "declined")
        self.idle = self._graded("not_applicable")
        self.layers = tuple(self._layers())
        # What is drawn over a film or a sound does not lie on the one frame that the report holds.
        self.backed = report.subject.kind == "image" and self.preview is not None

    def _graded(self, *grades: str) -> list[Finding]:
        return [f for f in self.findings if self.grades[id(f)] in grades]

    def grade(self, finding: Finding) -> str:
        """One of `words.GRADE_WORDS`."""
        return self.grades[id(finding)]

    @cached_property
    def preview(self) -> str | None:
        """The small picture, where it is one."""
        raw = self.report.subject.preview
        try:
            return raw if raw and base64.b64decode(raw, validate=True)[:3] == b"\xff\xd8\xff" else None
        except ValueError:
            return None

    # Pictures -------------------------------------------------------------------------------------------

    def _layers(self) -> Iterator[Layer]:
        """Maps and boxes, those of signs first."""
        for finding in self.findings:
            for number, evidence in enumerate(finding.evidence, 1):
                layer = self._layer(f"layer-{finding.detector}-{number}", finding, evidence)
                if layer is not None:
                    yield layer

    def _layer(self, name: str, finding: Finding, evidence: Evidence) -> Layer | None:
        name = re.sub(r"[^a-z0-9-]", "-", name.lower())
        if evidence.kind == "heatmap":
            grey = svg.read_map(evidence)
            if grey is not None:
                image = svg.map_image(grey, name, self.width, self.height)
                show = Markup('<use href="#{}"/>').format(name)
                return Layer(name, finding, evidence, show, svg.where_map(grey), image)
        if evidence.kind == "boxes":
            markup = svg.box_layer(evidence, self.width, self.height)
            if markup:
                return Layer(name, finding, evidence, markup, svg.where_boxes(evidence, self.width, self.height))
        return None

    def layers_of(self, finding: Finding) -> list[Layer]:
        """The finding's maps and boxes."""
        return [layer for layer in self.layers if layer.finding is finding]

    # Time -----------------------------------------------------------------------------------------------

    @cached_property
    def timeline(self) -> Timeline | None:
        """What is known over time, of films and recordings."""
        if self.report.subject.kind not in ("video", "audio"):
            return None
        return Timeline(self.report, self.findings, [self.grade(f) for f in self.findings]) or None

    def times(self, evidence: Evidence) -> list[tuple[str, str, float]]:
        """Stretches for reading: (times, what, start)."""
        found = dicts((evidence.data or {}).get("segments"))[:MAX_TIMES]
        return [(charts.span(s), _what(s), numeral(s.get("start"))) for s in found]

    def more_times(self, evidence: Evidence) -> int:
        """How many stretches the list does not show."""
        data = evidence.data or {}
        count = int(numeral(data.get("count"))) or len(dicts(data.get("segments")))
        return max(0, count - MAX_TIMES)

    # Facts ----------------------------------------------------------------------------------------------

    def facts(self, finding: Finding) -> list[tuple[str, str, str, str]]:
        """The finding's facts: (name, value, source, remark)."""
        out = []
        for evidence in finding.evidence:
            if evidence.kind == "fact":
                data = evidence.data or {}
                name, source = data.get("name") or evidence.title, data.get("source") or ""
                out.append((words.visible(name), show(data.get("value")), words.visible(source), evidence.text))
        return out

    def subject_facts(self) -> list[tuple[str, str]]:
        """What is known of the file, as rows."""
        s = self.report.subject
        rows = [("Name", words.visible(s.name)), ("SHA-256", words.visible(s.sha256 or "could not be read"))]
        rows += [("Size", words.size(s.bytes))] if s.bytes is not None else []
        rows += [("Kind", words.visible(f"{s.kind}, {s.format or 'unknown format'}"))]
        rows += [("Picture", f"{s.width:,} × {s.height or 0:,} pixels")] if s.width else []
        rows += [("Length", words.clock(s.duration))] if s.duration is not None else []
        named = ((_FACTS.get(k, k.replace("_", " ").capitalize()), v) for k, v in s.facts.items())
        return rows + [(words.visible(name), show(v)) for name, v in named if v not in (None, "", [], {})]

    def asked(self, option: str) -> list[str]:
        """The questions that ``only`` or ``skip`` named."""
        return [words.visible(q) for q in texts(self.report.tool.options.get(option))]

    def tags(self) -> list[tuple[str, str, str]]:
        """Metadata tags: (name, value, source)."""
        found = dicts(self.report.provenance.metadata.get("tags"))
        return [(show(t.get("name", "")), show(t.get("value", "")), show(t.get("source", ""))) for t in found]

    def watermarks(self) -> list[tuple[str, str]]:
        """Watermarks that were read: (what, value)."""
        return [(words.visible(k), show(v)) for mark in self.report.provenance.watermarks for k, v in mark.items()]

    # Content Credentials --------------------------------------------------------------------------------

    def credential(self) -> dict[str, Any] | None:
        """The Content Credential's state, checks and tree; None where the file carries none."""
        c2pa = self.report.provenance.c2pa
        if not c2pa.get("present"):
            return None
        manifests = dicts(c2pa.get("manifests"))
        time = mapping(c2pa.get("time"))
        return {
            "state": _STATES.get(str(c2pa.get("state")), words.visible(c2pa.get("state") or "present")),
            "good": c2pa.get("state") in ("trusted", "valid"),
            "text": words.visible(c2pa.get("text") or ""),
            "failures": [self._failure(f) for f in dicts(c2pa.get("failures"))],
            "notes": [words.visible(n.get("text") or "") for n in dicts(c2pa.get("notes"))],
            "time": self._time(time),
            "tree": self._tree(manifests[0], {str(m.get("label")): m for m in manifests}, set()) if manifests else None,
        }

    @staticmethod
    def _failure(failure: dict[str, Any]) -> str:
        of = words.visible(failure.get("of") or "")
        text = words.visible(failure.get("text") or failure.get("code") or "")
        return f"{of.capitalize()}: {text}" if of else text

    @staticmethod
    def _time(time: dict[str, Any]) -> str:
        if not time.get("signed"):
            return ""
        stamp = f", time stamp by {words.visible(time['authority'])}" if time.get("authority") else ", no time stamp"
        return f"{words.visible(time['signed'])}{stamp}"

    def _tree(self, manifest: dict[str, Any], by_label: dict[str, dict[str, Any]], seen: set[str]) -> dict[str, Any]:
        """A manifest with its ingredients' manifests inside. Each is shown once: a hostile file may name one
        manifest in a circle or a million times over.
        """
        seen.add(str(manifest.get("label")))
        signer = mapping(manifest.get("signer"))
        who = ", ".join(words.visible(signer[k]) for k in ("common_name", "issuer") if signer.get(k))
        ingredients = []
        for item in dicts(manifest.get("ingredients")):
            label = str(item.get("manifest"))
            inner = by_label.get(label) if label not in seen and len(seen) < MAX_MANIFESTS else None
            nested = self._tree(inner, by_label, seen) if inner else None
            relation = _RELATIONS.get(str(item.get("relationship")), words.visible(item.get("relationship") or ""))
            ingredients.append(
                {
                    "title": words.visible(item.get("title") or "untitled"),
                    "relation": relation,
                    "tree": nested,
                    "own": label in by_label,
                }
            )
        return {
            "title": words.visible(manifest.get("title") or "untitled"),
            "signer": who,
            "generator": words.visible(manifest.get("generator") or ""),
            "author": ", ".join(words.visible(a) for a in texts(manifest.get("author"))),
            "actions": [_action(a) for a in dicts(manifest.get("actions"))],
            "sources": [
                words.visible(s.get("text") or s.get("type") or "") for s in dicts(manifest.get("source_types"))
            ],
            "ingredients": ingredients,
        }

    # Annex ----------------------------------------------------------------------------------------------

    def annex(self) -> str:
        """The report as JSON for reading: pictures and curves are left out."""
        data = self.report.model_dump(mode="json")
        if data["subject"]["preview"]:
            data["subject"]["preview"] = _LEFT_OUT
        if data["subject"]["strip"]:
            data["subject"]["strip"] = _LEFT_OUT
        for finding in data["findings"]:
            for evidence in finding["evidence"]:
                if evidence["kind"] in ("heatmap", "plot", "frames") and evidence["data"]:
                    evidence["data"] = _LEFT_OUT
        text = json.dumps(data, indent=1, ensure_ascii=True)
        return (
            text if len(text) <= ANNEX_LIMIT else f"{text[:ANNEX_LIMIT]}\n… cut here: `unmask scan --json` has it all"
        )


def _size(report: Report) -> tuple[int, int]:
    """Width and height of the upright picture; of the first map where there is no picture."""
    width, height = numeral(report.subject.width), numeral(report.subject.height)
    if width >= 1 and height >= 1:
        return int(width), int(height)
    for finding in report.findings:
        for evidence in finding.evidence:
            data = evidence.data or {}
            if evidence.kind == "heatmap" and numeral(data.get("width")) >= 1 and numeral(data.get("height")) >= 1:
                return int(numeral(data.get("width"))), int(numeral(data.get("height")))
    return 1, 1


def show(value: Any) -> str:
    """A value as one line of text, cut where it is longer than anybody reads."""
    if isinstance(value, bool):
        text = "yes" if value else "no"
    elif value is None:
        text = "none"
    elif isinstance(value, list) and all(isinstance(v, (str, int, float)) for v in value):
        text = ", ".join(map(str, value))
    elif isinstance(value, dict) and all(isinstance(v, (str, int, float)) for v in value.values()):
        text = "; ".join(f"{k}: {v}" for k, v in value.items())
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = words.visible(text)
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]} … ({len(text):,} characters)"


def _what(item: dict[str, Any]) -> str:
    return ": ".join(words.visible(item[key]) for key in ("lane", "label") if item.get(key))


def _action(action: dict[str, Any]) -> str:
    code = str(action.get("action") or "")
    said = _ACTIONS.get(code.removeprefix("c2pa."), "")
    out = f"{said} ({code})" if said else code
    if action.get("parameter_name"):
        out += f", {action['parameter_name']}"
    if action.get("software"):
        out += f", with {action['software']}"
    if action.get("source_type"):
        out += f", source: {action['source_type']}"
    return words.visible(out)
