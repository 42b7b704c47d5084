"""Content Credentials as a finding: the state of the seal, who signed, what the credential says was done."""

from __future__ import annotations

from typing import Any

from unmask.card import own_card
from unmask.evidence import fact
from unmask.options import Options
from unmask.report import Evidence, Finding
from unmask.subject import Subject

CARD = own_card(__file__)
_SHOWN = 8
_OFF_LIST = "The signer is not on the C2PA trust list, so anybody may have made this statement."


def examine(subject: Subject, options: Options) -> Finding:  # noqa: ARG001 - every detector takes options
    """State, signer, history and declared origin of the subject's Content Credential."""
    found: dict[str, Any] = dict(subject.c2pa)
    state = found["state"]
    if state == "unsupported":
        return CARD.not_applicable("c2pa.format", found["text"])
    if state == "unreadable":
        shown = [fact("Reader's message", found["detail"], "C2PA reader")] if found.get("detail") else []
        return CARD.declined("c2pa.unreadable", found["text"], shown)
    if state == "absent":
        return CARD.ok("c2pa.none", found["text"])
    if state == "remote":
        return CARD.ok("c2pa.remote", found["text"], evidence=[fact("Address", found["url"], "C2PA", found["text"])])
    code, text = reason(found)
    return CARD.ok(code, text, evidence=evidence(found))


def reason(found: dict[str, Any]) -> tuple[str, str]:
    """The most important thing that the credential says: (code, sentence)."""
    state, declares = found["state"], found["declares"]
    if state == "invalid":
        return "c2pa.invalid", _invalid(found)
    if state == "unverifiable":
        return _unverifiable(found)
    listed = "The signer is on the C2PA trust list." if state == "trusted" else _OFF_LIST
    if declares == "synthetic":
        return "c2pa.declares_synthetic", f"The credential declares that a machine generated this. {listed}"
    if declares == "composite":
        text = f"The credential declares that generative AI made or changed a part of this. {listed}"
        return "c2pa.declares_composite", text
    return f"c2pa.{state}", found["text"]


def _invalid(found: dict[str, Any]) -> str:
    texts = dict.fromkeys(f["text"] for f in found["failures"] if "untrusted" not in f["code"])
    claim = ""
    if found["declares"] in ("synthetic", "composite"):
        claim = " It speaks of generative AI, but with a broken seal that is only a claim."
    return f"{found['text']} In detail: {'; '.join(list(texts)[:3])}.{claim}"


def _unverifiable(found: dict[str, Any]) -> tuple[str, str]:
    causes = dict.fromkeys(f["text"] for f in found["failures"] if "untrusted" not in f["code"])
    text = f"{found['text']} Cause: {'; '.join(list(causes)[:3])}."
    if found["declares"] == "synthetic" and found["intact"]:
        return "c2pa.claims_synthetic", f"The credential says that a machine generated this: a claim only. {text}"
    if found["declares"] in ("synthetic", "composite"):
        text = f"{text} It says that generative AI took part: a claim only."
    return "c2pa.unverifiable", text


def evidence(found: dict[str, Any]) -> list[Evidence]:
    """Facts: failing checks first, then signer and time, then each manifest's story."""
    out = [
        fact("Check not passed", f["text"], f["code"], f"In {f['of']}: {f['part']}") for f in found["failures"][:_SHOWN]
    ]
    manifests: list[dict[str, Any]] = found["manifests"]
    if manifests:
        out.extend(_who(manifests[0], found["time"]))
    for place, manifest in enumerate(manifests[:_SHOWN]):
        out.append(_story(place, manifest))
    for note in found["notes"][:_SHOWN]:
        out.append(fact("Note", note["text"], note["code"]))
    return out


def _who(manifest: dict[str, Any], time: dict[str, Any]) -> list[Evidence]:
    signer = manifest["signer"]
    name = ", ".join(dict.fromkeys(signer[k] for k in ("common_name", "issuer") if k in signer))
    out = [fact("Signed by", name or "not stated", "C2PA signature", "As the certificate says.")]
    if time["signed"] or time["stamped"]:
        whose = f"stamped by {time['authority']}" if time["stamped"] else "as the signer says, without a time stamp"
        trust = "on the list of time-stamping services" if time["trusted"] else "not on the list"
        text = f"{whose} ({trust})" if time["stamped"] else whose
        out.append(fact("Signed at", time["signed"], "C2PA signature", text[0].upper() + text[1:] + "."))
    if manifest["generator"]:
        out.append(fact("Written by", manifest["generator"], "C2PA claim generator"))
    return out


def _story(place: int, manifest: dict[str, Any]) -> Evidence:
    whose = "this file" if place == 0 else f"ingredient {place}"
    parts = [
        a["action"].removeprefix("c2pa.").replace("_", " ") + (f" with {a['software']}" if "software" in a else "")
        for a in manifest["actions"]
    ]
    sources = [f"{s['type']} ({s['text']})" for s in manifest["source_types"]]
    made_of = [i["title"] or "untitled" for i in manifest["ingredients"]]
    text = f"Actions: {', '.join(parts) or 'none stated'}."
    text += f" Origin: {', '.join(sources)}." if sources else ""
    text += f" Made from: {', '.join(made_of)}." if made_of else ""
    return fact(f"What the credential says of {whose}", manifest["title"] or manifest["label"], "C2PA manifest", text)
