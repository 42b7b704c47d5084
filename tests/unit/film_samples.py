"""Reports of films, made by hand: one with everything, one of twenty faces, one of two hours."""

from __future__ import annotations

import math

import cv2
import numpy as np
from report_samples import finding, origin, report

from unmask import evidence
from unmask.evidence import Shot, Stretch
from unmask.report import Evidence, Report


def shot(time: float, label: str = "", mapped: bool = False, size: tuple[int, int] = (144, 256)) -> Shot:
    """A coloured field with its time written on it."""
    h, w = size
    y, x = np.mgrid[0:h, 0:w] / 255
    rgb = np.stack([80 + 120 * x, 90 + 100 * y, np.full_like(x, 60 + (37 * time) % 150)], axis=2).astype(np.uint8)
    cv2.putText(rgb, f"{time:.1f}", (8, h // 2), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (255, 255, 255), 3)
    heat = np.exp(-(((x - 0.3) / 0.1) ** 2) - ((y - 0.3) / 0.1) ** 2) if mapped else None
    return Shot(time, rgb, label, heat)


def strip(length: float, count: int = 24) -> Evidence:
    """``count`` frames evenly over the film."""
    shots = [shot((i + 0.5) / count * length) for i in range(count)]
    return evidence.frames("The film at a glance", "Frames.", shots, side=256)


def curve(length: float, title: str, count: int = 120) -> Evidence:
    """A curve over seconds with its level, and nothing known in the middle."""
    x = [length * i / count for i in range(count + 1) if not 0.45 < i / count < 0.55]
    y = [6 * math.sin(v / length * 9) for v in x]
    return evidence.plot(title, "Log-odds.", x, [("log-odds", y)], "seconds", "log-odds", levels=[(5.0, "reported")])


def faces(length: float, count: int, signs: int = 1) -> list[Evidence]:
    """Lanes of faces with a suspicious stretch for each of the first ``signs``, and pictures of them."""
    stay = [
        Stretch(length * n / (2 * count), length * (0.5 + n / (2 * count)), "in half of the film", f"Face {n}")
        for n in range(1, count + 1)
    ]
    bad = [
        Stretch(s.start + length / 10, s.start + length / 5, "mean score +12.0 in 9 moments", s.lane, True, 12.0)
        for s in stay[:signs]
    ]
    shots = [shot(s.start + length / 8, f"{s.lane}, score +13.1", True, (200, 200)) for s in stay[:8]]
    found = [evidence.segments("Faces through the film", "Each face.", stay)]
    found += [evidence.segments("Suspicious stretches of a face", "Above the level.", bad)] if bad else []
    return [*found, evidence.frames("Faces at their worst moments", "Look.", shots, "same", "blended in", 200)]


def film(length: float, *findings: object, name: str, label: str = "likely_manipulated", strips: int = 24) -> Report:
    made = report("video", label, *findings, name=name, origin=origin())  # type: ignore[arg-type]
    update = {"duration": length, "strip": strip(length, strips), "width": 1280, "height": 720}
    return made.model_copy(update={"subject": made.subject.model_copy(update=update)})


def film_samples() -> dict[str, Report]:
    """``rich``, ``crowd`` (20 faces) and ``long`` (two hours, 600 stretches), by name."""
    cuts = evidence.segments("Scene cuts", "The picture changes.", [(20, 20.04, "scene cut"), (41, 41.04, "scene cut")])
    words = [Stretch(4.0 * i, 4.0 * i + 3, "speaks", f"Speaker {1 + i % 2}") for i in range(18)]
    lips = evidence.plot(
        "Lips and voice",
        "How well they fit.",
        [i / 2 for i in range(150)],
        [("fit", [math.cos(i / 9) for i in range(150)]), ("lag", [math.sin(i / 11) for i in range(150)])],
        "seconds",
        "fit",
    )
    silence = evidence.segments("Digital silence", "Exact zeros.", [(60.0, 61.5, "exactly constant samples")])
    many = [(12.0 * i, 12.0 * i + 2, f"scene cut {i}") for i in range(600)]
    turns = [Stretch(36.0 * i, 36.0 * i + 30, "speaks", f"Speaker {1 + i % 40}", i % 17 == 0) for i in range(200)]
    return {
        "rich": film(
            75.5,
            finding(
                "face.swap", "ok", 0.97, "Face 1 looks blended in.", *faces(75.5, 3), curve(75.5, "Face 1 over time")
            ),
            finding("video.lipsync", "ok", 0.3, "The lips fit.", lips),
            finding("voice.synthetic", "ok", 0.2, "No sign.", evidence.segments("Turns", "Who speaks.", words)),
            finding("video.frames", "ok", 0.1, "No frame is out of order.", cuts),
            finding("audio.splice", "ok", None, "Facts.", silence),
            name="rich.mp4",
        ),
        "crowd": film(
            30.0,
            finding("face.swap", "ok", 0.9, "Faces 1 to 4 look blended in.", *faces(30.0, 20, 4)),
            name="crowd.mp4",
        ),
        "long": film(
            7200.0,
            finding("voice.synthetic", "ok", 0.9, "Signs.", evidence.segments("Turns", "Who speaks.", turns)),
            finding("face.swap", "ok", 0.2, "No sign.", *faces(7200.0, 60, 0), curve(7200.0, "Face 1 over time", 600)),
            finding("video.frames", "ok", 0.7, "Weak.", evidence.segments("Scene cuts", "Cuts.", many)),
            name="long.mp4",
            label="suspicious",
        ),
    }
