"""What scenes of `layout` are made of: objects, and the ten relations of a dot to a block.

The data set draws scenes from these tables, and the detector finds the same objects in pictures. Objects are
made of square cells; a box is (top, left, size), each int64 [N], all in cells or all in pixels.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Box = tuple[Ints, Ints, Ints]
RELATIONS = (
    *("right", "below right", "below", "below left", "left", "above left", "above", "above right"),
    *("inside", "on"),
)
"""where the dot is, seen from the block: eight directions clockwise, in its middle, on its rim"""
CELL = 2
"""side of a cell in pixels"""
SECTOR = 20.0
"""degrees on each side of a direction in which it holds; between the sectors none does"""
PALETTE = np.array([[205, 40, 40], [40, 205, 40], [40, 40, 205]])
"""three hues at their darkest, [3, 3], one of which a block has"""
WHITE = 205
"""all channels of the darkest dot"""
_CUT = np.ones((4, 4), bool)
_CUT[[0, 0, -1, -1], [0, -1, 0, -1]] = False

SHAPES: Mapping[str, Sequence[NDArray[np.bool_]]] = {
    "block": [np.ones((3, 3), bool), np.ones((4, 4), bool), _CUT],
    "dot": [np.ones((2, 2), bool)],
}
"""masks of each kind of object, in cells"""


def relations(block: Box, dot: Box, rim: int = CELL, sector: float = SECTOR) -> NDArray[np.bool_]:
    """Which of `RELATIONS` hold, bool [N, 10]: never more than one. `rim` is how wide the block's rim is.

    >>> box = lambda *numbers: tuple(np.array([n]) for n in numbers)
    >>> [RELATIONS[i] for i in np.flatnonzero(relations(box(4, 2, 6), box(6, 10, 2)))]
    ['right']
    """
    (top, left, size), (dot_top, dot_left, dot_size) = block, dot
    below, beside = (2 * a + dot_size - 2 * b - size for a, b in ((dot_top, top), (dot_left, left)))
    reach = np.maximum(abs(below), abs(beside))  # twice the distance of the centres, along the longer axis
    inside = reach <= size - 2 * rim - dot_size
    apart = reach >= size + dot_size
    turned = np.degrees(np.arctan2(below, beside)) % 360
    away = abs((turned[:, None] - 45 * np.arange(8) + 180) % 360 - 180)
    return np.column_stack([(away <= sector) & apart[:, None], inside, ~inside & ~apart])
