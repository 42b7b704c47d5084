"""What the tags give away: generators, declarations, editing programs, encoders, services.

Names and patterns are data (``traces.toml``). A generator's name counts only in a tag that names the maker
(software, credit, source, encoder …): a caption may speak of Midjourney without being made by it.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from unmask.provenance.credentials import COMPOSITE, SYNTHETIC, source_type, source_words
from unmask.provenance.plain import clean
from unmask.provenance.source import Notes

RULES = Path(__file__).with_name("traces.toml")
_SOFTWARE_TAGS = re.compile(
    r"software|creatortool|generator|encod|muxing|writingapp|originatingprogram|hostcomputer|^producer|^tool$"
    r"|originator|codinghistory|vendor|compressorname|isft|make$|^model$|^junk$|^application$",
    re.IGNORECASE,
)
_CREDIT_TAGS = re.compile(
    r"credit|^source$|comment$|artist|author|by-line|copyright|creator$|publisher|handlername", re.IGNORECASE
)
_MAX_FREE = 60
_A1111 = re.compile(r"\bSteps: \d+, .{0,200}?(Sampler|Schedule type|CFG scale|Seed): ", re.DOTALL)
_MIDJOURNEY = re.compile(r"--(v|niji|ar|stylize|chaos|raw|version) ?[\w:.]*.{0,300}Job ID: [0-9a-f-]{30,}", re.DOTALL)
_KEYS = {
    "invokeai_metadata": "InvokeAI",
    "invokeai_graph": "InvokeAI",
    "sd-metadata": "InvokeAI",
    "sui_image_params": "SwarmUI",
    "fooocus_scheme": "Fooocus",
    "dream": "InvokeAI",
    "novelai": "NovelAI",
}


@dataclass(frozen=True)
class Trace:
    """One thing that a tag gives away. ``role``: generator, editor, encoder, service or origin.

    ``declares``: ``synthetic``, ``composite``, ``other`` or empty.
    """

    role: str
    name: str
    source: str
    declares: str = ""
    text: str = ""

    def as_dict(self) -> dict[str, str]:
        """For the report."""
        return {
            "role": self.role,
            "name": self.name,
            "source": self.source,
            "declares": self.declares,
            "text": self.text,
        }


@cache
def _rules() -> tuple[list[tuple[str, re.Pattern[str], bool]], list[tuple[str, str, re.Pattern[str]]]]:
    data = tomllib.loads(RULES.read_text("utf-8"))
    programs = [(p["role"], re.compile(p["match"], re.IGNORECASE), p.get("credits", False)) for p in data["program"]]
    statements = [(s["name"], s["declares"], re.compile(s["match"], re.IGNORECASE)) for s in data["statement"]]
    return programs, statements


def find_traces(notes: Notes) -> list[Trace]:
    """All traces in the tags, each once, declarations first."""
    found: dict[tuple[str, str], Trace] = {}
    for name, text, source in notes.texts:
        where = f"{source}: {name}"
        for trace in (
            *_parameters(name, text, where),
            *_source_type(name, text, where),
            *_label(name, text, where),
            *_statements(text, where),
            *_programs(name, text, where),
        ):
            found.setdefault((trace.role, trace.name.lower()), trace)
    order = {"synthetic": 0, "composite": 1}
    return sorted(found.values(), key=lambda t: order.get(t.declares, 2))[:40]


def _generated(name: str, where: str, text: str) -> Trace:
    return Trace("generator", name, where, "synthetic", clean(text, 200))


def _parameters(name: str, text: str, where: str) -> list[Trace]:
    """The settings that picture generators store: prompt, steps, sampler, workflow."""
    if _A1111.search(text[:20000]):
        return [_generated("Stable Diffusion web UI (prompt and settings)", where, text)]
    if _MIDJOURNEY.search(text[:5000]):
        return [_generated("Midjourney (prompt and job number)", where, text)]
    if name.lower() in _KEYS:
        return [_generated(_KEYS[name.lower()], where, text)]
    start = text.lstrip()[:1]
    if start == "{" or (name.lower() in ("prompt", "workflow") and "{" in text[:20]):
        return _structured(text[text.index("{") :], where)
    return []


def _structured(text: str, where: str) -> list[Trace]:
    data = _json(text)
    nodes = [v for v in list(data.values())[:200] if isinstance(v, dict)]
    if any("class_type" in v and "inputs" in v for v in nodes):
        return [_generated("ComfyUI (prompt graph)", where, text)]
    if isinstance(data.get("nodes"), list) and isinstance(data.get("links"), list):
        return [_generated("ComfyUI (workflow)", where, text)]
    if "sui_image_params" in data:
        return [_generated("SwarmUI", where, text)]
    if {"steps", "sampler"} <= data.keys() or {"prompt", "sampler"} <= data.keys():
        return [_generated("a diffusion model (prompt and settings)", where, text)]
    if {"prompt", "negative_prompt"} <= data.keys() or {"prompt", "base_model"} <= data.keys():
        return [_generated("a diffusion model (prompt and settings)", where, text)]
    inner = data.get("AIGC")
    return _aigc(inner, where) if inner is not None else []


def _json(text: str) -> dict[str, Any]:
    try:
        data = json.JSONDecoder().raw_decode(text)[0]
    except (ValueError, RecursionError):
        # Cut or foreign JSON: the words of a graph are enough.
        return {"cut": {"class_type": 1, "inputs": 1}} if '"class_type"' in text and '"inputs"' in text else {}
    return data if isinstance(data, dict) else {}


def _source_type(name: str, text: str, where: str) -> list[Trace]:
    if not name.lower().endswith("digitalsourcetype"):
        return []
    kind = source_type(text)
    lowered = kind.lower()
    declares = "synthetic" if lowered in SYNTHETIC else "composite" if lowered in COMPOSITE else "other"
    return [Trace("origin", f"digitalSourceType {clean(kind, 60)}", where, declares, source_words(kind))]


def _label(name: str, text: str, where: str) -> list[Trace]:
    """The AIGC label that China's rules (GB 45438-2025) ask of generated media."""
    if name.upper() != "AIGC":
        return []
    at = text.find("{")
    return _aigc(_json(text[at:]) if at >= 0 else text, where)


def _aigc(value: object, where: str) -> list[Trace]:
    label = value.get("Label", value.get("label")) if isinstance(value, dict) else value
    shown = clean(value, 200)
    if str(label) in ("1", "true", "True"):
        return [
            Trace("generator", "AIGC label 1", where, "synthetic", f"labelled as generated or composed by AI: {shown}")
        ]
    if str(label) in ("2", "3"):
        return [
            Trace("origin", f"AIGC label {label}", where, "other", f"labelled as possibly generated by AI: {shown}")
        ]
    return [Trace("origin", "AIGC label", where, "other", shown)]


def _statements(text: str, where: str) -> list[Trace]:
    value = clean(text, 120)
    return [
        Trace("origin", f"{name}: {value}", where, declares, value)
        for name, declares, pattern in _rules()[1]
        if pattern.search(value)
    ]


def _programs(name: str, text: str, where: str) -> list[Trace]:
    value = clean(text, 400)
    software = bool(_SOFTWARE_TAGS.search(name))
    if not software and (not _CREDIT_TAGS.search(name) or len(value) > _MAX_FREE):
        return []
    for role, pattern, credits in _rules()[0]:
        if not software and not credits:
            continue
        match = pattern.search(value)
        if match:
            declares = "synthetic" if role == "generator" else ""
            return [Trace(role, clean(value, 100), where, declares, value)]
    return []
