"""Content Credentials: the kit's table, and files signed here with a certification authority made here."""

from __future__ import annotations

import io
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import c2pa
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from PIL import Image

from unmask.card import read_card
from unmask.detectors.provenance_c2pa.detector import CARD, examine
from unmask.media.sniff import sniff
from unmask.options import Options
from unmask.provenance.c2pa import TRUST, read
from unmask.subject import Subject

TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"

# name: (state, first failing check of the file itself or of its credential, reason code of the finding)
KIT = {
    "c2pa-C.jpg": ("valid", "signingCredential.untrusted", "c2pa.valid"),
    "c2pa-CA.jpg": ("valid", "signingCredential.untrusted", "c2pa.valid"),
    "c2pa-CAICA.jpg": ("valid", "signingCredential.untrusted", "c2pa.valid"),
    "C_with_CAWG_data.jpg": ("valid", "signingCredential.untrusted", "c2pa.valid"),
    "video1.mp4": ("valid", "signingCredential.untrusted", "c2pa.valid"),
    "c2pa-E-clm-CAICAI.jpg": ("invalid", "assertion.hashedURI.mismatch", "c2pa.invalid"),
    "c2pa-E-dat-CA.jpg": ("invalid", "assertion.dataHash.mismatch", "c2pa.invalid"),
    "c2pa-E-sig-CA.jpg": ("invalid", "claimSignature.mismatch", "c2pa.invalid"),
    "c2pa-E-uri-CA.jpg": ("invalid", "assertion.hashedURI.mismatch", "c2pa.invalid"),
    "c2pa-XCA.jpg": ("invalid", "assertion.dataHash.mismatch", "c2pa.invalid"),
    "c2pa-XCI.jpg": ("invalid", "assertion.dataHash.mismatch", "c2pa.invalid"),
    "c2pa-nikon-20221019-building.jpeg": ("unverifiable", "signingCredential.expired", "c2pa.unverifiable"),
    "generated-with-c2pa-1.png": ("unverifiable", "signingCredential.expired", "c2pa.claims_synthetic"),
    "c2pa-I.jpg": ("absent", None, "c2pa.none"),
    "no_manifest.jpg": ("absent", None, "c2pa.none"),
    "mars.webp": ("absent", None, "c2pa.none"),
    "sample1.avif": ("absent", None, "c2pa.none"),
    "sample1.wav": ("absent", None, "c2pa.none"),
    "video1_no_manifest.mp4": ("absent", None, "c2pa.none"),
    "riff_bomb_1000.wav": ("absent", None, "c2pa.none"),
    "id3v23_compression_underflow.mp3": ("absent", None, "c2pa.none"),
    "nested_moov_1000.mp4": ("unreadable", None, "c2pa.unreadable"),
}


@pytest.mark.kit
@pytest.mark.parametrize("name", KIT)
def test_kit(kit: Path, name: str) -> None:
    state, failing, code = KIT[name]
    subject = Subject(kit / "provenance" / name)
    found: dict[str, Any] = dict(subject.c2pa)
    finding = examine(subject, Options())
    assert (found["state"], finding.reason.code) == (state, code)
    if failing:
        assert found["failures"][0]["code"] == failing
        assert found["failures"][0]["of"] == "this file"
    assert len(json.dumps(found)) < 20_000
    assert finding.raw_score is None


@pytest.mark.kit
def test_the_kits_chain_time_and_signer_are_shown(kit: Path) -> None:
    found: dict[str, Any] = dict(Subject(kit / "provenance" / "c2pa-CAICA.jpg").c2pa)
    assert [m["title"] for m in found["manifests"]] == ["CAICA.jpg", "CA.jpg"]
    assert [a["action"] for a in found["manifests"][0]["actions"]][-2:] == ["c2pa.placed", "c2pa.resized"]
    assert found["time"] == {
        "signed": "2023-01-24T14:48:58+00:00",
        "authority": "DigiCert Timestamp 2022 - 2",
        "stamped": True,
        "trusted": True,
    }
    assert found["manifests"][0]["signer"]["issuer"] == "C2PA Test Signing Cert"


@pytest.mark.kit
def test_a_wrapper_around_a_generated_picture_declares_the_whole(kit: Path) -> None:
    found: dict[str, Any] = dict(Subject(kit / "provenance" / "generated-with-c2pa-1.png").c2pa)
    assert (found["declares"], found["intact"]) == ("synthetic", True)
    assert found["manifests"][1]["source_types"][0]["type"] == "trainedAlgorithmicMedia"


class Authority:
    """A certification authority and a signer made for one test run."""

    def __init__(self) -> None:
        self.root_key = ec.generate_private_key(ec.SECP256R1())
        root_name = _name("Test root")
        self.root = _certificate(root_name, root_name, self.root_key, self.root_key, None)
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _certificate(_name("Test newsroom"), root_name, key, self.root_key, self.root)
        self.pem = _pem(self.root).decode()
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        info = c2pa.C2paSignerInfo(
            alg=c2pa.C2paSigningAlg.ES256, sign_cert=_pem(leaf) + _pem(self.root), private_key=private, ta_url=None
        )
        self.signer = c2pa.Signer.from_info(info)

    def sign(self, path: Path, data: bytes, mime: str, **manifest: Any) -> Path:
        parent = manifest.pop("parent", None)
        store = {"claim_generator_info": [{"name": "unmask test", "version": "1"}], "title": path.name} | manifest
        builder = c2pa.Builder(store)
        if parent is not None:
            how, content = parent
            builder.add_ingredient({"title": "part", "relationship": how, "label": "part"}, mime, io.BytesIO(content))
        out = io.BytesIO()
        builder.sign(self.signer, mime, io.BytesIO(data), out)
        path.write_bytes(out.getvalue())
        return path


def _name(common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Unmask"), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _certificate(subject: x509.Name, issuer: x509.Name, key: Any, signing: Any, root: Any) -> x509.Certificate:
    now = datetime.now(UTC)
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
    )
    usage |= {"digital_signature": root is not None, "key_cert_sign": root is None, "crl_sign": root is None}
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=root is None, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage, decipher_only=False), critical=True)
        .add_extension(own, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
    )
    if root is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return builder.sign(signing, hashes.SHA256())


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    pixels = np.random.default_rng(1).integers(0, 255, (96, 128, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _created(kind: str) -> dict[str, Any]:
    action = {"action": "c2pa.created", "digitalSourceType": TYPES + kind}
    return {"assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}]}


def test_own_signature_is_valid_but_on_no_list(authority: Authority, jpeg: bytes, tmp_path: Path) -> None:
    path = authority.sign(tmp_path / "a.jpg", jpeg, "image/jpeg", **_created("digitalCapture"))
    subject = Subject(path)
    finding = examine(subject, Options())
    assert finding.reason.code == "c2pa.valid"
    assert "not on the C2PA trust list" in finding.reason.text
    assert subject.c2pa["declares"] == "other"
    facts = {e.title: e.data for e in finding.evidence}
    assert facts["Signed by"] is not None
    assert facts["Signed by"]["value"] == "Test newsroom, Unmask"


def test_with_its_root_as_anchor_it_is_trusted(authority: Authority, jpeg: bytes, tmp_path: Path) -> None:
    path = authority.sign(tmp_path / "a.jpg", jpeg, "image/jpeg", **_created("digitalCapture"))
    found = read(path, sniff(path), anchors=authority.pem)
    assert (found["state"], found["failures"]) == ("trusted", [])
    other = Authority()
    assert read(path, sniff(path), anchors=other.pem)["state"] == "valid"


def test_one_flipped_byte_is_found(authority: Authority, jpeg: bytes, tmp_path: Path) -> None:
    path = authority.sign(tmp_path / "a.jpg", jpeg, "image/jpeg", **_created("trainedAlgorithmicMedia"))
    data = bytearray(path.read_bytes())
    data[-200] ^= 1
    path.write_bytes(data)
    finding = examine(Subject(path), Options())
    assert finding.reason.code == "c2pa.invalid"
    assert "bytes of the file were changed" in finding.reason.text
    assert "only a claim" in finding.reason.text  # a broken seal vouches for nothing, whatever it declares
    assert CARD.labels["c2pa.invalid"] == "suspicious"


def test_a_credential_moved_to_another_picture_is_invalid(authority: Authority, jpeg: bytes, tmp_path: Path) -> None:
    signed = authority.sign(tmp_path / "a.jpg", jpeg, "image/jpeg", **_created("digitalCapture")).read_bytes()
    buffer = io.BytesIO()
    Image.new("RGB", (128, 96), (10, 200, 30)).save(buffer, "JPEG", quality=90)
    other = buffer.getvalue()
    start = signed.index(b"\xff\xeb")
    end = start
    while signed[end : end + 2] == b"\xff\xeb":
        end += 2 + int.from_bytes(signed[end + 2 : end + 4], "big")
    moved = tmp_path / "moved.jpg"
    moved.write_bytes(other[:20] + signed[start:end] + other[20:])
    assert examine(Subject(moved), Options()).reason.code == "c2pa.invalid"


@pytest.mark.parametrize(
    ("kind", "code", "label"),
    [
        ("trainedAlgorithmicMedia", "c2pa.declares_synthetic", "declared_synthetic"),
        ("compositeWithTrainedAlgorithmicMedia", "c2pa.declares_composite", "likely_manipulated"),
        ("computationalCapture", "c2pa.valid", None),
        ("screenCapture", "c2pa.valid", None),
    ],
)
def test_declared_source_types(
    authority: Authority, jpeg: bytes, tmp_path: Path, kind: str, code: str, label: str | None
) -> None:
    path = authority.sign(tmp_path / "a.jpg", jpeg, "image/jpeg", **_created(kind))
    finding = examine(Subject(path), Options())
    assert finding.reason.code == code
    assert CARD.labels.get(finding.reason.code) == label


@pytest.mark.parametrize(("how", "declares"), [("parentOf", "synthetic"), ("componentOf", "composite")])
def test_a_generated_parent_makes_the_whole_and_a_generated_part_makes_a_composite(
    authority: Authority, jpeg: bytes, tmp_path: Path, how: str, declares: str
) -> None:
    made = authority.sign(tmp_path / "made.jpg", jpeg, "image/jpeg", **_created("trainedAlgorithmicMedia"))
    part = {"parameters": {"ingredientIds": ["part"]}}
    actions = {
        "parentOf": [{"action": "c2pa.opened", **part}, {"action": "c2pa.color_adjustments"}],
        "componentOf": [
            {"action": "c2pa.created", "digitalSourceType": TYPES + "digitalCapture"},
            {"action": "c2pa.placed", **part},
        ],
    }
    manifest = {"assertions": [{"label": "c2pa.actions", "data": {"actions": actions[how]}}]}
    path = authority.sign(tmp_path / "b.jpg", jpeg, "image/jpeg", parent=(how, made.read_bytes()), **manifest)
    assert read(path, sniff(path))["declares"] == declares


def test_formats_that_carry_none_and_broken_files(tmp_path: Path, jpeg: bytes) -> None:
    bmp = tmp_path / "a.bmp"
    Image.new("RGB", (40, 40)).save(bmp)
    assert examine(Subject(bmp), Options()).status == "not_applicable"
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(jpeg[:60])
    assert examine(Subject(cut), Options()).status in ("ok", "declined")


def test_hostile_text_in_a_manifest_is_cut_and_cleaned(authority: Authority, jpeg: bytes, tmp_path: Path) -> None:
    title = "\x1b[31m\u202eevil\n" + "x" * 5000
    path = authority.sign(tmp_path / "a.jpg", jpeg, "image/jpeg", title=title, **_created("digitalCapture"))
    found: dict[str, Any] = dict(read(path, sniff(path)))
    shown = found["manifests"][0]["title"]
    assert shown.startswith("[31mevil xxx")
    assert len(shown) <= 120


def test_same_file_same_answer_and_untouched(authority: Authority, jpeg: bytes, tmp_path: Path) -> None:
    path = authority.sign(tmp_path / "a.jpg", jpeg, "image/jpeg", **_created("digitalCapture"))
    before = path.read_bytes()
    assert examine(Subject(path), Options()) == examine(Subject(path), Options())
    assert path.read_bytes() == before


def test_bundled_lists_and_their_licence() -> None:
    for name, count in (("C2PA-TRUST-LIST.pem", 30), ("C2PA-TSA-TRUST-LIST.pem", 22)):
        assert len(x509.load_pem_x509_certificates((TRUST / name).read_bytes())) == count
    assert "CC BY 4.0" in (TRUST / "LICENCE.md").read_text("utf-8")
    assert read_card(CARD.folder, CARD.module).kinds == ("image", "video", "audio")


@pytest.mark.parametrize("inside", [False, True])
def test_a_film_of_very_many_boxes_costs_little(tmp_path: Path, inside: bool) -> None:
    boxes = b"\x00\x00\x00\x08free" * 500_000
    body = (len(boxes) + 8).to_bytes(4, "big") + b"moov" + boxes if inside else boxes
    (tmp_path / "a.mp4").write_bytes(b"\x00\x00\x00\x14ftypisom\x00\x00\x00\x00isom" + body)
    started = time.monotonic()
    assert read(tmp_path / "a.mp4", sniff(tmp_path / "a.mp4"))["state"] == "unreadable"
    assert time.monotonic() - started < 5
