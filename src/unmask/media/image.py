"""Pictures: one decode, several views.

Pillow decodes everything but HEIC (pillow-heif). Pixels keep the stored orientation; `ImageView.upright`
turns maps and `upright_box` boxes. JPEG coefficients come from the file itself (jpeglib), never from pixels.
"""

from __future__ import annotations

import base64
import io
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unmask.errors import DamagedMedia, LimitExceeded, MediaError
from unmask.lazy import once
from unmask.report import Box

if TYPE_CHECKING:
    from unmask.subject import Subject

Image.MAX_IMAGE_PIXELS = None  # our own limit is checked on the header, before anything is decoded
PREVIEW_SIDE = 1280
PREVIEW_QUALITY = 80
MAX_PAGES = 1000
_ORIENTATION = 0x0112
_PNG_TEXT = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
# The reader of coefficients gives up at fifty segments of a kind; depth maps in XMP have more.
_MANY_SEGMENTS = 40


@dataclass(frozen=True)
class JpegView:
    """What a JPEG file stores.

    ``luma``: (rows, cols, 8, 8) int16 quantised DCT coefficients of Y, ``[..., v, u]``, in stored orientation.
    ``chroma``: the same for Cb and Cr (empty where the picture is grey).
    ``tables``: quantisation tables (8, 8) int in natural order, one a component.
    ``sampling``: luma (vertical, horizontal) factors: (2, 2) is 4:2:0, (1, 2) is 4:2:2; ``progressive``: scan order.
    """

    luma: NDArray[np.int16]
    chroma: tuple[NDArray[np.int16], ...]
    tables: tuple[NDArray[np.int32], ...]
    sampling: tuple[int, int]
    progressive: bool
    color_space: str


class ImageView:
    """Lazy views of one picture. ``width``/``height`` are of the stored pixels, before EXIF orientation."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        with self._open() as image:
            self.width, self.height = image.size
            self.mode = image.mode
            self.frames = self._count_frames(image)
            self.orientation = self._read_orientation(image)
            self.has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
            self.bit_depth = _bit_depth(image)

    def _count_frames(self, image: Image.Image) -> int:
        """Frames or pages, `MAX_PAGES` at most; 1 for a GIF, whose frames could only be counted by decoding them."""
        format_ = self._subject.sniffed.format
        if format_ == "tiff":
            return _count_pages(image)
        return int(getattr(image, "n_frames", 1) or 1) if format_ in ("webp", "avif", "png") else 1

    def _open(self) -> Image.Image:
        subject = self._subject
        if subject.sniffed.format == "heic":
            import pillow_heif

            pillow_heif.register_heif_opener()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                image = _open(subject.path, subject.sniffed.format)
            except Exception as error:
                raise _damaged(error) from error
        pixels = image.size[0] * image.size[1]
        if pixels > subject.options.limits.pixels:
            image.close()
            raise LimitExceeded(
                "limit.pixels",
                f"The picture has {pixels / 1e6:.0f} million pixels; the limit is "
                f"{subject.options.limits.pixels / 1e6:.0f}. Raise it with --max-pixels if you trust the file.",
            )
        return image

    def _read_orientation(self, image: Image.Image) -> int:
        if self._subject.sniffed.format in ("heic", "tiff"):
            return 1  # their decoders turn the pixels already
        try:
            value = int(image.getexif().get(_ORIENTATION, 1))
        except Exception:
            return 1  # a broken EXIF block is a matter for the metadata detector
        return value if 1 <= value <= 8 else 1

    @once
    def rgb(self) -> NDArray[np.uint8]:
        """(height, width, 3) uint8, stored orientation, alpha over white, 16-bit scaled to 8."""
        with self._open() as image, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                image.seek(0)
                image.load()
                return np.ascontiguousarray(np.asarray(_to_rgb(image), np.uint8))
            except MediaError:
                raise
            except Exception as error:
                raise _damaged(error) from error

    @once
    def luma(self) -> NDArray[np.uint8]:
        """(height, width) uint8, BT.601 luma as JPEG defines it, stored orientation."""
        import cv2

        return np.asarray(cv2.cvtColor(self.rgb, cv2.COLOR_RGB2GRAY), np.uint8)

    @once
    def jpeg(self) -> JpegView | None:
        """Coefficients and tables of a JPEG file; None for other formats. Raises `DamagedMedia`."""
        if self._subject.sniffed.format != "jpeg":
            return None
        _ = self.rgb  # a file that Pillow cannot decode whole must not reach the C reader
        return _read_jpeg(self._subject.path)

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) after EXIF orientation."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)

    def upright(self, values: NDArray[Any]) -> NDArray[Any]:
        """An array (h, w[, c]) in stored orientation turned as EXIF says."""
        turn = {
            2: lambda a: a[:, ::-1],
            3: lambda a: a[::-1, ::-1],
            4: lambda a: a[::-1],
            5: lambda a: a.swapaxes(0, 1),
            6: lambda a: a.swapaxes(0, 1)[:, ::-1],
            7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
            8: lambda a: a.swapaxes(0, 1)[::-1],
        }.get(self.orientation)
        return np.ascontiguousarray(turn(values) if turn else values)

    def upright_point(self, x: float, y: float) -> tuple[float, float]:
        """A point in stored pixels turned as EXIF says."""
        w, h = self.width, self.height
        return {
            2: (w - x, y),
            3: (w - x, h - y),
            4: (x, h - y),
            5: (y, x),
            6: (h - y, x),
            7: (h - y, w - x),
            8: (y, w - x),
        }.get(self.orientation, (x, y))

    def upright_box(self, x: float, y: float, w: float, h: float) -> Box:
        """A box in stored pixels turned as EXIF says."""
        x1, y1 = self.upright_point(x, y)
        x2, y2 = self.upright_point(x + w, y + h)
        return Box(x=min(x1, x2), y=min(y1, y2), w=abs(x2 - x1), h=abs(y2 - y1))

    def preview(self) -> str:
        """A small upright JPEG, base64."""
        image = Image.fromarray(self.rgb)
        image.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), reducing_gap=2.0)
        buffer = io.BytesIO()
        Image.fromarray(self.upright(np.asarray(image))).save(buffer, "JPEG", quality=PREVIEW_QUALITY)
        return base64.b64encode(buffer.getvalue()).decode("ascii")


def _open(path: Path, format_: str) -> Image.Image:
    """The picture, not decoded. Text that Pillow refuses because it unpacks to megabytes does not hide a PNG."""
    try:
        return Image.open(path)
    except ValueError:
        if format_ != "png":
            raise
        return Image.open(io.BytesIO(_png_without_text(path.read_bytes())))


def _png_without_text(data: bytes) -> bytes:
    """A PNG without text and colour profile, which no view of the pixels needs."""
    kept, at = [data[:8]], 8
    while at + 8 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] not in _PNG_TEXT:
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def _count_pages(image: Image.Image) -> int:
    pages = 1
    try:
        while pages < MAX_PAGES:
            image.seek(pages)
            pages += 1
    except EOFError:
        pass
    except Exception:
        return pages  # a damaged later page does not spoil the first
    finally:
        image.seek(0)
    return pages


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F", "I;16", "I;16B", "I;16L", "I;16N"):
        return _scale_to_8_bit(image).convert("RGB")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode in ("RGBA", "LA", "PA", "RGBa"):
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    # CMYK in a JPEG is stored inverted, as Adobe does; Pillow has turned it back already.
    return image.convert("RGB")


def _scale_to_8_bit(image: Image.Image) -> Image.Image:
    values = np.nan_to_num(np.asarray(image, np.float64), copy=True, posinf=0.0, neginf=0.0)
    top = 65535.0 if image.mode.startswith("I") and values.max(initial=0) > 255 else values.max(initial=0)
    scaled = values * (255.0 / top) if top > 255 or (image.mode == "F" and top > 0) else values
    return Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8))


def _bit_depth(image: Image.Image) -> int:
    if image.mode.startswith("I;16") or image.mode == "I":
        return 16
    if image.mode == "F":
        return 32
    return 1 if image.mode == "1" else int(image.info.get("bit_depth", 8) or 8)


def _read_jpeg(path: Path) -> JpegView:
    import jpeglib

    try:
        # jpeglib wants a name that it can encode; a link with a plain name serves every path.
        with tempfile.TemporaryDirectory(prefix="unmask-") as folder:
            link = Path(folder) / "subject.jpg"
            lean = _without_application_data(path.read_bytes())
            if lean is None:
                link.symlink_to(path.resolve())
            else:
                link.write_bytes(lean)
            dct = jpeglib.read_dct(str(link))
            luma = np.ascontiguousarray(dct.Y)
            chroma = tuple(np.ascontiguousarray(c) for c in (dct.Cb, dct.Cr) if c is not None)
    except Exception as error:
        raise DamagedMedia(
            "media.damaged_jpeg", "The JPEG coefficients cannot be read: the file is damaged. Get it again."
        ) from error
    tables = np.asarray(dct.qt, np.int32)
    picks = [int(i) for i in np.asarray(dct.quant_tbl_no).ravel()][: 1 + len(chroma)] or [0]
    sampling = np.asarray(dct.samp_factor).reshape(-1, 2)
    return JpegView(
        luma=luma,
        chroma=chroma,
        tables=tuple(tables[min(i, len(tables) - 1)] for i in picks),
        sampling=(int(sampling[0][0]), int(sampling[0][1])),
        progressive=bool(dct.progressive_mode),
        color_space=str(dct.jpeg_color_space),
    )


def _without_application_data(data: bytes) -> bytes | None:
    """A JPEG without its application segments (but JFIF's and Adobe's) where they are very many, else None."""
    kept, at, left_out = [data[:2]], 2, 0
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (0xD9, 0xDA):
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == 0xFE or (0xE1 <= data[at + 1] <= 0xEF and data[at + 1] != 0xEE):
            left_out += 1
        else:
            kept.append(data[at:end])
        at = end
    return b"".join([*kept, data[at:]]) if left_out > _MANY_SEGMENTS else None


def _damaged(error: Exception) -> MediaError:
    text = str(error).lower()
    if "truncated" in text or "unexpected end" in text or "eof" in text:
        return DamagedMedia(
            "media.truncated", "The picture ends too early: the file is cut off. Get the whole file again."
        )
    if isinstance(error, MemoryError):
        return LimitExceeded("limit.memory", "The picture needs more memory than allowed: raise --memory.")
    return DamagedMedia(
        "media.damaged", "The picture cannot be decoded: the file is damaged or not what its header says."
    )
