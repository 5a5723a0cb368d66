"""Scenes whose class is where one object is, seen from another: made here, and judged without a network."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from experiments.config.registries import DATASETS
from experiments.config.run import DataConfig
from experiments.datasets.base import Images, Pixels, refuse_argument, refuse_unused
from experiments.datasets.layout_scenes import CELL, PALETTE, RELATIONS, SHAPES, Ints, relations

CELLS, NUM_TRAIN, NUM_HELD_OUT = 8, 20_000, 4_000
CLEAR = 15.0
"""degrees from a direction in which dots are drawn, so that a cell more or less seldom changes the class"""
FARTHEST = 4.5
"""cells between the centres of block and dot along an axis, at most"""
WORDS = 16
"""random words a picture: two for its ground, one for colours, one for block and dot, and for the bar"""


@DATASETS.register("layout")
def layout(argument: str, config: DataConfig) -> Images:
    """24,000 colour 16x16 scenes of a block, a dot and perhaps a bar; classes say where the dot is.

    The ten classes are eight directions from block to dot, in its middle and on its rim. Colours, the bar and
    the ground (plain, striped or checked grey) are independent of the class, and of all places at which the
    class holds each is as likely, so that one place alone says little: the best guess from the block's shape
    and place is right in 27 % of pictures, from the dot's in 38 %. Objects are made of cells of 2x2 pixels,
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
    for mask, colour in zip(_objects(labels, words[:, 3:]), _three_hues(words[:, 2]), strict=True):
        pixels = np.where(mask[:, None], colour[:, :, None, None], pixels)
    return pixels.repeat(CELL, axis=-2).repeat(CELL, axis=-1), labels


def _grounds(grey: Ints, texture: Ints) -> Pixels:
    """Grey, [N, 1, 8, 8]: half of them plain, the others with stripes or checks of cells."""
    row, column = np.indices((CELLS, CELLS))
    plain = np.zeros_like(row)
    patterns = np.stack([plain, plain, plain, row, column, row + column]) % 2
    base = 60 + grey % 81
    grey_levels: Pixels = (base[:, None, None] + 24 * patterns[texture % 6]).astype(np.uint8)[:, None]
    return grey_levels


def _three_hues(word: Ints) -> NDArray[np.uint8]:
    """Three different colours a picture, [3, N, 3]."""
    chosen = np.array(list(permutations(range(len(PALETTE)), 3)))
    hues: NDArray[np.uint8] = PALETTE[chosen[word % len(chosen)]].swapaxes(0, 1)
    return hues


def _objects(labels: Ints, words: Ints) -> tuple[NDArray[np.bool_], ...]:
    """Where bar, block and dot are, bool [N, 8, 8] each, in the order in which they are drawn."""
    tables = _pairs()
    rows = np.array([tables[k][word % len(tables[k])] for k, word in zip(labels, words[:, 0], strict=True)])
    block, dot = (_drawn_at(SHAPES[kind], *rows[:, i : i + 3].T) for kind, i in (("block", 0), ("dot", 3)))
    return _bars(block | dot, words[:, 1:]), block, dot


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


def _bars(taken: NDArray[np.bool_], words: Ints) -> NDArray[np.bool_]:
    """In half of the pictures a bar, at the first of some places that touches nothing."""
    places = _all_places(SHAPES["bar"])
    drawn, wanted = np.zeros_like(taken), words[:, 0] % 2 == 0
    near = _grown(taken)
    for word in words[:, 1:].T:
        some = _drawn_at(SHAPES["bar"], *places[word % len(places), :3].T)
        fits = wanted & ~(some & near).any((1, 2))
        drawn[fits] = some[fits]
        wanted &= ~fits
    return drawn


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask with all pixels beside it, the diagonal ones too."""
    wide = np.pad(mask, ((0, 0), (1, 1), (1, 1)))
    tall = wide[:, :-2] | wide[:, 1:-1] | wide[:, 2:]
    return tall[:, :, :-2] | tall[:, :, 1:-1] | tall[:, :, 2:]
