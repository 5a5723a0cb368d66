"""Scenes whose class is where one object is, seen from another: made here, and judged without a network."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from experiments.config.registries import DATASETS
from experiments.config.run import DataConfig
from experiments.datasets.base import Images, Pixels, refuse_argument, refuse_unused
from experiments.datasets.layout_scenes import CELL, PALETTE, RELATIONS, SHAPES, WHITE, Ints, relations

CELLS, NUM_TRAIN, NUM_HELD_OUT = 8, 20_000, 4_000
GROUND = 40, 101
"""levels of a ground's darker grey"""
STEP = 24
"""levels from it to the lighter one"""
CLEAR = 15.0
"""degrees from a direction in which dots are drawn, so that a cell more or less seldom changes the class"""
FARTHEST = 3.5
"""cells between the centres of block and dot along an axis, at most"""
LEVELS = 50
"""how much brighter than the darkest a block's hue and a dot may be, so that hardly two pictures are equal"""
WORDS = 6
"""random words a picture: two for its ground, one for the hue, one for block and dot, one for each's level"""


@DATASETS.register("layout")
def layout(argument: str, config: DataConfig) -> Images:
    """24,000 colour 16x16 scenes of a block and a white dot; classes say where the dot is.

    The ten classes are eight directions from block to dot, in its middle and on its rim. The block's hue and
    the ground (plain, striped or checked grey) are independent of the class, and of all places at which the
    class holds each is as likely, so that one place alone says little: the best guess from the block's shape
    and place is right in 24 % of pictures, from the dot's in DOT %. Objects are made of cells of 2x2 pixels,
    8x8 to a picture. A pure function of the index; split 20,000 / 4,000, with equally many of each class. The
    picture metric `layout` is its detector.

    Source: this project.

    >>> images = layout("", DataConfig(name="layout"))
    >>> images.train.shape, images.classes[8:]
    ((20000, 3, 16, 16), ('inside', 'on'))
    """
    refuse_argument(argument, config)
    refuse_unused(config, "image_size", "held_out")
    pixels, labels = scenes(NUM_TRAIN + NUM_HELD_OUT)
    return Images(
        train=pixels[:NUM_TRAIN],
        train_labels=labels[:NUM_TRAIN],
        held_out=pixels[NUM_TRAIN:],
        held_out_labels=labels[NUM_TRAIN:],
        classes=RELATIONS,
        name="layout",
    )


def scenes(count: int, seed: int = 0) -> tuple[Pixels, Ints]:
    """Pictures, uint8 [N, 3, 16, 16], and their classes; picture i is of class i % 10, whatever the count."""
    # raw PCG64 output is promised to stay the same over numpy versions
    words = (np.random.PCG64(seed).random_raw((count, WORDS)) >> np.uint64(1)).astype(np.int64)
    labels = np.arange(count) % len(RELATIONS)
    pixels = _grounds(words[:, 0], words[:, 1])
    block, dot = _objects(labels, words[:, 3])
    hues = PALETTE[words[:, 2] % len(PALETTE)]
    hues = np.where(hues == hues.max(1, keepdims=True), hues + words[:, [4]] % LEVELS, hues)
    for mask, colour in ((block, hues), (dot, WHITE + words[:, [5]] % LEVELS)):
        pixels = np.where(mask[:, None], colour[:, :, None, None].astype(np.uint8), pixels)
    return pixels.repeat(CELL, axis=-2).repeat(CELL, axis=-1), labels


def _grounds(grey: Ints, texture: Ints) -> Pixels:
    """Grey, [N, 1, 8, 8]: half of them plain, the others with stripes or checks of cells."""
    row, column = np.indices((CELLS, CELLS))
    plain = np.zeros_like(row)
    patterns = np.stack([plain, plain, plain, row, column, row + column]) % 2
    base = GROUND[0] + grey % (GROUND[1] - GROUND[0])
    grey_levels: Pixels = (base[:, None, None] + STEP * patterns[texture % 6]).astype(np.uint8)[:, None]
    return grey_levels


def _objects(labels: Ints, word: Ints) -> tuple[NDArray[np.bool_], ...]:
    """Where block and dot are, bool [N, 8, 8] each."""
    tables = _pairs()
    rows = np.array([tables[k][w % len(tables[k])] for k, w in zip(labels, word, strict=True)])
    return tuple(_drawn_at(SHAPES[kind], *rows[:, i : i + 3].T) for kind, i in (("block", 0), ("dot", 3)))


@lru_cache(maxsize=1)
def _pairs() -> list[Ints]:
    """By class, all pairs of a block and a dot: int64 [M, 6], each as (shape, top, left)."""
    blocks, dots = (_all_places(SHAPES[kind]) for kind in ("block", "dot"))
    i, j = (index.ravel() for index in np.indices((len(blocks), len(dots))))
    block, dot = ((a[:, 1], a[:, 2], a[:, 3]) for a in (blocks[i], dots[j]))
    axes = zip(dot[:2], block[:2], strict=True)
    reach = np.maximum(*(abs(2 * a + dot[2] - 2 * b - block[2]) for a, b in axes))
    holds = relations(block, dot, 1, CLEAR)
    holds[reach > 2 * FARTHEST] = False
    holds[reach > block[2], -1] = False  # a dot on the rim has its centre there
    pairs = np.column_stack([blocks[i, :3], dots[j, :3]])
    return [pairs[column] for column in holds.T]


def _all_places(shapes: Sequence[NDArray[np.bool_]]) -> Ints:
    """Every (shape, top, left, size) that fits into a picture."""
    return np.array([
        (i, top, left, len(shape))
        for i, shape in enumerate(shapes)
        for top in range(CELLS - shape.shape[0] + 1)
        for left in range(CELLS - shape.shape[1] + 1)
    ])  # fmt: skip


def _drawn_at(shapes: Sequence[NDArray[np.bool_]], which: Ints, top: Ints, left: Ints) -> NDArray[np.bool_]:
    drawn = np.zeros((len(which), CELLS, CELLS), bool)
    for i, shape in enumerate(shapes):
        mine = np.flatnonzero(which == i)
        rows, columns = (a[mine, None] + np.arange(n) for a, n in zip((top, left), shape.shape, strict=True))
        drawn[mine[:, None, None], rows[:, :, None], columns[:, None, :]] = shape
    return drawn
