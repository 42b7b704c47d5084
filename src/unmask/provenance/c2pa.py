"""Content Credentials (C2PA): read, validated offline against the bundled trust lists, and put into plain facts.

Validation is c2pa-python's (the C2PA project's own library). Nothing is fetched: no remote manifest, no
certificate status, no identity document. States of the answer:

- ``trusted``: the seal is whole and the signer is on the C2PA trust list;
- ``valid``: the seal is whole, the signer is on no list (normal for many services; anybody can sign so);
- ``invalid``: the file or the credential was changed after signing, or the credential belongs to another file;
- ``unverifiable``: nothing shows a change, but the seal does not hold up (expired certificate, malformed parts);
- ``remote``: the credential lies on a server; ``absent``; ``unsupported``: this format carries none;
- ``unreadable``: the file or the credential is broken.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import JsonValue

from unmask.media.limits import MAX_METADATA_BYTES
from unmask.media.sniff import Sniffed
from unmask.provenance.credentials import COMPOSITE, SYNTHETIC, serious, source_type, source_words, tampered, words
from unmask.provenance.isobmff import more_boxes
from unmask.provenance.plain import clean, json_safe

Json: TypeAlias = dict[str, Any]

TRUST = Path(__file__).with_name("trust")
MAX_MANIFESTS = 24
MAX_LISTED = 40
# c2pa's time grows with the square of the number of boxes: 6 s for as many as this.
MAX_BOXES = 40_000
_BOXED = ("mp4", "mov", "m4a", "heic", "avif")
_UNSUPPORTED = ("mkv", "webm", "ogg", "bmp", "aac", "aiff")


def read(path: Path, sniffed: Sniffed, anchors: str = "") -> dict[str, JsonValue]:
    """Read and validate the credential of ``path``; never raises for what is wrong with the file.

    Args:
        path: the file.
        sniffed: its format by content.
        anchors: further trust anchors (PEM), for an organisation's own signers.

    Returns:
        ``{"state", "present", "text", …}``; with a readable credential also ``intact`` (signature and bytes
        agree), ``embedded``, ``declares`` (``synthetic``, ``composite``, ``other`` or None), ``failures``,
        ``notes``, ``time`` and ``manifests`` (the active one first). Bounded in size, free of binary.
    """
    if sniffed.format in _UNSUPPORTED:
        return _no("unsupported", "This format cannot carry an embedded Content Credential.")
    import c2pa

    try:
        if sniffed.format in _BOXED and more_boxes(path, MAX_BOXES):
            return _no(
                "unreadable", "The file consists of more boxes than any honest one: no credential was looked for."
            )
        with path.open("rb") as file, c2pa.Reader(sniffed.mime, file, context=_context(c2pa, anchors)) as reader:
            embedded = bool(reader.is_embedded())
            text = reader.json()
    except c2pa.C2paError as error:
        return _refusal(str(error))
    except OSError as error:
        return _no("unreadable", f"The file cannot be read: {clean(error.strerror)}.")
    if len(text) > MAX_METADATA_BYTES:
        return _no("unreadable", "The Content Credential is larger than any honest one: it was not read.")
    return _answer(json.loads(text), embedded)


@cache
def _lists() -> tuple[str, str]:
    return (
        (TRUST / "C2PA-TRUST-LIST.pem").read_text("utf-8"),
        (TRUST / "C2PA-TSA-TRUST-LIST.pem").read_text("utf-8"),
    )


def _context(c2pa: Any, anchors: str) -> Any:
    """A fresh context (1.5 ms): it does not outlive a fork and is shared by no thread."""
    signers, stampers = _lists()
    lists = [
        {"trust_anchors": signers, "trust_kind": "manifest"},
        {"trust_anchors": stampers, "trust_kind": "tsa"},
    ]
    if anchors:
        lists.append({"trust_anchors": anchors, "trust_kind": "manifest"})
    settings = {
        "trust": {"anchors": lists},
        "core": {"allowed_network_hosts": [], "max_decompressed_manifest_size_in_mb": MAX_METADATA_BYTES >> 20},
        "verify": {
            "verify_trust": True,
            "verify_timestamp_trust": True,
            "remote_manifest_fetch": False,
            "ocsp_fetch": False,
        },
    }
    return c2pa.Context(settings=c2pa.Settings.from_dict(settings))


def _no(state: str, text: str) -> dict[str, JsonValue]:
    return {"state": state, "present": False, "text": text}


def _refusal(message: str) -> dict[str, JsonValue]:
    if message.startswith("ManifestNotFound"):
        return _no("absent", "The file carries no Content Credential. Most files carry none: it says nothing.")
    if "emoteManifest" in message:
        where = clean(message.rsplit(" ", 1)[-1], 200)
        return {**_no("remote", "The file names a Content Credential on a server; it was not fetched."), "url": where}
    if message.startswith("NotSupported"):
        return _no("unsupported", "This format cannot carry an embedded Content Credential.")
    return {
        **_no("unreadable", "A Content Credential, or the file around it, is broken and cannot be read."),
        "detail": clean(message, 200),
    }


def _answer(store: Json, embedded: bool) -> dict[str, JsonValue]:
    results = _dict(store.get("validation_results"))
    active = str(store.get("active_manifest") or "")
    failures = _failures(results, active)
    state = _state(str(store.get("validation_state")), [f["code"] for f in failures])
    manifests = _dict(store.get("manifests"))
    bad = {clean(f["url"], 1000) for f in failures if tampered([f["code"]])}
    kind, why = _declares(manifests, active, bad)
    return {
        "state": state,
        "present": True,
        "text": _STATE_WORDS[state if state != "unverifiable" or _intact(results) else "unconfirmed"],
        "intact": state in ("trusted", "valid") or (state == "unverifiable" and _intact(results)),
        "embedded": embedded,
        "declares": kind,
        "declared_by": why,
        "failures": [{k: clean(v, 200) for k, v in f.items() if k != "url"} for f in failures[:MAX_LISTED]],
        "notes": _notes(results),
        "time": _time(results, _dict(manifests.get(active))),
        "manifests": [_manifest(label, manifests[label]) for label in _order(manifests, active)],
        "specification": clean(results.get("specVersion", ""), 20),
    }


_STATE_WORDS = {
    "trusted": "The seal is whole, and the signer is on the C2PA trust list.",
    "valid": "The seal is whole, but the signer is not on the C2PA trust list. That is normal for many services; "
    "it also means that nobody vouches for who signed.",
    "invalid": "The file was changed after it was signed, or the credential was moved to another file.",
    "unverifiable": "The bytes are those that were signed, but who signed them cannot be confirmed any more.",
    "unconfirmed": "The seal cannot be confirmed, nor whether these are the bytes that were signed.",
}


def _state(library_state: str, codes: list[str]) -> str:
    if library_state == "Trusted":
        return "trusted"
    if library_state == "Valid":
        return "valid"
    return "invalid" if tampered(codes) else "unverifiable"


def _intact(results: Json) -> bool:
    """Whether the signature fits the claim and the claim fits the bytes."""
    codes = {str(s.get("code")) for s in map(_dict, _list(_active(results).get("success")))}
    return "claimSignature.validated" in codes and any(c.endswith("Hash.match") for c in codes)


def _failures(results: Json, active: str) -> list[dict[str, str]]:
    """All failing checks, the active manifest's first."""
    groups = [("this file", _dict(results.get("activeManifest")).get("failure"))]
    for delta in _list(results.get("ingredientDeltas")):
        groups.append(("an ingredient", _dict(_dict(delta).get("validationDeltas")).get("failure")))
    found: list[dict[str, str]] = []
    for whose, failures in groups:
        for failure in map(_dict, _list(failures)):
            code, url = str(failure.get("code", "")), str(failure.get("url", ""))
            part = "/".join(url.split("/")[3:]) or url
            owner = "this file" if active and active in url else whose
            found.append({"code": code, "text": words(code), "of": owner, "part": part, "url": url})
    order = {
        code: i for i, code in enumerate([*tampered(f["code"] for f in found), *serious(f["code"] for f in found)])
    }
    return sorted(found, key=lambda f: (f["of"] != "this file", order.get(f["code"], 99)))


def _notes(results: Json) -> list[JsonValue]:
    codes = dict.fromkeys(str(s.get("code")) for s in map(_dict, _list(_active(results).get("informational"))))
    return [{"code": clean(c, 80), "text": words(c)} for c in list(codes)[:MAX_LISTED]]


def _time(results: Json, manifest: Json) -> JsonValue:
    stated = _dict(manifest.get("signature_info")).get("time")
    statuses = [s for part in ("success", "informational") for s in map(_dict, _list(_active(results).get(part)))]
    codes = {str(s.get("code")) for s in statuses}
    named = next((s for s in statuses if str(s.get("code")).startswith("timeStamp.")), {})
    authority = str(named.get("explanation", "")).rpartition(": ")[2]
    return {
        "signed": clean(stated, 40) if stated else None,
        "authority": clean(authority, 120) if authority else None,
        "stamped": "timeStamp.validated" in codes,
        "trusted": "timeStamp.trusted" in codes,
    }


def _order(manifests: Json, active: str) -> list[str]:
    """Manifest labels from the active one along its ingredients, breadth first; what nobody names comes last."""
    seen: dict[str, None] = {active: None} if active in manifests else {}
    queue = list(seen)
    while queue and len(seen) < MAX_MANIFESTS:
        for ingredient in _list(_dict(manifests[queue.pop(0)]).get("ingredients")):
            label = _dict(ingredient).get("active_manifest")
            if isinstance(label, str) and label in manifests and label not in seen:
                seen[label] = None
                queue.append(label)
    return list(dict.fromkeys([*seen, *manifests]))[:MAX_MANIFESTS]


def _manifest(label: str, manifest: Json) -> JsonValue:
    signature = _dict(manifest.get("signature_info"))
    assertions = [_dict(a) for a in _list(manifest.get("assertions"))]
    return {
        "label": clean(label, 120),
        "title": clean(manifest.get("title", ""), 120),
        "format": clean(manifest.get("format", ""), 40),
        "generator": _generator(manifest),
        "signer": {
            key: clean(signature[key], 120)
            for key in ("issuer", "common_name", "alg", "time", "cert_serial_number")
            if signature.get(key)
        },
        "source_types": [
            {"type": clean(t, 60), "text": source_words(t), "where": where}
            for where, t in _source_types(assertions)[:MAX_LISTED]
        ],
        "actions": [_action(a) for a in _actions(assertions)[:MAX_LISTED]],
        "ingredients": [_ingredient(_dict(i)) for i in _list(manifest.get("ingredients"))[:MAX_LISTED]],
        "assertions": [clean(a.get("label", ""), 80) for a in assertions[:MAX_LISTED]],
        "author": _author(assertions),
    }


def _generator(manifest: Json) -> str:
    infos = [_dict(i) for i in _list(manifest.get("claim_generator_info"))]
    named = ", ".join(f"{i.get('name', '')} {i.get('version', '')}".strip() for i in infos if i.get("name"))
    return clean(named or manifest.get("claim_generator", ""), 160)


def _author(assertions: list[Json]) -> JsonValue:
    for assertion in assertions:
        if assertion.get("label") == "stds.schema-org.CreativeWork":
            authors = [_dict(a) for a in _list(_dict(assertion.get("data")).get("author"))]
            return [clean(a.get("name", ""), 80) for a in authors[:8]]
    return []


def _action(action: Json) -> JsonValue:
    agent = action.get("softwareAgent")
    software = agent.get("name", "") if isinstance(agent, dict) else agent or ""
    kind = action.get("digitalSourceType")
    out: dict[str, JsonValue] = {"action": clean(action.get("action", ""), 60)}
    extras = {"when": action.get("when"), "software": software, "description": action.get("description")}
    out |= {key: clean(value, 120) for key, value in extras.items() if value}
    if kind:
        out["source_type"] = clean(source_type(kind), 60)
    if action.get("parameters"):
        shown = {k: v for k, v in _dict(action["parameters"]).items() if k in ("name", "description")}
        out |= {f"parameter_{k}": json_safe(v, 1, 120) for k, v in shown.items()}
    return out


def _ingredient(ingredient: Json) -> JsonValue:
    return {
        "title": clean(ingredient.get("title", ""), 120),
        "format": clean(ingredient.get("format", ""), 40),
        "relationship": clean(ingredient.get("relationship", ""), 40),
        "manifest": clean(ingredient["active_manifest"], 120) if ingredient.get("active_manifest") else None,
    }


def _actions(assertions: Iterable[Json]) -> list[Json]:
    return [
        _dict(action)
        for assertion in assertions
        if str(assertion.get("label", "")).startswith("c2pa.actions")
        for action in _list(_dict(assertion.get("data")).get("actions"))
    ]


def _source_types(assertions: list[Json]) -> list[tuple[str, str]]:
    """(where, type) of each digital source type: actions first, then metadata assertions."""
    found = [
        (clean(a.get("action", ""), 60), source_type(a["digitalSourceType"]))
        for a in _actions(assertions)
        if a.get("digitalSourceType")
    ]
    for assertion in assertions:
        label = str(assertion.get("label", ""))
        if label.startswith(("stds.iptc", "c2pa.metadata", "stds.exif", "cawg.metadata")):
            for key, value in _dict(assertion.get("data")).items():
                if str(key).lower().endswith("digitalsourcetype"):
                    found.append((clean(label, 60), source_type(value)))
    return found


def _declares(manifests: Json, active: str, bad_urls: set[str]) -> tuple[str | None, str | None]:
    """What the active manifest, or the parents that it was made from, declares about the whole file."""
    label, seen = active, set[str]()
    answer: tuple[str | None, str | None] = (None, None)
    while label in manifests and label not in seen and len(seen) < MAX_MANIFESTS:
        if seen and any(label in url for url in bad_urls):
            break  # the parent's own seal is broken: what it says counts for nothing
        seen.add(label)
        manifest = _dict(manifests[label])
        kind = _own_declaration(manifest)
        if (
            kind in (None, "other")
            and not _whole_parent(manifest)
            and _synthetic_component(manifest, manifests, bad_urls)
        ):
            kind = "composite"
        if kind == "composite" or (kind and answer[0] != "composite"):
            answer = (kind, clean(label, 120))
        if kind == "synthetic":
            # Edited or not, the whole goes back to a generator.
            return kind, clean(label, 120)
        label = _whole_parent(manifest)
    return answer


def _whole_parent(manifest: Json) -> str:
    """The manifest of the one ingredient that makes up the whole: the parent, or the only one of a mere wrapper."""
    ingredients = [_dict(i) for i in _list(manifest.get("ingredients"))]
    parents = [i for i in ingredients if i.get("relationship") == "parentOf"]
    created = any(a.get("action") == "c2pa.created" for a in _actions(map(_dict, _list(manifest.get("assertions")))))
    if not parents and len(ingredients) == 1 and not created:
        parents = ingredients
    return str(parents[0].get("active_manifest", "")) if len(parents) == 1 else ""


def _own_declaration(manifest: Json) -> str | None:
    types = _source_types([_dict(a) for a in _list(manifest.get("assertions"))])
    lowered = [(where, kind.lower()) for where, kind in types]
    # On anything but the creation of the whole (an edit, a placed part) the type tells of a part only.
    whole = [kind for where, kind in lowered if where == "c2pa.created" or not where.startswith("c2pa.")]
    if any(kind in SYNTHETIC for kind in whole):
        return "synthetic"
    if any(kind in SYNTHETIC | COMPOSITE for _, kind in lowered):
        return "composite"
    return "other" if lowered else None


def _synthetic_component(manifest: Json, manifests: Json, bad_urls: set[str]) -> bool:
    for ingredient in map(_dict, _list(manifest.get("ingredients"))[:MAX_LISTED]):
        label = str(ingredient.get("active_manifest", ""))
        if ingredient.get("relationship") != "componentOf" or label not in manifests:
            continue
        if any(label in url for url in bad_urls):
            continue
        if _own_declaration(_dict(manifests[label])) in ("synthetic", "composite"):
            return True
    return False


def _active(results: Json) -> Json:
    return _dict(results.get("activeManifest"))


def _dict(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
