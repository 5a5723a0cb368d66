"""Sample grids as PNG: a row a class, so that one look tells whether the classes are learned."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rope_dit.durable import write_durably

ROWS, COLUMNS, GAP, MIN_SIDE = 10, 10, 2, 48


def write_grid(path: Path, pictures: NDArray[np.uint8], labels: NDArray[np.int64], num_classes: int) -> None:
    """Write a grid of pictures, as `grid` draws it, as a PNG file."""
    encoded = io.BytesIO()
    grid(pictures, labels, num_classes).save(encoded, "PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, encoded.getvalue())


def grid(pictures: NDArray[np.uint8], labels: NDArray[np.int64], num_classes: int) -> Image.Image:
    """Draw up to ten pictures of each of the first ten classes, in the order they were made.

    Args:
        pictures: uint8 [N, C, H, W] with 1 or 3 channels.
        labels: int64 [N].
        num_classes: 1 means that rows have no meaning.
    """
    if num_classes == 1:
        rows = [pictures[i * COLUMNS : (i + 1) * COLUMNS] for i in range(ROWS)]
    else:
        rows = [pictures[labels == c][:COLUMNS] for c in range(min(num_classes, ROWS))]
    channels, height, width = pictures.shape[1:]
    zoom = max(1, -(-MIN_SIDE // height))
    high, wide = height * zoom + GAP, width * zoom + GAP
    canvas = np.full((len(rows) * high + GAP, COLUMNS * wide + GAP, channels), 255, np.uint8)
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            tile = picture.transpose(1, 2, 0).repeat(zoom, 0).repeat(zoom, 1)
            canvas[GAP + r * high : (r + 1) * high, GAP + c * wide : (c + 1) * wide] = tile
    return Image.fromarray(canvas[..., 0] if channels == 1 else canvas)
