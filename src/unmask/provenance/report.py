"""What the metadata detectors have in common: order of importance, and facts turned into evidence."""

from __future__ import annotations

from typing import Any

from unmask.evidence import fact
from unmask.report import Evidence

MAX_FACTS = 40
# What a reader wants to see, in this order; other tags stay in the report's annex (`provenance.metadata`).
_WANTED = (
    "Make",
    "Model",
    "LensModel",
    "Software",
    "CreatorTool",
    "com.apple.quicktime.make",
    "com.apple.quicktime.model",
    "com.apple.quicktime.software",
    "com.apple.quicktime.creationdate",
    "com.android.version",
    "com.android.manufacturer",
    "com.android.model",
    "MuxingApp",
    "WritingApp",
    "Encoder",
    "EncoderSettings",
    "EncodedBy",
    "Originator",
    "OriginationDate",
    "CodingHistory",
    "DateTimeOriginal",
    "DateTime",
    "CreateDate",
    "ModifyDate",
    "DateCreated",
    "CreationDate",
    "GPSLatitude",
    "GPSLongitude",
    "Artist",
    "By-line",
    "Credit",
    "Source",
    "Copyright",
    "CopyrightNotice",
    "Caption",
    "ImageDescription",
    "Title",
    "Comment",
    "MajorBrand",
    "ProfileDescription",
)
_ROLES = {
    "generator": ("Generator's trace", "A program or service of generative AI names itself or left its settings."),
    "origin": ("Declared origin", "The file itself states how it came to be. Anybody can write this."),
    "editor": ("Editing program", "Went through this program. That is usual and no sign of deception."),
    "encoder": ("Written by", "The file was written anew by this software, as every conversion does."),
    "service": ("Service or recorder", "Came through this service or is a recording of a screen."),
}
_STRUCTURE = {
    "trailing_bytes": "Bytes after the end of the media",
    "trailing_kinds": "What follows the end of the media",
    "size_change": "Size since the camera",
    "hidden_start": "Hidden start",
    "edit_list": "Played in pieces",
    "written_anew": "Written after the recording",
    "name_disagrees": "Name and content",
    "index_first": "Index before the media data",
    "compatible_brands": "Compatible brands",
    "codec": "Codec",
    "codecs": "Codecs",
    "sample_rate": "Sampling rate",
    "input_sample_rate": "Sampling rate before encoding",
    "duration": "Duration, seconds",
    "frame_rate": "Frame rate",
    "rate_kind": "Bit rate",
    "size_left_open": "Size left open in the header",
    "time_code_track": "Time code",
}


_FORMAL = ("MajorBrand", "DocType", "CodecID", "HandlerName")
_CONVERTED = "The file was written anew by a program, as every upload and conversion does, not straight by a recorder"
_PLAIN = "The container holds no declaration, no contradiction and no trace of an editing program."
_NONE = "The container says nothing of its origin. That is usual for files from messengers and web pages."


def declaration(found: dict[str, Any]) -> tuple[str, str] | None:
    """The strongest declaration of a machine's work in the traces: (reason code, sentence)."""
    for kind, code in (("synthetic", "declared.synthetic"), ("composite", "declared.composite")):
        for trace in found["traces"]:
            if trace["declares"] == kind:
                what = "that a machine generated this" if kind == "synthetic" else "that generative AI changed a part"
                return code, f"The file itself says {what}: {trace['name']} ({trace['source']}). It is not signed."
    return None


def editing(found: dict[str, Any], code: str) -> tuple[str, str] | None:
    """The first editing program among the traces."""
    for trace in found["traces"]:
        if trace["role"] == "editor":
            return code, f"The file went through {trace['name']}. That is usual and no sign of deception by itself."
    return None


def first_of(entries: list[dict[str, str]], code: str) -> tuple[str, str] | None:
    """The first contradiction or problem as a reason, with the number of further ones."""
    if not entries:
        return None
    more = f" There are {len(entries) - 1} more." if len(entries) > 1 else ""
    return code, entries[0]["text"] + more


def container_reason(found: dict[str, Any]) -> tuple[str, str]:
    """What a film's or a recording's container says above all: (reason code, sentence)."""
    written = next((t["name"] for t in found["traces"] if t["role"] in ("encoder", "service")), "")
    told = [t for t in found["tags"] if t["name"] not in _FORMAL]
    candidates = (
        declaration(found),
        first_of(found["contradictions"], "container.contradiction"),
        first_of(found["problems"], "container.damaged"),
        editing(found, "container.edited"),
        ("container.converted", f"{_CONVERTED} ({written}).") if written else None,
        ("container.plain", _PLAIN) if told else None,
    )
    return next((c for c in candidates if c), ("container.none", _NONE))


def facts(found: dict[str, Any]) -> list[Evidence]:
    """Contradictions, problems, traces, structure and the tags that readers look for, in this order."""
    out = [
        fact("Contradiction", c["text"], c["source"], "Innocent causes: wrong clocks, conversions, damaged files.")
        for c in found["contradictions"]
    ]
    out += [fact("Damaged or over a limit", p["text"], p["code"]) for p in found["problems"]]
    for trace in found["traces"]:
        title, text = _ROLES[trace["role"]]
        detail = (
            f" {trace['text']}" if trace["role"] in ("generator", "origin") and trace["text"] != trace["name"] else ""
        )
        out.append(fact(title, trace["name"], trace["source"], f"{text}{detail}"))
    out += [
        fact(title, found["facts"][name], "file structure")
        for name, title in _STRUCTURE.items()
        if found["facts"].get(name) not in (None, False, [], "")
    ]
    out += _tracks(found["facts"].get("tracks") or [])
    return (out + _tags(found["tags"]))[:MAX_FACTS]


def _tags(tags: list[dict[str, str]]) -> list[Evidence]:
    by_name: dict[str, dict[str, str]] = {}
    for tag in tags:
        by_name.setdefault(tag["name"], tag)
    return [fact(name, by_name[name]["value"], by_name[name]["source"]) for name in _WANTED if name in by_name]


def _tracks(tracks: list[dict[str, Any]]) -> list[Evidence]:
    kinds = {"vide": "Picture track", "soun": "Sound track", "tmcd": "Time code track"}
    out = []
    for track in tracks[:6]:
        extras = []
        if track.get("rotation"):
            extras.append(f"shown turned by {track['rotation']} degrees")
        if track.get("variable_rate"):
            extras.append("variable frame rate" if track["kind"] == "vide" else "uneven packets")
        value = f"{track['codec']}, {track['duration']} s"
        title = kinds.get(track["kind"], "Other track")
        out.append(fact(title, value, "container", "; ".join(extras).capitalize()))
    return out
