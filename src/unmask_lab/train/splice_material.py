"""Training material of `image.splice`: hosts, forgeries of them, and the way that both take afterwards.

Forging is slow and washing is quick, so a pool of forgeries is made once (`build`): each entry is a host with a
history of its own, a forged copy, and the mask. While training, an entry's two copies are saved by one editor and
laundered with one set of random numbers (`wash`), so that nothing but the change tells them apart.

Besides the families of `unmask_lab.forge` there is a region painted anew by a latent decoder, as inpainting by a
diffusion model leaves it. A quarter of the hosts looks suspicious without being forged: shallow depth of field,
screenshots, memes, scans, vignettes, local tone mapping, smoothed or sharpened all over.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unmask_lab.errors import LabError
from unmask_lab.forge.copy_move import copy_move
from unmask_lab.forge.forgery import Forgery, Mask, Rgb, blend, seeded
from unmask_lab.forge.launder import Encoded, decode, jpeg, png, scaled
from unmask_lab.forge.regions import feather, region
from unmask_lab.forge.removal import removal
from unmask_lab.forge.retouch import retouch
from unmask_lab.forge.scenes import SCENES
from unmask_lab.forge.splice import splice
from unmask_lab.kit import quarter_of

SIDE = 448
"""Longest side of a pool's pictures."""
LEAST_SIDE = 240
FAMILIES = {"splice": 0.36, "removal": 0.2, "copy_move": 0.1, "retouch": 0.16, "latent": 0.18}
REAL_SHARE = 0.72
LEFT_OUT = ("div-tencentarc-brushnet",)
"""Sources whose synthetic files are real photographs with a painted region: neither class."""


@dataclass(frozen=True)
class Host:
    """A picture to forge: ``path``, its ``source`` (folder), whether it is a capture and not a generated picture."""

    path: Path
    source: str
    real: bool


def hosts(kit: Path, photos: Path | None = None) -> list[Host]:
    """Captures of the sources of quarter 0, and generated pictures of the calibration half.

    Generated pictures of a folder that also holds captures of quarter 2 are left out, because those calibrate.

    Raises:
        LabError: ``manifest.empty``, the kit has no such pictures.
    """
    with (kit / "manifest-images.csv").open(newline="") as file:
        rows = [(kit / row["path"], row["label"]) for row in csv.DictReader(file)]
    calibrating = {path.parent.name for path, label in rows if label == "real" and quarter_of(path.parent.name) == 2}
    found = []
    for path, label in rows:
        source = path.parent.name
        train = quarter_of(source) == 0 or (label == "fake" and quarter_of(source) == 2 and source not in calibrating)
        if label in ("real", "fake") and train and source not in LEFT_OUT and _large_enough(path):
            found.append(Host(path, source, label == "real"))
    for path in sorted(photos.glob("*/*.jp*g")) if photos else ():
        if quarter_of(path.parent.name) == 0:
            found.append(Host(path, path.parent.name, True))
    if not found:
        raise LabError("manifest.empty", f"{kit} has no pictures to train on.")
    return found


def _large_enough(path: Path) -> bool:
    with Image.open(path) as image:
        return min(image.size) >= LEAST_SIDE


def drawing_weights(all_hosts: Sequence[Host]) -> NDArray[np.float64]:
    """(n,) chances: `REAL_SHARE` captures, and within a class a source of n pictures counts n^.5."""
    counts: dict[tuple[str, bool], int] = {}
    for host in all_hosts:
        counts[host.source, host.real] = counts.get((host.source, host.real), 0) + 1
    weight = np.asarray([counts[host.source, host.real] ** -0.5 for host in all_hosts])
    real = np.asarray([host.real for host in all_hosts])
    for side, share in ((real, REAL_SHARE), (~real, 1 - REAL_SHARE)):
        if side.any():
            weight[side] *= share / weight[side].sum()
    return np.asarray(weight / weight.sum(), np.float64)


# Hosts ------------------------------------------------------------------------------------------------------


def host_picture(rng: np.random.Generator, rgb: Rgb) -> tuple[Rgb, str]:
    """A host of at most `SIDE` pixels with a history, and what was done to it before."""
    if max(rgb.shape[:2]) > 1400:
        rgb = scaled(rgb, float(rng.uniform(0.12, 0.6)) if rng.random() < 0.7 else 1.0)
        rgb = _crop(rng, rgb, 2 * SIDE, 1)
    how = "as it was"
    if rng.random() < 0.27:
        how, treat = list(TREATMENTS.items())[int(rng.integers(len(TREATMENTS)))]
        rgb = treat(rng, rgb)
    way = float(rng.random())
    quality, subsampling = int(rng.integers(70, 98)), int(rng.choice((0, 2, 2)))
    if way < 0.35 and how == "as it was":
        return _crop(rng, rgb, SIDE, 8), how
    factor = max(float(rng.uniform(0.55, 0.95)), LEAST_SIDE / min(rgb.shape[:2]))
    if way < 0.8 and factor < 1:
        rgb = scaled(rgb, factor)
    rgb = _crop(rng, rgb, SIDE, 1)
    return (rgb, how) if rng.random() < 0.1 else (decode(jpeg(rgb, quality, subsampling).data), how)


def _crop(rng: np.random.Generator, rgb: Rgb, side: int, step: int) -> Rgb:
    """At most ``side`` pixels each way, cut at a multiple of ``step``."""
    h, w = rgb.shape[:2]
    y, x = (int(rng.integers(0, max(0, n - side) // step + 1)) * step for n in (h, w))
    return np.ascontiguousarray(rgb[y : y + side, x : x + side])


def _shallow(rng: np.random.Generator, rgb: Rgb) -> Rgb:
    """Depth of field: sharp within a large soft shape, blurred more and more outside of it."""
    h, w = rgb.shape[:2]
    y, x = np.mgrid[:h, :w].astype(np.float32)
    cy, cx = rng.uniform(0.2, 0.8) * h, rng.uniform(0.2, 0.8) * w
    away = np.hypot((y - cy) / h, (x - cx) / w) if rng.random() < 0.6 else np.abs(y - cy) / h
    depth = np.clip((away - rng.uniform(0.15, 0.35)) / rng.uniform(0.05, 0.4), 0, 1)[..., None]
    soft = cv2.GaussianBlur(rgb, (0, 0), float(rng.uniform(1.0, 2.5)))
    softer = cv2.GaussianBlur(rgb, (0, 0), float(rng.uniform(3, 9)))
    far = np.clip(2 * depth - 1, 0, 1)
    out = rgb * (1 - depth) + (soft * (1 - far) + softer * far) * depth
    grain = rng.normal(0, float(rng.uniform(0, 3)), out.shape)
    return np.asarray(np.clip(np.round(out + grain), 0, 255), np.uint8)


def _vignette(rng: np.random.Generator, rgb: Rgb) -> Rgb:
    h, w = rgb.shape[:2]
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    fall = 1 - float(rng.uniform(0.2, 0.8)) * np.clip(np.hypot(y, x) / 1.41, 0, 1) ** float(rng.uniform(1.5, 4))
    return np.asarray(np.clip(np.round(rgb * fall[..., None]), 0, 255), np.uint8)


def _tone_mapped(rng: np.random.Generator, rgb: Rgb) -> Rgb:
    """HDR look: local contrast, which lifts the noise of the shadows."""
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)
    tiles = int(rng.integers(2, 9))
    lab[..., 0] = cv2.createCLAHE(float(rng.uniform(1.5, 5)), (tiles, tiles)).apply(lab[..., 0])
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)


def _smoothed(rng: np.random.Generator, rgb: Rgb) -> Rgb:
    """Noise reduction of a phone: edges stay, texture goes; at times some grain is put back."""
    out = cv2.bilateralFilter(rgb, 7, float(rng.uniform(12, 45)), float(rng.uniform(2, 5))).astype(np.float32)
    out += rng.normal(0, float(rng.uniform(0, 2)), rgb.shape)
    return np.asarray(np.clip(np.round(out), 0, 255), np.uint8)


def _sharpened(rng: np.random.Generator, rgb: Rgb) -> Rgb:
    base = rgb.astype(np.float32)
    soft = cv2.GaussianBlur(base, (0, 0), float(rng.uniform(0.8, 2.0)))
    return np.asarray(np.clip(np.round(base + float(rng.uniform(0.4, 1.8)) * (base - soft)), 0, 255), np.uint8)


def _noisy(rng: np.random.Generator, rgb: Rgb) -> Rgb:
    """Sensor noise: stronger where it is brighter, or stronger in the shadows as night shots have it."""
    light = rgb.astype(np.float32) / 255
    if rng.random() < 0.5:
        light = light ** float(rng.uniform(1.3, 2.5))
    level = float(rng.uniform(1.5, 9)) * np.sqrt(0.15 + (light if rng.random() < 0.5 else 1 - light))
    return np.asarray(np.clip(np.round(light * 255 + rng.normal(0, 1, rgb.shape) * level), 0, 255), np.uint8)


def _sky(rng: np.random.Generator, rgb: Rgb) -> Rgb:
    """The upper part becomes an even gradient with a soft lower edge, as a clear sky has it."""
    h, w = rgb.shape[:2]
    top, low = rng.integers(90, 250, 3).astype(np.float32), rng.integers(120, 256, 3).astype(np.float32)
    ramp = np.linspace(0, 1, h, dtype=np.float32)[:, None, None]
    sky = np.broadcast_to(top * (1 - ramp) + low * ramp, rgb.shape) + rng.normal(0, rng.uniform(0.3, 2), rgb.shape)
    wave = np.cumsum(rng.normal(0, 1.5, w))
    line = rng.uniform(0.25, 0.6) * h + wave - wave.mean()
    below = np.clip((np.arange(h)[:, None] - line[None]) / 2 + 0.5, 0, 1)[..., None]
    return np.asarray(np.clip(np.round(sky * (1 - below) + rgb * below), 0, 255), np.uint8)


TREATMENTS: dict[str, Callable[[np.random.Generator, Rgb], Rgb]] = {
    "depth of field": _shallow,
    "portrait": lambda rng, rgb: _shallow(rng, _smoothed(rng, rgb)),
    "vignette": _vignette,
    "tone mapped": _tone_mapped,
    "smoothed": _smoothed,
    "sharpened": _sharpened,
    "noisy": _noisy,
    "sky": _sky,
    **SCENES,
}


# Forgeries --------------------------------------------------------------------------------------------------


def forge(rng: np.random.Generator, family: str, rgb: Rgb, donor: Rgb, weights: Path) -> Forgery:
    """One forgery of ``rgb``; ``donor`` is another source's picture, ``weights`` holds the latent codec."""
    if family == "splice":
        return splice(rng, rgb, with_history(rng, donor))
    if family == "latent":
        return repainted(rng, rgb, weights)
    return {"removal": removal, "copy_move": copy_move, "retouch": retouch}[family](rng, rgb)


def with_history(rng: np.random.Generator, rgb: Rgb) -> Rgb:
    """A donor as it comes from elsewhere: scaled, noisy or smoothed, saved once at any quality; a third as it is."""
    if max(rgb.shape[:2]) > 1400:
        rgb = scaled(rgb, float(rng.uniform(0.2, 0.7)))
    if rng.random() < 0.33:
        return rgb
    if rng.random() < 0.5:
        rgb = scaled(rgb, max(float(rng.uniform(0.4, 1.5)), 160 / min(rgb.shape[:2])))
    treat = (None, _noisy, _smoothed, _sharpened)[int(rng.choice(4, p=(0.55, 0.2, 0.15, 0.1)))]
    rgb = treat(rng, rgb) if treat else rgb
    return decode(jpeg(rgb, int(rng.integers(45, 99)), int(rng.choice((0, 2)))).data)


def repainted(rng: np.random.Generator, rgb: Rgb, weights: Path) -> Forgery:
    """A region that went through the encoder and decoder of a latent diffusion model, at times with changed content."""
    from unmask_lab.nets.taef import decode as from_latents
    from unmask_lab.nets.taef import encode

    mask = region(rng, rgb)
    ys, xs = np.nonzero(mask)
    y0, x0 = max(0, int(ys.min()) // 8 * 8 - 16), max(0, int(xs.min()) // 8 * 8 - 16)
    part = rgb[y0 : int(ys.max()) + 24, x0 : int(xs.max()) + 24]
    latents = encode(part, weights)
    text = "painted anew by a latent decoder"
    if rng.random() < 0.5:
        noise = rng.normal(0, float(rng.uniform(0.05, 0.5)), tuple(latents.shape)).astype(np.float32)
        latents = latents + latents.new_tensor(noise)
        text += ", content changed"
    layer = rgb.copy()
    painted = from_latents(latents, (part.shape[0], part.shape[1]), weights)
    layer[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]] = np.clip(np.round(painted), 0, 255).astype(np.uint8)
    return Forgery(blend(rgb, layer, feather(rng, mask)), mask, text)


# The pool ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pool:
    """Hosts and forgeries side by side.

    ``host``, ``forged``: (n, SIDE, SIDE, 3) uint8, pictures in the upper left corner; ``mask``: (n, SIDE, SIDE) uint8,
    255 changed, 128 copied from; ``size``: (n, 2) height and width; ``source``, ``family``, ``treated``: (n,) text.
    """

    host: NDArray[np.uint8]
    forged: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    size: NDArray[np.int32]
    source: NDArray[np.str_]
    family: NDArray[np.str_]
    treated: NDArray[np.str_]

    def __len__(self) -> int:
        """How many entries."""
        return len(self.size)

    def entry(self, i: int) -> tuple[Rgb, Rgb, NDArray[np.uint8]]:
        """Host, forged copy and mask of one entry, cut to size."""
        h, w = (int(v) for v in self.size[i])
        return self.host[i, :h, :w], self.forged[i, :h, :w], self.mask[i, :h, :w]


def build(folder: Path, kit: Path, photos: Path | None, weights: Path, entries: int, seed: int) -> Iterator[int]:
    """Write a pool to ``folder``; the same seed gives the same pool. Yields how many entries are done."""
    everyone = hosts(kit, photos)
    chances = drawing_weights(everyone)
    folder.mkdir(parents=True, exist_ok=True)
    shape = (entries, SIDE, SIDE)
    host, forged, mask = (
        np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.uint8, (*shape, *rest))
        for name, rest in (("host", (3,)), ("forged", (3,)), ("mask", ()))
    )
    size, labels = np.zeros((entries, 2), np.int32), []
    for i in range(entries):
        rng = seeded(seed, "entry", str(i))
        at = int(rng.choice(len(everyone), p=chances))
        family = str(rng.choice(list(FAMILIES), p=list(FAMILIES.values())))
        rgb, treated = host_picture(rng, _read(everyone[at].path))
        made = forge(rng, family, rgb, _read(_donor(rng, everyone, chances, at)), weights)
        h, w = rgb.shape[:2]
        size[i] = h, w
        host[i, :h, :w], forged[i, :h, :w], mask[i, :h, :w] = rgb, made.rgb, made.picture_of_mask()
        labels.append((everyone[at].source, family, treated))
        yield i + 1
    for column, name in enumerate(("source", "family", "treated")):
        np.save(folder / f"{name}.npy", np.asarray([row[column] for row in labels], np.str_))
    np.save(folder / "size.npy", size)


def _donor(rng: np.random.Generator, everyone: Sequence[Host], chances: NDArray[np.float64], host: int) -> Path:
    """A picture of another source."""
    while True:
        at = int(rng.choice(len(everyone), p=chances))
        if everyone[at].source != everyone[host].source:
            return everyone[at].path


def _read(path: Path) -> Rgb:
    return decode(path.read_bytes())


def load(folder: Path) -> Pool:
    """A pool that `build` has finished; pictures are mapped, not read.

    Raises:
        LabError: ``pool.missing``.
    """
    try:
        large = {n: np.load(folder / f"{n}.npy", mmap_mode="r") for n in ("host", "forged", "mask")}
        small = {n: np.load(folder / f"{n}.npy") for n in ("size", "source", "family", "treated")}
    except OSError as error:
        raise LabError("pool.missing", f"{folder} holds no finished pool ({error.strerror}): make it first.") from error
    return Pool(**large, **small)


# Washing ----------------------------------------------------------------------------------------------------

Wash = Callable[[Rgb], tuple[Rgb, NDArray[np.float32]]]


def wash(rng: np.random.Generator, way: str | None = None) -> Wash:
    """How an editor saves and what happens then; all choices are made now, so that twins are treated alike.

    Args:
        rng: the only source of randomness.
        way: ``clean``, ``jpeg85`` ..., ``any`` JPEG quality, ``resized``, ``messenger`` or ``webp``; random by default.

    Returns:
        A function from pixels to the file's pixels and its (64,) luma quantisation table, zeros where it has none.
    """
    save = _saver(rng, 0.15, 80, 99)
    if way is None:
        ways = ("clean", "any", "resized", "messenger", "webp")
        way = str(rng.choice(ways, p=(0.2, 0.32, 0.2, 0.23, 0.05)))
    if way == "clean":
        steps = [save]
    elif way == "resized":
        steps = [save, _scaler(rng, float(np.exp(rng.uniform(np.log(0.5), np.log(1.4))))), _saver(rng, 0.08, 80, 97)]
    elif way == "messenger":
        shrink = [_scaler(rng, float(rng.uniform(0.55, 0.95)))] if rng.random() < 0.45 else []
        steps = [save, *shrink, *(_saver(rng, 0, 68, 83) for _ in range(1 + int(rng.random() < 0.35)))]
    elif way == "webp":
        steps = [save, _webp(int(rng.integers(60, 96)))]
    else:
        low, high = (65, 99) if way == "any" else (int(way.removeprefix("jpeg")), int(way.removeprefix("jpeg")) + 1)
        steps = [save, _saver(rng, 0, low, high)]

    def run(rgb: Rgb) -> tuple[Rgb, NDArray[np.float32]]:
        table = np.zeros(64, np.float32)
        for step in steps:
            rgb, table = step(rgb)
        return rgb, table

    return run


def _saver(rng: np.random.Generator, as_png: float, low: int, high: int) -> Wash:
    lossless, quality, subsampling = (
        bool(rng.random() < as_png),
        int(rng.integers(low, high)),
        int(rng.choice((0, 2, 2))),
    )
    return lambda rgb: opened(png(rgb) if lossless else jpeg(rgb, quality, subsampling))


def _scaler(rng: np.random.Generator, factor: float) -> Wash:
    kernel = int(rng.choice((cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)))

    def run(rgb: Rgb) -> tuple[Rgb, NDArray[np.float32]]:
        h, w = rgb.shape[:2]
        f = max(factor, min(1.0, 200 / min(h, w)))
        out = cv2.resize(np.asarray(rgb), (round(w * f), round(h * f)), interpolation=kernel)
        return np.asarray(out, np.uint8), np.zeros(64, np.float32)

    return run


def _webp(quality: int) -> Wash:
    def run(rgb: Rgb) -> tuple[Rgb, NDArray[np.float32]]:
        buffer = io.BytesIO()
        Image.fromarray(rgb).save(buffer, "WEBP", quality=quality, method=2)
        return decode(buffer.getvalue()), np.zeros(64, np.float32)

    return run


def opened(file: Encoded) -> tuple[Rgb, NDArray[np.float32]]:
    """Pixels and luma table (natural order) of an encoded picture."""
    with Image.open(io.BytesIO(file.data)) as image:
        tables = getattr(image, "quantization", None)
        rgb = np.asarray(image.convert("RGB"), np.uint8)
    table = np.asarray(tables[0], np.float32) if tables else np.zeros(64, np.float32)
    return rgb, table


def resized_mask(mask: NDArray[np.uint8], size: tuple[int, int]) -> tuple[Mask, Mask]:
    """Changed and copied-from pixels at another (h, w)."""
    out = mask if mask.shape == size else cv2.resize(np.asarray(mask), size[::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(out == 255), np.asarray(out == 128)
