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

HOSTILE = '<script>alert(1)</script>\n\x1b[31m\u202egpj.exe\' onload="x".jpg'
MISSING = Reason(code="not_examined.face.swap", text="Whether a face was swapped was not examined.")


@cache
def preview() -> str:
    x, y = np.meshgrid(np.linspace(0, 1, 320), np.linspace(0, 1, 200))
    pixels = np.stack([120 + 100 * y, 140 + 60 * np.sin(9 * x), 220 - 120 * y], axis=2)
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG")
    return base64.b64encode(buffer.getvalue()).decode()


def heatmap(folder: Path) -> Evidence:
    path = folder / "picture.png"
    Image.new("RGB", (640, 400)).save(path)
    values = np.zeros((40, 64), np.float32)
    values[4:12, 48:60] = 0.95
    return evidence.heatmap(Subject(path).image, values, "Double compression", "Bright blocks were saved once.")


def finding(
    detector: str, status: Status = "ok", score: float | None = None, text: str = "Nothing was seen.", *shown: Evidence
) -> Finding:
    return Finding(
        detector=detector,
        version="1",
        question=detector,
        about=About(
            title=detector.split(".")[1].replace("_", " ").title(),
            question="Was a part of this picture changed?",
            why="Because a changed part tells another story.",
            innocent_causes="Messengers recompress, phones sharpen.",
        ),
        status=status,
        raw_score=None if score is None else 10 * score,
        score=score,
        reason=Reason(code=f"{detector}.seen", text=text),
        evidence=shown,
        seconds=0.12,
    )


def report(kind: Kind, label: Label, *findings: Finding, name: str = "sample", **extra: object) -> Report:
    numbers = label in ("likely_manipulated", "suspicious", "no_sign_found")
    likely = label == "likely_manipulated"
    fields: dict[str, object] = {"width": 640, "height": 400} if kind != "audio" else {}
    if kind in ("audio", "video"):
        fields["duration"] = 75.5
    return Report(
        tool=Tool(version="0.1.0", models=(ModelInfo(id="face", version="1", sha256="ab" * 32),)),
        created="2026-11-24T12:00:00+00:00",
        subject=SubjectInfo(
            name=name,
            sha256="0123456789abcdef" * 4,
            bytes=123456,
            kind=kind,
            format="jpeg",
            facts={"mode": "RGB", "name_disagrees": "The name ends in .png, the content is jpeg."},
            preview=preview() if kind != "audio" else None,
            **fields,  # type: ignore[arg-type]
        ),
        verdict=Verdict(
            label=label,
            probability=(0.97 if likely else 0.2) if numbers else None,
            likelihood_ratio=(32.0 if likely else 0.25) if numbers else None,
            false_alarm_rate=(0.004 if likely else 0.6) if numbers else None,
            reasons=(Reason(code="r", text="A region was saved once, the rest twice."),),
            abstained=(MISSING,),
        ),
        findings=findings,
        seconds=1.2,
        **extra,  # type: ignore[arg-type]
    )


def samples(folder: Path) -> dict[str, Report]:
    """One report of each sort, by name."""
    boxes = evidence.boxes(
        "Source and copy",
        "The same noise twice.",
        [(Box(x=40, y=40, w=90, h=80), "source"), (Box(x=400, y=220, w=90, h=80), "copy")],
        [(85, 80, 445, 260)],
    )
    plot = evidence.plot(
        "Spectrum",
        "A peak.",
        list(range(50)),
        [("residual", [float(i % 7) for i in range(50)])],
        "frequency",
        "power",
        [(14, "1/4")],
    )
    times = evidence.segments(
        "Joins", "The noise floor jumps.", [(12.5, 12.6, "noise floor"), (40.0, 44.0, "bandwidth")]
    )
    chain = {
        "present": True,
        "state": "valid",
        "text": "The seal is whole.",
        "manifests": [
            {
                "title": "out.jpg",
                "format": "image/jpeg",
                "generator": "Some app",
                "author": ["A. Person"],
                "signer": {"common_name": "Signer", "issuer": "Issuer", "time": "2026-01-01"},
                "actions": [{"action": "c2pa.created", "software": "Gen", "source_type": "trainedAlgorithmicMedia"}],
                "ingredients": [{"title": "in.jpg", "relationship": "parentOf"}],
            }
        ],
    }
    tags = {"tags": [{"name": "Software", "value": "<b>GIMP</b>", "source": "EXIF"}]}
    origin = Provenance.model_validate({"c2pa": chain, "metadata": tags})
    return {
        "likely": report(
            "image",
            "likely_manipulated",
            finding("image.jpeg", "ok", 0.97, "One region was saved once.", heatmap(folder), boxes, plot),
            finding("image.noise", "ok", 0.3),
            finding("image.grid", "declined", None, "The picture is too small."),
            name="likely.jpg",
        ),
        "quiet": report(
            "image",
            "no_sign_found",
            finding("image.jpeg", "ok", 0.2),
            finding("image.ela", "ok", None, "A picture to look at.", heatmap(folder)),
            name="quiet.jpg",
        ),
        "unsure": report(
            "image", "inconclusive", finding("image.jpeg", "declined", None, "Too small."), name="unsure.jpg"
        ),
        "declared": report(
            "image",
            "declared_synthetic",
            finding("provenance.c2pa", "ok", None, "A machine made it.", evidence.fact("Signed by", "Signer", "C2PA")),
            name="declared.jpg",
            provenance=origin,
        ),
        "sound": report(
            "audio", "suspicious", finding("audio.splice", "ok", 0.85, "A join.", times, plot), name="sound.wav"
        ),
        "film": report(
            "video", "no_sign_found", finding("video.frames", "ok", 0.1, "No join.", times), name="film.mp4"
        ),
        "hostile": report(
            "image", "inconclusive", finding("image.jpeg", "failed", None, f"Broken: {HOSTILE}"), name=HOSTILE
        ),
    }
