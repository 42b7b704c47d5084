"""Awkward and ordinary subjects, made here from seeds, that every detector must treat properly."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def photo_like(width: int, height: int, seed: int = 1) -> NDArray[np.uint8]:
    """A picture with smooth light, edges, texture and sensor-like noise; (height, width, 3) uint8."""
    import cv2

    rng = np.random.default_rng(seed)
    base = np.zeros((height, width), np.float32)
    for scale, strength in ((4, 60), (16, 35), (64, 18)):
        small = rng.normal(0, 1, (max(2, scale), max(2, scale * width // max(height, 1)))).astype(np.float32)
        base += strength * cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    tint = np.stack([base + 120, base * 0.9 + 112, base * 0.8 + 100], axis=2)
    tint += rng.normal(0, 1, tint.shape).astype(np.float32) * (2 + np.sqrt(np.clip(tint, 0, 255)) / 5)
    return np.clip(tint, 0, 255).astype(np.uint8)


def jpeg(pixels: NDArray[np.uint8], quality: int = 90) -> bytes:
    """The picture as JPEG bytes."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)  # type: ignore[arg-type]
    return path


def pictures(folder: Path) -> dict[str, Path]:
    """Pictures by name."""
    photo = photo_like(640, 480)
    made = {
        "photo": folder / "photo.jpg",
        "cut_off": folder / "cut_off.jpg",
        "flipped_bits": folder / "flipped_bits.jpg",
    }
    data = jpeg(photo)
    made["photo"].write_bytes(data)
    made["cut_off"].write_bytes(data[: len(data) // 2])
    broken = bytearray(data)
    for i in range(len(data) // 3, len(data) - 100, 997):
        broken[i] ^= 0x55
    made["flipped_bits"].write_bytes(bytes(broken))
    made["one_pixel"] = _save(folder / "one.png", Image.new("RGB", (1, 1), "red"))
    made["tiny"] = _save(folder / "tiny.jpg", Image.fromarray(photo[:20, :20]), quality=90)
    made["blank"] = _save(folder / "blank.jpg", Image.new("RGB", (600, 400), "white"), quality=90)
    made["black"] = _save(folder / "black.png", Image.new("RGB", (600, 400)))
    made["thin"] = _save(folder / "thin.png", Image.fromarray(photo_like(4000, 9)))
    made["tall"] = _save(folder / "tall.jpg", Image.fromarray(photo_like(40, 3000)), quality=85)
    made["grey"] = _save(folder / "grey.jpg", Image.fromarray(photo[..., 0]), quality=90)
    made["alpha"] = _save(folder / "alpha.png", Image.fromarray(np.dstack([photo, photo[..., :1]])))
    made["palette"] = _save(folder / "palette.gif", Image.fromarray(photo).quantize(64))
    made["deep"] = _save(folder / "deep.tiff", Image.fromarray(photo[..., 0].astype(np.uint16) * 257))
    made["cmyk"] = _save(folder / "cmyk.jpg", Image.fromarray(photo).convert("CMYK"), quality=90)
    made["rotated"] = folder / "rotated.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    _save(made["rotated"], Image.fromarray(photo), quality=90, exif=exif)
    made["webp"] = _save(folder / "photo.webp", Image.fromarray(photo), quality=80)
    made["animated"] = _save(
        folder / "animated.gif",
        Image.fromarray(photo).quantize(32),
        save_all=True,
        append_images=[Image.fromarray(photo_like(640, 480, s)).quantize(32) for s in (2, 3)],
        loop=0,
    )
    return made


def sounds(folder: Path) -> dict[str, Path]:
    """Recordings by name."""
    rng = np.random.default_rng(3)
    t = np.arange(16000 * 6) / 16000
    voice = np.sin(2 * np.pi * 140 * t + 3 * np.sin(2 * np.pi * 2.3 * t)) * (np.sin(2 * np.pi * 0.8 * t) > -0.3)
    sound = 0.2 * voice + rng.normal(0, 0.004, t.size)
    made = {
        "voice": (sound, 16000),
        "silent": (np.zeros(16000 * 5), 16000),
        "short": (sound[:1600], 16000),
        "clipped": (np.clip(sound * 40, -1, 1), 16000),
        "telephone": (sound[::2], 8000),
        "no_samples": (np.zeros(0), 16000),
    }
    paths = {name: _wav(folder / f"{name}.wav", *value) for name, value in made.items()}
    data = paths["voice"].read_bytes()
    paths["cut_off_sound"] = folder / "cut_off.wav"
    paths["cut_off_sound"].write_bytes(data[: len(data) // 3])
    return paths


def _wav(path: Path, samples: NDArray[np.float64], rate: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def films(folder: Path) -> dict[str, Path]:
    """Films by name. Needs an encoder that every FFmpeg build has: MPEG-4 part 2."""
    return {
        "film": _film(folder / "film.mp4", 48),
        "one_frame": _film(folder / "one_frame.mp4", 1),
        "still": _film(folder / "still.mkv", 40, moving=False),
    }


def _film(path: Path, frames: int, moving: bool = True) -> Path:
    import av

    world = photo_like(480, 240, 7)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=24)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for i in range(frames):
            x = 2 * i % 160 if moving else 0
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(world[:, x : x + 320]), format="rgb24")
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path
