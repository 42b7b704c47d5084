"""The codes and words of Content Credentials (C2PA specification 2.x, section "Validation"), in plain English."""

from __future__ import annotations

from collections.abc import Iterable

# Failures that leave the seal itself whole: the certificate is not on a list. Normal for many services.
_TRUST_ONLY = ("signingCredential.untrusted", "timeStamp.untrusted", "cawg.")

# Failures that say: these are not the bytes, or not the statement, that was signed.
_TAMPER = (
    "assertion.dataHash.mismatch",
    "assertion.bmffHash.mismatch",
    "assertion.boxesHash.mismatch",
    "assertion.collectionHash.mismatch",
    "assertion.multiAssetHash.mismatch",
    "assertion.hashedURI.mismatch",
    "assertion.missing",
    "assertion.undeclared",
    "claim.missing",
    "claim.multiple",
    "claim.hardBindings.missing",
    "claim.hardBindings.multiple",
    "claimSignature.missing",
    "claimSignature.mismatch",
    "hashedURI.mismatch",
    "hashedURI.missing",
    "ingredient.hashedURI.mismatch",
    "ingredient.manifest.mismatch",
    "ingredient.manifest.missing",
    "ingredient.claimSignature.mismatch",
    "ingredient.claimSignature.missing",
    "manifest.inaccessible",
)

_WORDS = {
    "assertion.dataHash.mismatch": "bytes of the file were changed after it was signed",
    "assertion.bmffHash.mismatch": "parts of the film or sound file were changed after it was signed",
    "assertion.boxesHash.mismatch": "parts of the file were changed after it was signed",
    "assertion.collectionHash.mismatch": "files of the signed collection were changed",
    "assertion.hashedURI.mismatch": "a statement in the credential was changed after it was signed",
    "hashedURI.mismatch": "a part of the credential was changed after it was signed",
    "hashedURI.missing": "a part that the credential refers to was taken out",
    "assertion.missing": "a statement that the credential lists was taken out",
    "assertion.undeclared": "a statement was added that the signer did not list",
    "assertion.action.malformed": "an action is not written as the standard asks",
    "assertion.action.ingredientMismatch": "an action names an ingredient that is not there",
    "assertion.inaccessible": "a statement lies elsewhere and cannot be read",
    "claim.missing": "the signed claim was taken out",
    "claim.multiple": "there is more than one claim",
    "claim.malformed": "the claim is not written as the standard asks",
    "claim.hardBindings.missing": "nothing ties the credential to this file",
    "claimSignature.missing": "the signature was taken out",
    "claimSignature.mismatch": "the claim was changed after it was signed: the signature does not fit it",
    "claimSignature.outsideValidity": "it was signed when the certificate was not valid",
    "ingredient.manifest.missing": "the credential of an ingredient was taken out or changed",
    "ingredient.manifest.mismatch": "the credential of an ingredient was changed",
    "ingredient.hashedURI.mismatch": "the credential of an ingredient was changed",
    "signingCredential.untrusted": "the signer is not on the C2PA trust list",
    "signingCredential.expired": "the signer's certificate has expired and no trusted time stamp shows that it was "
    "valid at the time of signing",
    "signingCredential.invalid": "the signer's certificate is not fit for signing credentials",
    "signingCredential.revoked": "the signer's certificate was withdrawn",
    "signingCredential.ocsp.revoked": "the signer's certificate was withdrawn",
    "algorithm.unsupported": "it is signed with a method that this program does not know",
    "timeStamp.mismatch": "the time stamp belongs to another signature",
    "timeStamp.untrusted": "the time-stamping service is not on the C2PA list",
    "timeStamp.malformed": "the time stamp cannot be read",
    "timeStamp.outsideValidity": "the time stamp's certificate was not valid then",
    "assertion.bmffHash.additionalExclusionsPresent": "some parts of the file are left out of the seal",
    "assertion.dataHash.additionalExclusionsPresent": "some bytes of the file are left out of the seal",
    "cawg.x509.credential.untrusted": "the named person or organisation is not on a list that this program knows",
    "signingCredential.ocsp.skipped": "whether the certificate was withdrawn was not asked (no network is used)",
    "ingredient.unknownProvenance": "an ingredient came without credentials",
}

# IPTC digital source types (https://cv.iptc.org/newscodes/digitalsourcetype/) and C2PA's own.
SYNTHETIC = {"trainedalgorithmicmedia", "algorithmicmedia"}
COMPOSITE = {"compositewithtrainedalgorithmicmedia", "compositesynthetic"}
_SOURCE_WORDS = {
    "trainedalgorithmicmedia": "made by generative AI",
    "algorithmicmedia": "made by a computation, without a camera",
    "compositewithtrainedalgorithmicmedia": "changed or composed with generative AI",
    "compositesynthetic": "composed with synthetic parts",
    "compositecapture": "composed of several captures",
    "composite": "composed of several parts",
    "digitalcapture": "captured by a digital camera or recorder",
    "computationalcapture": "captured and computed from several exposures",
    "algorithmicallyenhanced": "enhanced by an algorithm",
    "humanedits": "edited by a person",
    "minorhumanedits": "slightly edited by a person",
    "digitalart": "drawn with a computer",
    "digitalcreation": "created with a computer",
    "softwareimage": "drawn with a computer",
    "datadrivenmedia": "drawn from data",
    "virtualrecording": "recorded from a virtual scene",
    "screencapture": "a picture of a screen",
    "negativefilm": "scanned from a negative",
    "positivefilm": "scanned from a slide",
    "print": "scanned from a print",
    "empty": "an empty canvas",
}


def source_type(value: object) -> str:
    """The last word of a digital source type's address, for example ``trainedAlgorithmicMedia``."""
    return str(value).strip().rstrip("/").rsplit("/", 1)[-1].rsplit("#", 1)[-1].rsplit(":", 1)[-1][:60]


def source_words(kind: str) -> str:
    """What a digital source type means."""
    return _SOURCE_WORDS.get(kind.lower(), "of a kind that this program does not know")


def words(code: str) -> str:
    """What a validation code means; the code itself where it is unknown."""
    return _WORDS.get(code, f"the check {code} failed")


def serious(codes: Iterable[str]) -> list[str]:
    """Failures other than a certificate missing from a list."""
    return [code for code in codes if not code.startswith(_TRUST_ONLY)]


def tampered(codes: Iterable[str]) -> list[str]:
    """Failures that say the file or the credential was changed, or that the credential belongs to another file."""
    return [code for code in codes if code in _TAMPER]
