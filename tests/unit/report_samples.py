"""Reports made by hand, one of each sort, for the renderers."""

from __future__ import annotations

import base64
import io
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from unmask import evidence
from unmask.report import (
    About,
    Box,
    Evidence,
    Finding,
    Kind,
    Label,
    ModelInfo,
    Provenance,
    Reason,
    Report,
    Status,
    SubjectInfo,
    Tool,
    Verdict,
)
from unmask.subject import Subject

HOSTILE = '<script>alert(1)</script>\n\x1b[31m\u202egpj.exe\' onload="x" {{ 7*7 }}.jpg'
MISSING = Reason(code="not_examined.face.swap", text="Whether a face was swapped was not examined.")
WIDTH, HEIGHT = 640, 400
TITLES = {
    "image.jpeg": "Compression history",
    "image.noise": "Noise of the regions",
    "image.copy_move": "Copied parts",
    "image.grid": "JPEG grid",
    "image.ela": "Error level picture",
    "image.spectrum": "Periodic traces",
    "audio.splice": "Joins in the sound",
    "audio.container": "The sound file",
    "face.swap": "Swapped or reenacted faces",
    "voice.synthetic": "Synthetic voices",
    "video.lipsync": "Lips and voice",
    "video.frames": "Order of the frames",
    "video.container": "The film file",
    "provenance.c2pa": "Content Credentials",
}
NUMBERS: dict[Label, tuple[float, float, float]] = {
    "likely_manipulated": (0.97, 32.0, 0.004),
    "suspicious": (0.8, 4.0, 0.041),
    "no_sign_found": (0.2, 0.25, 0.6),
}


@cache
def preview() -> str:
    """Something like a landscape."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / WIDTH
    ridge = 0.3 + 0.05 * np.sin(9 * x) + 0.03 * np.sin(23 * x + 1)
    sky = np.stack([150 + 120 * y, 180 + 90 * y, 230 + 0 * y], axis=2)
    land = np.stack([90 + 60 * np.sin(40 * x) * y, 110 + 80 * y, 70 + 30 * np.cos(30 * y)], axis=2)
    pixels = np.where((y > ridge)[..., None], land, sky) + np.random.default_rng(1).normal(0, 5, (HEIGHT, WIDTH, 1))
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode()


def heatmap(folder: Path, title: str = "Where the history differs", top: int = 4) -> Evidence:
    """A map that is strong at the right, ``top`` fortieths from the top."""
    path = folder / "picture.png"
    Image.new("RGB", (WIDTH, HEIGHT)).save(path)
    values = np.random.default_rng(2).uniform(0, 0.08, (40, 64)).astype(np.float32)
    values[top : top + 8, 48:60] = 0.95
    return evidence.heatmap(
        Subject(path).image, values, title, "Bright blocks were saved once.", "as the rest", "alone"
    )


def plot() -> Evidence:
    x = [i / 128 for i in range(65)]
    rows = [0.6 + 0.2 * np.sin(i) + (5 if i in (16, 32) else 0) for i in range(65)]
    columns = [0.7 + 0.2 * np.cos(i) for i in range(65)]
    marks = [(0.125, "1/8"), (0.25, "1/4"), (0.2501, "also here"), (0.375, "3/8"), (0.5, "1/2, the finest rhythm")]
    series = [("along rows", rows), ("along columns", columns)]
    return evidence.plot("Spectrum", "A narrow peak is left.", x, series, "cycles a pixel", "power, decibels", marks)


def boxes() -> Evidence:
    places = [(Box(x=40, y=10, w=90, h=80), "source"), (Box(x=520, y=280, w=100, h=80), "copy, turned by 12 degrees")]
    return evidence.boxes("Source and copy", "The same noise twice.", places, [(85, 50, 570, 320)])


def finding(
    detector: str, status: Status = "ok", score: float | None = None, text: str = "Nothing was seen.", *shown: Evidence
) -> Finding:
    return Finding(
        detector=detector,
        version="1",
        question=detector,
        about=About(
            title=TITLES[detector],
            question="Was a part of this file changed?",
            why="Because a changed part tells another story than the whole did.",
            innocent_causes="Messengers recompress, phones sharpen.",
        ),
        status=status,
        raw_score=None if score is None else 10 * score,
        score=score,
        reason=Reason(code=f"{detector}.seen", text=text),
        evidence=shown,
        seconds=0.12,
    )


def report(
    kind: Kind, label: Label, *findings: Finding, name: str, reason: str = "", origin: Provenance | None = None
) -> Report:
    p, ratio, rate = NUMBERS.get(label, (None, None, None))
    reasons = (Reason(code="r", text=reason),) if reason else tuple(f.reason for f in findings[:1])
    seen = kind in ("image", "video")
    return Report(
        tool=Tool(version="0.1.0", models=(ModelInfo(id="face", version="1", sha256="ab" * 32),)),
        created="2026-11-24T12:00:00+00:00",
        subject=SubjectInfo(
            name=name,
            sha256="0123456789abcdef" * 4,
            bytes=123456,
            kind=kind,
            format={"image": "jpeg", "audio": "wav", "video": "mp4"}.get(kind),
            width=WIDTH if seen else None,
            height=HEIGHT if seen else None,
            duration=None if kind == "image" else 75.5,
            facts={"mode": "RGB", "name_disagrees": "The name ends in .png, the content is jpeg."},
            preview=preview() if seen else None,
        ),
        verdict=Verdict(
            label=label,
            probability=p,
            likelihood_ratio=ratio,
            false_alarm_rate=rate,
            reasons=reasons,
            abstained=(MISSING,),
        ),
        findings=findings,
        provenance=origin or Provenance(),
        seconds=1.2,
    )


def origin() -> Provenance:
    """A credential whose ingredient names itself again, so that nobody may follow the chain without end."""
    loop = {"title": "CA.jpg", "relationship": "componentOf", "manifest": "inner"}
    manifest = {
        "title": "out.jpg",
        "format": "image/jpeg",
        "generator": "Some app",
        "author": ["A. Person"],
        "signer": {"common_name": "Signer", "issuer": "Issuer", "time": "2026-01-01"},
        "source_types": [{"type": "trainedAlgorithmicMedia", "text": "made by generative AI", "where": "c2pa.created"}],
        "actions": [
            {"action": "c2pa.created", "software": "Gen", "source_type": "trainedAlgorithmicMedia"},
            {"action": "c2pa.color_adjustments", "parameter_name": "contrast"},
            {"action": "org.example.other"},
        ],
        "ingredients": [{"title": "in.jpg", "relationship": "parentOf", "manifest": None}, loop],
    }
    chain = {
        "present": True,
        "state": "valid",
        "text": "The seal is whole, but the signer is not on the C2PA trust list.",
        "failures": [{"code": "x", "text": "the signer is not on the C2PA trust list", "of": "this file"}],
        "notes": [{"code": "y", "text": "whether the certificate was withdrawn was not asked"}],
        "time": {"signed": "2026-01-01T10:00:00+00:00", "authority": "Clock", "stamped": True, "trusted": True},
        "manifests": [{"label": "outer", **manifest}, {"label": "inner", **manifest, "title": "CA.jpg"}],
    }
    tags = {"tags": [{"name": "Software", "value": "<b>GIMP</b>", "source": "EXIF"}]}
    marks = ({"kind": "TrustMark", "payload": "abc"},)
    return Provenance.model_validate({"c2pa": chain, "metadata": tags, "watermarks": marks})


def times(count: int = 2) -> Evidence:
    pairs = [(12.5, 12.6, "noise floor"), (40.0, 44.0, "bandwidth")]
    pairs += [(50 + i / 4, 50 + i / 4, f"cut {i}") for i in range(count - 2)]
    return evidence.segments("Suspected joins", "The noise floor jumps.", pairs)


def samples(folder: Path) -> dict[str, Report]:
    """One report of each sort, by name."""
    no_sign = "None of the 2 scored examinations found a sign of change. That is no proof that there is none."
    cut = evidence.segments("Cuts", "Scenes.", [(5, 5, "cut")])
    signed = evidence.fact("Signed by", "Signer", "C2PA signature")
    return {
        "likely": report(
            "image",
            "likely_manipulated",
            finding("image.jpeg", "ok", 0.97, "One region was saved once, the rest twice.", heatmap(folder), plot()),
            finding("image.copy_move", "ok", 0.7, "A part lies here twice.", boxes(), evidence.fact("Turn", 12, "fit")),
            finding("image.noise", "ok", 0.3, "No region stands out.", heatmap(folder, "Noise", 24)),
            finding("image.ela", "ok", None, "A picture to look at.", heatmap(folder, "Error level picture", 10)),
            finding("image.grid", "declined", None, "The picture is too small."),
            finding("provenance.c2pa", "not_applicable", None, "This format carries none."),
            name="likely.jpg",
        ),
        "quiet": report(
            "image",
            "no_sign_found",
            finding("image.jpeg", "ok", 0.2, "One history everywhere."),
            finding("image.ela", "ok", None, "A picture to look at.", heatmap(folder)),
            name="quiet.jpg",
            reason=no_sign,
        ),
        "unsure": report(
            "image",
            "inconclusive",
            finding("image.jpeg", "declined", None, "Too small."),
            finding("image.spectrum", "ok", None, "No peaks.", plot()),
            name="unsure.jpg",
        ),
        "declared": report(
            "image",
            "declared_synthetic",
            finding("provenance.c2pa", "ok", None, "The credential says that a machine made it.", signed),
            finding("image.jpeg", "ok", 0.2, "One history everywhere."),
            name="declared.jpg",
            origin=origin(),
        ),
        "sound": report(
            "audio",
            "suspicious",
            finding("audio.splice", "ok", 0.85, "Two joins are suspected.", times(), plot()),
            finding("audio.container", "ok", None, "Facts only.", evidence.fact("Codec", ["pcm", 16], "header")),
            name="sound.wav",
        ),
        "film": report(
            "video",
            "no_sign_found",
            finding("video.frames", "ok", 0.1, "No frame is out of order.", times(60)),
            finding("video.container", "ok", None, "Facts only.", cut),
            name="film.mp4",
            reason=no_sign,
        ),
        "damaged": report(
            "image",
            "inconclusive",
            finding("image.jpeg", "failed", None, "The picture ends too early: the file is cut off."),
            name="damaged.jpg",
        ).model_copy(update={"subject": SubjectInfo(name="damaged.jpg")}),
        "hostile": report(
            "image", "inconclusive", finding("image.jpeg", "failed", None, f"Broken: {HOSTILE}"), name=HOSTILE
        ),
    }
