"""One picture file into uint8 [C, H, W], or the reason why not. Nothing of a picture is lost in silence."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from experiments.datasets.base import Pixels

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif"})
_PNG_DEPTH = 24  # offset of the bit depth: 8 bytes of signature, 8 of chunk header, width, height


class Unusable(Exception):
    """A picture that cannot be used; the text says why, as `kind: details`."""


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Make Pillow's warning about decompression bombs an error, and keep its other warnings quiet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def decode(path: Path, side: int) -> Pixels:
    """Decode the first frame, upright (EXIF), as uint8 [1, H, W] for grey or [3, H, W] for colour.

    Args:
        path: a regular file.
        side: cut the largest centred square and resize it to side x side (Lanczos, antialiased); 0 keeps all.

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
        # Pillow reads 16-bit colour as 8 bits and does not say so.
        deep = image.format == "PNG" and data[_PNG_DEPTH] == 16
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
    except UnidentifiedImageError:
        raise Unusable(f"not an image: expected {', '.join(FORMATS)}") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise Unusable(f"too large: more than {Image.MAX_IMAGE_PIXELS} pixels; resize it") from None
    except Exception as error:  # damaged files raise anything: OSError, SyntaxError, struct.error, ...
        raise Unusable(f"corrupt: {error}") from None
    image = _plain_mode(image, deep)
    pixels = np.array(_square(image, side) if side else image)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _plain_mode(image: Image.Image, deep: bool) -> Image.Image:
    """Convert to L or RGB where that loses nothing (bilevel, opaque palettes)."""
    if deep or image.mode.startswith(("I", "F")):
        raise Unusable("wrong mode: more than 8 bits a channel; reduce it to 8")
    if image.has_transparency_data:
        raise Unusable(f"wrong mode: {image.mode} with transparency; flatten it onto a background colour")
    plain = {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB"}.get(image.mode)
    if plain is None:
        raise Unusable(f"wrong mode: {image.mode}; convert it to RGB")
    return image.convert(plain)


def _square(image: Image.Image, side: int) -> Image.Image:
    """Crop before resizing, on whole pixels: a picture whose short side is `side` already is not blurred."""
    short = min(image.size)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    box = (left, top, left + short, top + short)
    return image.resize((side, side), Image.Resampling.LANCZOS, box=box)
