"""One picture file into uint8 [C, H, W], or the reason why not. Nothing of a picture is lost in silence."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError

from experiments.datasets.base import Pixels

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF")
SUFFIXES = frozenset({".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff"})
_PNG_DEPTH = 24  # offset of the bit depth: 8 bytes of signature, 8 of chunk header, width, height
_UPRIGHT = {  # what makes a picture of each EXIF orientation upright
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip


class Unusable(Exception):
    """A picture that cannot be used; the text says why, as `kind: details`."""


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Make Pillow's warning about decompression bombs an error, and keep its other warnings quiet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def decode(path: Path, side: int) -> tuple[Pixels, tuple[int, int]]:
    """Decode the first frame, upright (EXIF), as uint8 [1, H, W] for grey or [3, H, W] for colour.

    Args:
        path: a regular file.
        side: cut the largest centred square and resize it to side x side (Lanczos, antialiased); 0 keeps all.

    Returns the pixels, and width and height before they were resized.
    Raises Unusable. Call it under `strict_pillow`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Unusable(f"unreadable: {error.strerror}") from None
    if not data:
        raise Unusable("empty file: 0 bytes")
    try:
        image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
        deep, pages = _is_deep(image, data), _pages(image)
        image.load()
        image = _upright(image)
    except UnidentifiedImageError:
        raise Unusable(f"not an image: expected {', '.join(FORMATS)}") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise Unusable(f"too large: more than {Image.MAX_IMAGE_PIXELS} pixels; resize it") from None
    except Exception as error:  # damaged files raise anything: OSError, SyntaxError, struct.error, ...
        raise Unusable(f"corrupt: {error}") from None
    if pages > 1:
        raise Unusable(f"several pages: {pages} in one TIFF; save each as a picture of its own")
    image = _plain_mode(image, deep)
    pixels = np.array(_square(image, side) if side else image)
    pixels = pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))
    return pixels, image.size


def _is_deep(image: Image.Image, data: bytes) -> bool:
    """Whether a channel has more than 8 bits; Pillow reads 16-bit colour as 8 bits and does not say so."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return bool(max(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,))) > 8)
    return image.format == "PNG" and data[_PNG_DEPTH] == 16


def _pages(image: Image.Image) -> int:
    """Pages of a TIFF; 1 for other pictures, whose later frames are of an animation."""
    return image.n_frames if isinstance(image, TiffImagePlugin.TiffImageFile) else 1


def _upright(image: Image.Image) -> Image.Image:
    """Turn a picture as its EXIF orientation says; of the other fields none is read, for any may be odd."""
    method = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return image if method is None else image.transpose(method)


def _plain_mode(image: Image.Image, deep: bool) -> Image.Image:
    """Convert to L or RGB where that loses nothing (bilevel, palettes, what is opaque everywhere)."""
    if deep or image.mode.startswith(("I", "F")):
        raise Unusable("wrong mode: more than 8 bits a channel; reduce it to 8")
    if image.has_transparency_data and not _is_opaque(image):
        raise Unusable(f"wrong mode: {image.mode} with transparency; flatten it onto a background colour")
    image.info.pop("transparency", None)  # else a conversion would look for it
    plain = {"1": "L", "L": "L", "LA": "L", "P": "RGB", "PA": "RGB", "RGB": "RGB", "RGBA": "RGB"}.get(
        image.mode
    )
    if plain is None:
        raise Unusable(f"wrong mode: {image.mode}; convert it to RGB")
    return image.convert(plain)


def _is_opaque(image: Image.Image) -> bool:
    """Whether no pixel of a picture that could be transparent is."""
    if image.mode not in ("L", "LA", "P", "PA", "RGB", "RGBA"):
        return False
    alpha = image.convert("LA" if image.mode in ("L", "LA") else "RGBA").getchannel("A")
    return alpha.getextrema() == (255, 255)


def _square(image: Image.Image, side: int) -> Image.Image:
    """Crop before resizing, on whole pixels: a picture whose short side is `side` already is not blurred."""
    short = min(image.size)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    box = (left, top, left + short, top + short)
    return image.resize((side, side), Image.Resampling.LANCZOS, box=box)
