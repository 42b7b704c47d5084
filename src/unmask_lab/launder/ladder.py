"""Named, deterministic steps of wear for robustness curves: JPEG 95 to 40, resizing, blur, noise, codecs, bands.

Each step knows only the media, never its label. ``resize`` scales down or up and stays there (as a messenger does);
pictures come back as an array, which `save` writes without further loss (PNG), recordings as 16-bit FLAC.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import soxr
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy import signal

from unmask.voices.neutral import RATE, neutral
from unmask_lab.errors import LabError
from unmask_lab.launder import audio, image

Pixels = NDArray[np.uint8]
Wave = NDArray[np.float32]
LEAST_SIDE, MOST_SIDE = 16, 6000

IMAGE_CURVES: dict[str, tuple[str, ...]] = {
    "JPEG quality": ("jpeg95", "jpeg85", "jpeg75", "jpeg65", "jpeg50", "jpeg40"),
    "size": ("resize2", "resize1.5", "resize0.75", "resize0.5", "resize0.35", "resize0.25"),
    "blur, sigma in pixels": ("blur0.5", "blur1", "blur2", "blur3"),
    "noise, sigma in grey levels": ("noise2", "noise5", "noise10", "noise20"),
}
AUDIO_CURVES: dict[str, tuple[str, ...]] = {
    "MP3, kbit/s": ("mp3_128", "mp3_64", "mp3_48", "mp3_32"),
    "Opus, kbit/s": ("opus48", "opus24", "opus16", "opus12"),
    "bandwidth, kHz": ("band7", "band5.5", "band4", "band3.4"),
    "noise, dB below the voice": ("snr40", "snr30", "snr20", "snr10", "snr5"),
    "telephone": ("g711",),
}
_STEP = re.compile(r"(mp3|g711|[a-z]+)_?(\d+(?:\.\d+)?)?")

_LAUNDERED = re.compile(r"laundered:(\d+)")


def curves(modality: str) -> dict[str, tuple[str, ...]]:
    """The curves of one kind of media: name, and the steps from mild to strong."""
    return {"image": IMAGE_CURVES, "audio": AUDIO_CURVES}.get(modality, {})


def amount(step: str) -> float:
    """The number in a step's name: 70 for ``jpeg70``, 0.5 for ``resize0.5``."""
    return _parsed(step)[1]


def wear_image(pixels: Pixels, step: str) -> Pixels:
    """One step on an (h, w, 3) uint8 picture. Raises `LabError` for a step that does not exist."""
    name, value = _parsed(step)
    make = _IMAGE.get(name)
    if make is None:
        raise LabError(
            "ladder.step", f"There is no step {step!r} for pictures; there are: {', '.join(steps('image'))}."
        )
    return make(pixels, value)


def wear_audio(wave: Wave, step: str) -> Wave:
    """One step on (samples,) at 16 kHz; the length stays. Raises `LabError` for a step that does not exist."""
    name, value = _parsed(step)
    make = _AUDIO.get(name)
    if make is None:
        raise LabError(
            "ladder.step", f"There is no step {step!r} for recordings; there are: {', '.join(steps('audio'))}."
        )
    return make(wave, value)


def steps(modality: str) -> tuple[str, ...]:
    """All steps of the curves, from mild to strong."""
    return tuple(step for names in curves(modality).values() for step in names)


def known(modality: str, variant: str) -> None:
    """Raise `LabError` unless ``clean``, ``laundered:N`` or a step of this kind of media."""
    makers = {"image": set(_IMAGE), "audio": set(_AUDIO)}.get(modality, set())
    name, value = _parsed(variant)
    fits = name in makers and (value > 0 or name == "g711")
    if variant != "clean" and not fits and not (makers and _LAUNDERED.fullmatch(variant)):
        raise LabError(
            "ladder.step",
            f"There is no variant {variant!r} of {modality} files; there are clean, laundered:1 and so on, "
            f"{', '.join(steps(modality))}.",
        )


def make_variant(path: Path, modality: str, step: str, folder: Path) -> Path:
    """Write the worn copy into ``folder`` under a name that tells nothing of the original; returns its path.

    ``step`` "clean" returns the file itself, untouched; ``laundered:N`` is the N-th random way through the world, drawn
    from the file's bytes. A copy that is there already is used again.
    """
    known(modality, step)
    if step == "clean":
        return path
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:20]
    target = folder / step.replace(":", "-") / f"{digest}.{'png' if modality == 'image' else 'flac'}"
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"part-{target.name}")
    way = _way(path, step)
    if modality == "image":
        pixels = read_pixels(path)
        worn = image.launder(pixels, way) if way else wear_image(pixels, step)
        Image.fromarray(worn).save(part, "PNG", compress_level=1)
    else:
        wave = read_wave(path)
        _write_flac(part, audio.launder(neutral(wave), way) if way else wear_audio(wave, step))
    part.replace(target)
    return target


def read_pixels(path: Path) -> Pixels:
    """(h, w, 3) uint8, upright. Raises `LabError` where Pillow cannot read it."""
    try:
        with Image.open(path) as found:
            return np.asarray(ImageOps.exif_transpose(found).convert("RGB"), np.uint8)
    except (OSError, ValueError, SyntaxError) as error:
        raise LabError("ladder.unreadable", f"{path}: cannot be read as a picture ({error}).") from error


def read_wave(path: Path) -> Wave:
    """(samples,) float32 at 16 kHz, one channel. Raises `LabError` where FFmpeg cannot read it."""
    import av

    try:
        with av.open(str(path)) as container:
            back = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
            parts = [p.to_ndarray()[0] for f in container.decode(audio=0) for p in back.resample(f)]
            parts += [p.to_ndarray()[0] for p in back.resample(None)]
    except (OSError, IndexError, av.FFmpegError) as error:
        raise LabError("ladder.unreadable", f"{path}: cannot be read as a recording ({error}).") from error
    if not parts:
        raise LabError("ladder.unreadable", f"{path}: the recording is empty.")
    return np.concatenate(parts).astype(np.float32)


def _way(path: Path, step: str) -> np.random.Generator | None:
    """The source of chance for ``laundered:N``; the file's content decides, so that its name cannot tell."""
    found = _LAUNDERED.fullmatch(step)
    if found is None:
        return None
    digest = hashlib.sha256(path.read_bytes()).digest()
    return np.random.default_rng([int(found[1]), int.from_bytes(digest[:8], "little")])


def _parsed(step: str) -> tuple[str, float]:
    found = _STEP.fullmatch(step)
    return (found[1], float(found[2] or 0)) if found else (step, 0.0)


def _jpeg(pixels: Pixels, quality: float) -> Pixels:
    return image.encode(pixels, "JPEG", int(quality), subsampling=2)


def _resize(pixels: Pixels, factor: float) -> Pixels:
    h, w = pixels.shape[:2]
    factor = min(max(factor, LEAST_SIDE / min(h, w)), max(1.0, MOST_SIDE / max(h, w)))
    size = (max(1, round(w * factor)), max(1, round(h * factor)))
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, size, interpolation=way), np.uint8)


def _blur(pixels: Pixels, sigma: float) -> Pixels:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)


def _noise(pixels: Pixels, sigma: float) -> Pixels:
    added = pixels + np.random.default_rng(1).normal(0, sigma, pixels.shape)
    return np.clip(np.round(added), 0, 255).astype(np.uint8)


def _band(wave: Wave, khz: float) -> Wave:
    low = signal.butter(8, khz * 1000, "lowpass", fs=RATE, output="sos")
    return np.asarray(signal.sosfiltfilt(low, wave), np.float32)


def _snr(wave: Wave, decibel: float) -> Wave:
    added = np.random.default_rng(1).standard_normal(wave.size)
    level = float(np.sqrt(np.mean(wave**2)) * 10 ** (-decibel / 20))
    return np.asarray(wave + level * added, np.float32)


def _g711(wave: Wave, _: float) -> Wave:
    """300-3400 Hz at 8 kHz, mu-law of 8 bits (ITU-T G.711), and back."""
    narrow = soxr.resample(wave, RATE, 8000)
    band = signal.butter(4, [300, 3400], "bandpass", fs=8000, output="sos")
    narrow = signal.sosfilt(band, narrow)
    peak = float(np.abs(narrow).max()) + 1e-9
    coded = np.round(np.sign(narrow) * np.log1p(255 * np.abs(narrow) / peak) / np.log(256) * 127) / 127
    back = np.sign(coded) * np.expm1(np.abs(coded) * np.log(256)) / 255 * peak
    wide = soxr.resample(back.astype(np.float32), 8000, RATE)[: wave.size]
    return np.pad(wide, (0, wave.size - wide.size)).astype(np.float32)


def _write_flac(path: Path, wave: Wave) -> None:
    import av

    peak = float(np.abs(wave).max())
    samples = np.round(wave / max(1.0, peak) * 32767).astype(np.int16)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=RATE, layout="mono")
        for start in range(0, samples.size, 4096):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + 4096], "s16", "mono")
            frame.sample_rate = RATE
            frame.pts = start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    path.write_bytes(buffer.getvalue())


_IMAGE: dict[str, Callable[[Pixels, float], Pixels]] = {
    "jpeg": _jpeg,
    "resize": _resize,
    "blur": _blur,
    "noise": _noise,
}
_AUDIO: dict[str, Callable[[Wave, float], Wave]] = {
    "mp3": lambda wave, rate: audio.through_codec(wave, "libmp3lame", int(rate) * 1000),
    "opus": lambda wave, rate: audio.through_codec(wave, "libopus", int(rate) * 1000),
    "aac": lambda wave, rate: audio.through_codec(wave, "aac", int(rate) * 1000),
    "band": _band,
    "snr": _snr,
    "g711": _g711,
}
