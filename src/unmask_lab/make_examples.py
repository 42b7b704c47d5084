"""Makes the files of ``examples/`` from photographs and a voice that anyone may use; same seed, same files.

The photographs are those of Debian's package ``lomiri-wallpapers-16.04`` (``apt-get download`` and ``dpkg-deb -x``
are enough); the voice is the kit's CC0 source ``rhasspy-dataset-voice-kerstin``. Licences: ``examples/LICENSES.md``.

    python -m unmask_lab.make_examples --photos usr/share/backgrounds --kit ../shared/data --out examples
"""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from PIL import Image, PngImagePlugin

from unmask_lab.forge.av_io import Codec, read_sound, write_film, write_sound
from unmask_lab.forge.forgery import Rgb, blend, seeded
from unmask_lab.forge.launder import decode, jpeg, scaled
from unmask_lab.forge.sounds import join

DANDELION = "seeding_by_Clements_Engelhardt.jpg"
DOGS = "friends_by_Aitzol_Berasategi.jpg"
MOUNTAIN = "picosdeeuropa_by_Aitzol_Berasategi.jpg"
FIG = "Picture_0B_by_freespace.jpg"
STREAM = "life_by_Aitzol_Berasategi.jpg"
VOICE = "audio/real/rhasspy-dataset-voice-kerstin/460ff13772.flac"
SIDE = 1024
SAID_TWICE = (0.5, 0.92, 1.5)
FILM, FPS, SECONDS = (640, 360), Fraction(25), 6


def photo(path: Path, long_side: int) -> Rgb:
    """A photograph scaled down, which leaves no trace of its old JPEG grid."""
    rgb = decode(path.read_bytes())
    return scaled(rgb, long_side / max(rgb.shape[:2]))


def stills(photos: Path, out: Path, seed: int) -> None:
    """Two photographs, a messenger's copy, a copy-move and a splice."""
    shutil.copyfile(photos / DOGS, out / "dogs.jpg")
    dandelion = jpeg(photo(photos / DANDELION, SIDE), 88)
    (out / "dandelion.jpg").write_bytes(dandelion.data)
    pixels = decode(dandelion.data)
    (out / "dandelion-recompressed.jpg").write_bytes(jpeg(scaled(pixels, 0.85), 72).data)
    (out / "dandelion-copy-move.jpg").write_bytes(jpeg(second_head(pixels), 94).data)
    meadow = photo(photos / MOUNTAIN, SIDE)
    Image.fromarray(meadow).save(out / "mountain.webp", quality=80, method=6)
    mountain = jpeg(meadow, 76)
    (out / "mountain-splice.jpg").write_bytes(jpeg(bowl_in(decode(mountain.data), photos / FIG, seed), 95).data)


def second_head(rgb: Rgb) -> Rgb:
    """The flower's head once more, at the right."""
    h, w = rgb.shape[:2]
    alpha = np.zeros((h, w), np.float32)
    to_x, to_y, shift = int(0.645 * w), int(0.32 * h), int(0.35 * w)
    cv2.ellipse(alpha, (to_x, to_y), (int(0.165 * w), int(0.3 * h)), 0, 0, 360, 1.0, -1)
    layer = np.roll(rgb, shift, axis=1)
    return blend(rgb, layer, np.asarray(cv2.GaussianBlur(alpha, (0, 0), 2.0), np.float32))


def bowl_in(rgb: Rgb, fig: Path, seed: int) -> Rgb:
    """The red bowl of another photograph, cut out by its colour, on the meadow."""
    bowl = photo(fig, 420)
    red = (bowl[..., 0].astype(int) - bowl[..., 1] > 60).astype(np.uint8)
    red = cv2.morphologyEx(red, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    contours, _ = cv2.findContours(red, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cut = np.zeros(red.shape, np.float32)
    cv2.drawContours(cut, [max(contours, key=cv2.contourArea)], -1, 1.0, -1)
    layer, alpha = np.zeros_like(rgb), np.zeros(rgb.shape[:2], np.float32)
    top, left = rgb.shape[0] - bowl.shape[0] - 24, int(0.5 * rgb.shape[1]) + int(seeded(seed, "bowl").integers(0, 8))
    layer[top : top + bowl.shape[0], left : left + bowl.shape[1]] = bowl
    alpha[top : top + bowl.shape[0], left : left + bowl.shape[1]] = cut
    return blend(rgb, layer, np.asarray(cv2.GaussianBlur(alpha, (0, 0), 0.8), np.float32))


def generated(out: Path, seed: int) -> None:
    """Two pictures computed from noise, with the text that generators leave in PNG files."""
    first, second = (landscape(seeded(seed, "generated", name)) for name in ("a", "b"))
    told = PngImagePlugin.PngInfo()
    told.add_text(
        "parameters",
        "rolling hills at dawn, soft light\nNegative prompt: text, people\nSteps: 28, Sampler: DPM++ 2M Karras, "
        "CFG scale: 6.5, Seed: 1234567, Size: 320x320, Model hash: 0000000000, Model: example, Version: v1.9.4",
    )
    Image.fromarray(first).save(out / "generated-a1111.png", pnginfo=told)
    graph = {
        "3": {"class_type": "KSampler", "inputs": {"seed": 7654321, "steps": 20, "cfg": 7.0, "model": ["4", 0]}},
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "example.safetensors"}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "rolling hills at night", "clip": ["4", 1]}},
    }
    told = PngImagePlugin.PngInfo()
    told.add_text("prompt", json.dumps(graph))
    told.add_text("workflow", json.dumps({"version": 0.4, "nodes": [], "links": []}))
    Image.fromarray(second).save(out / "generated-comfyui.png", pnginfo=told)


def landscape(rng: np.random.Generator, side: int = 320) -> Rgb:
    """Hills before a sky, all of it computed."""
    y = np.linspace(0, 1, side, dtype=np.float32)[:, None, None]
    sky, glow = rng.integers(60, 180, 3), rng.integers(170, 250, 3)
    picture = sky * (1 - y) + glow * y + np.zeros((side, side, 3), np.float32)
    x = np.arange(side)
    for layer in range(4):
        line = np.full(side, side * (0.35 + 0.15 * layer))
        for k in (1, 2, 3, 5, 8):
            line += rng.normal(0, 14 / k) * np.sin(2 * np.pi * k * x / side + rng.uniform(0, 6))
        picture[np.arange(side)[:, None] > line[None, :]] = rng.integers(20, 120, 3) * (1 - 0.15 * layer)
    picture = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 1.0)
    return np.asarray(np.clip(np.round(picture), 0, 255), np.uint8)


def voices(kit: Path, out: Path) -> None:
    """A voice, and the same with four tenths of a second said twice."""
    sound, rate = read_sound(kit / VOICE)
    flac = Codec("flac", "flac")
    write_sound(out / "voice.flac", sound, rate, flac)
    start, end, at = (int(seconds * rate) for seconds in SAID_TWICE)
    write_sound(out / "voice-repeat.flac", join([sound[:at], sound[start:end], sound[at:]], rate, 0.005), rate, flac)


def films(photos: Path, out: Path, seed: int) -> None:
    """A camera moved over a photograph with the noise of a sensor, and the same with a second shown twice."""
    rng = seeded(seed, "film")
    still = photo(photos / STREAM, 1600)
    count = int(SECONDS * FPS)
    frames = np.stack([_frame(rng, still, i / count) for i in range(count)])
    write_film(out / "pan.mp4", frames, FPS, crf=32, preset="slow")
    twice = np.concatenate([frames[:70], frames[40:70], frames[70:]])
    write_film(out / "pan-repeat.mp4", twice, FPS, crf=32, preset="slow")


def _frame(rng: np.random.Generator, still: Rgb, t: float) -> Rgb:
    w, h = FILM
    x = 60 + t * (still.shape[1] - w - 120) + 4 * np.sin(19 * t) + rng.normal(0, 0.3)
    y = 0.4 * (still.shape[0] - h) + 6 * np.sin(11 * t) + rng.normal(0, 0.3)
    move = np.array([[1, 0, -x], [0, 1, -y]], np.float32)
    view = cv2.warpAffine(still, move, (w, h), flags=cv2.INTER_LINEAR).astype(np.float32)
    noisy = view + rng.normal(0, 1, view.shape) * (1.2 + 0.012 * view)
    return np.asarray(np.clip(np.round(noisy), 0, 255), np.uint8)


def make(
    photos: Annotated[Path, typer.Option(help="Folder of the unpacked package's photographs.")],
    kit: Annotated[Path, typer.Option(help="The labelled kit's data folder.")],
    out: Annotated[Path, typer.Option(help="Where the examples go.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 1,
) -> None:
    """Write all examples."""
    out.mkdir(parents=True, exist_ok=True)
    stills(photos, out, seed)
    generated(out, seed)
    voices(kit, out)
    films(photos, out, seed)


if __name__ == "__main__":
    typer.run(make)
