"""Pictures: every mode, depth and orientation gives the right pixels."""

from __future__ import annotations

import io
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unmask import DamagedMedia, LimitExceeded, Limits, Options
from unmask.media.image import MAX_PAGES, ImageView
from unmask.subject import Subject


def gradient(width: int = 64, height: int = 48) -> np.ndarray:
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=2).astype(np.uint8)


def view(path: Path, **limits: int) -> ImageView:
    return Subject(path, Options(limits=Limits.model_validate(limits))).image


@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.bmp"])
def test_lossless_formats_give_the_very_pixels(tmp_path: Path, name: str) -> None:
    Image.fromarray(gradient()).save(tmp_path / name)
    assert np.array_equal(view(tmp_path / name).rgb, gradient())


@pytest.mark.parametrize(("name", "worst"), [("a.jpg", 40), ("a.webp", 40), ("a.avif", 40)])
def test_lossy_formats_give_near_pixels(tmp_path: Path, name: str, worst: int) -> None:
    Image.fromarray(gradient()).save(tmp_path / name, quality=95)
    assert np.abs(view(tmp_path / name).rgb.astype(int) - gradient()).mean() < worst / 4


def test_heic(tmp_path: Path) -> None:
    import pillow_heif

    pillow_heif.from_pillow(Image.fromarray(gradient())).save(tmp_path / "a.heic", quality=95)
    picture = view(tmp_path / "a.heic")
    assert (picture.width, picture.height) == (64, 48)
    assert np.abs(picture.rgb.astype(int) - gradient()).mean() < 12


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    deep = (np.arange(64 * 48).reshape(48, 64) * 21).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png")
    picture = view(tmp_path / "a.png")
    assert picture.bit_depth == 16
    assert np.abs(picture.rgb[..., 0].astype(float) - deep / 257).max() <= 1


def test_alpha_lies_over_white(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "a.png")
    picture = view(tmp_path / "a.png")
    assert picture.has_alpha
    assert picture.rgb.min() == 255


def test_palette_with_transparency(tmp_path: Path) -> None:
    image = Image.fromarray(gradient()).quantize(16)
    image.save(tmp_path / "a.gif", transparency=0)
    assert view(tmp_path / "a.gif").rgb.shape == (48, 64, 3)


def test_cmyk_is_not_inverted(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32), (200, 30, 40)).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    r, g, b = view(tmp_path / "a.jpg").rgb.reshape(-1, 3).mean(axis=0)
    assert r > 150 and g < 90 and b < 90


def test_grey_and_one_bit(tmp_path: Path) -> None:
    Image.fromarray(gradient()[..., 0]).save(tmp_path / "g.png")
    Image.fromarray(gradient()[..., 0]).convert("1").save(tmp_path / "b.png")
    assert np.array_equal(view(tmp_path / "g.png").rgb[..., 1], gradient()[..., 0])
    assert set(np.unique(view(tmp_path / "b.png").rgb)) == {0, 255}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_turns_maps_boxes_and_points_alike(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[4:10, 50:62] = 255
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path, exif=exif)
    picture = view(path)
    from PIL import ImageOps

    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    turned = picture.upright(picture.rgb)
    assert np.array_equal(turned, expected)
    assert picture.upright_size == (turned.shape[1], turned.shape[0])
    box = picture.upright_box(50, 4, 12, 6)
    y, x = np.nonzero(turned[..., 0])
    assert (x.min(), y.min(), x.max() + 1, y.max() + 1) == (box.x, box.y, box.x + box.w, box.y + box.h)


def test_jpeg_coefficients_rebuild_the_picture(tmp_path: Path) -> None:
    from scipy.fft import idctn

    Image.fromarray(gradient(80, 48)).save(tmp_path / "a.jpg", quality=90, subsampling=0)
    stored = view(tmp_path / "a.jpg").jpeg
    assert stored is not None
    blocks = idctn(stored.luma * stored.tables[0], axes=(2, 3), norm="ortho") + 128
    luma = blocks.swapaxes(1, 2).reshape(48, 80)
    decoded = np.asarray(Image.open(tmp_path / "a.jpg").convert("YCbCr"))[..., 0]
    assert np.abs(luma.clip(0, 255) - decoded).max() < 2.5
    assert stored.sampling == (1, 1) and len(stored.tables) == 3


def test_png_has_no_coefficients(tmp_path: Path) -> None:
    Image.fromarray(gradient()).save(tmp_path / "a.png")
    assert view(tmp_path / "a.png").jpeg is None


def test_jpeg_with_a_strange_name(tmp_path: Path) -> None:
    path = tmp_path / "zei\nle \udcff.jpg"
    Image.fromarray(gradient()).save(path, "JPEG")
    assert view(path).jpeg is not None


@pytest.mark.parametrize("tenth", range(1, 10))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_truncated_at_every_tenth_is_a_reason(tmp_path: Path, form: str, tenth: int) -> None:
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (96, 96, 3), np.uint8)).save(buffer, form)
    data = buffer.getvalue()
    path = tmp_path / "a"
    path.write_bytes(data[: len(data) * tenth // 10])
    with pytest.raises(DamagedMedia) as caught:
        _ = view(path).rgb
    assert caught.value.text.endswith(".")


def test_pixel_limit_is_checked_on_the_header(tmp_path: Path) -> None:
    # A PNG that claims 65,535 x 65,535 pixels in a hundred bytes.
    chunk = b"IHDR" + struct.pack(">IIBBBBB", 65535, 65535, 8, 2, 0, 0, 0)
    import zlib

    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "bomb.png").write_bytes(data + b"\0\0\0\0IDAT\0\0\0\0")
    with pytest.raises(LimitExceeded, match="--max-pixels"):
        view(tmp_path / "bomb.png")


def test_long_thin_picture_is_no_bomb(tmp_path: Path) -> None:
    Image.new("RGB", (65535, 2)).save(tmp_path / "thin.png")
    assert view(tmp_path / "thin.png").rgb.shape == (2, 65535, 3)


def test_animated_and_multi_page_use_the_first(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (20, 10), c) for c in ("red", "green", "blue")]
    for name in ("a.gif", "a.tiff", "a.webp", "a.png"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], lossless=True)
        r, g, b = view(tmp_path / name).rgb.reshape(-1, 3).mean(axis=0)
        assert r > 240 and g < 20 and b < 20, name
    assert view(tmp_path / "a.tiff").frames == 3


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.avif", "a.tiff"])
def test_orientation_is_applied_once_in_every_format(tmp_path: Path, name: str) -> None:
    pixels = np.zeros((96, 128, 3), np.uint8)
    pixels[8:24, 96:124] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / name, exif=exif.tobytes() if name != "a.tiff" else exif, quality=95)
    picture = view(tmp_path / name)
    assert picture.upright_size == (96, 128)
    upright = picture.upright(picture.rgb)
    y, x = np.nonzero(upright[..., 0] > 128)
    assert (abs(x.mean() - 80) < 3) and (abs(y.mean() - 110) < 3)


def saved(picture: Image.Image, format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format_, **options)
    return buffer.getvalue()


def test_a_cmyk_jpeg_with_a_short_adobe_segment(tmp_path: Path) -> None:
    whole = saved(Image.fromarray(gradient()).convert("CMYK"), "JPEG", quality=95)
    at = whole.index(b"\xff\xee")
    size = int.from_bytes(whole[at + 2 : at + 4], "big")
    (tmp_path / "whole.jpg").write_bytes(whole)
    (tmp_path / "short.jpg").write_bytes(
        whole[:at] + b"\xff\xee\x00\x0d" + whole[at + 4 : at + 15] + whole[at + 2 + size :]
    )
    short = view(tmp_path / "short.jpg").rgb
    assert np.array_equal(short, view(tmp_path / "whole.jpg").rgb)
    assert np.abs(short.astype(int) - gradient()).mean() < 12


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_text_that_unpacks_to_megabytes_does_not_hide_a_png(tmp_path: Path, kind: bytes) -> None:
    packed = zlib.compress(b"x" * 5_000_000)
    body = kind + (b"key\x00\x01\x00\x00\x00" if kind == b"iTXt" else b"key\x00\x00") + packed
    whole = saved(Image.fromarray(gradient()), "PNG")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    (tmp_path / "a.png").write_bytes(whole[:33] + chunk + whole[33:])
    assert np.array_equal(view(tmp_path / "a.png").rgb, gradient())


def test_a_float_tiff_with_values_that_are_no_numbers(tmp_path: Path) -> None:
    values = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (48, 1))
    values[0, 0], values[1, 1], values[2, 2] = np.inf, np.nan, -np.inf
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert view(tmp_path / "a.tif").rgb[40, :, 0].tolist() == pytest.approx((np.linspace(0, 255, 64)), abs=1)


def test_a_tiff_of_very_many_pages_is_counted_up_to_a_limit(tmp_path: Path) -> None:
    tags = [(256, 8), (257, 8), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 8), (279, 64)]
    size = 2 + 12 * len(tags) + 4
    body = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags)
    pages = [struct.pack("<H", len(tags)) + body + struct.pack("<I", 8 + size * (i + 1)) for i in range(20_000)]
    (tmp_path / "a.tif").write_bytes(b"II*\x00\x08\x00\x00\x00" + b"".join(pages) + bytes(4))
    started = time.monotonic()
    assert view(tmp_path / "a.tif").frames == MAX_PAGES
    assert time.monotonic() - started < 3


def test_a_jpeg_with_a_hundred_xmp_segments_keeps_its_coefficients(tmp_path: Path) -> None:
    whole = saved(Image.fromarray(gradient()), "JPEG", quality=90)
    body = b"http://ns.adobe.com/xmp/extension/\x00" + b"0" * 200
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    (tmp_path / "plain.jpg").write_bytes(whole)
    (tmp_path / "deep.jpg").write_bytes(whole[:2] + segment * 100 + whole[2:])
    deep, plain = view(tmp_path / "deep.jpg").jpeg, view(tmp_path / "plain.jpg").jpeg
    assert deep is not None and plain is not None
    assert np.array_equal(deep.luma, plain.luma)
