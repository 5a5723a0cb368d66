"""The detector of `layout`: are the objects of a picture whole, and is the dot where its class says?"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from experiments.config.registries import PICTURE_METRICS
from experiments.datasets.layout_scenes import CELL, SHAPES, relations
from experiments.scoring.picture_metrics.base import Pictures

CHROMA = 95
"""a pixel is an object's from this difference of its channels on: half of a real one's"""
LIGHT = 165
"""a pixel of no hue is a dot's from this value of its darkest channel on, half-way between ground and dot"""
WRONG = {"block": 8, "dot": 4}
"""pixels that may lack or be too much of an object that still counts as whole"""
HIDDEN = 2**-10
"""what a pixel that is not seen counts"""
STRAY = 4
"""pixels of a colour that may be of no object"""


@PICTURE_METRICS.register("layout")
class Layout:
    """Shares of pictures of `layout` whose objects are whole, and whose dot is where the class says.

    `layout_found`: one block of one hue and one white dot, both whole, and nothing else. `layout_accuracy`:
    those of them in which the relation of the class holds, and no other. Each colour is compared with every
    shape at every place, without a network: nothing is guessed. A dot at a random angle is right in 1 of 10
    cases. A canvas may have any size.

    Source: this project.
    """

    values: ClassVar[dict[str, str]] = {"layout_accuracy": "higher", "layout_found": "higher"}
    ranges: ClassVar[dict[str, tuple[int, int]]] = {"layout_accuracy": (0, 1), "layout_found": (0, 1)}
    learned: ClassVar[dict[str, float]] = {"layout_accuracy": 0.85}
    min_images = 1
    data_set = "layout"

    def measure(self, generated: Pictures, real: Pictures) -> dict[str, float]:
        """Both shares of the generated pictures; real ones get 1 and 1."""
        found, holds = detect(generated.pixels)
        right = holds[np.arange(len(holds)), generated.labels.numpy()]
        return {"layout_accuracy": float(right.mean()), "layout_found": float(found.mean())}


def detect(pixels: Tensor) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each picture shows its objects, whole, bool [N], and which relations hold, bool [N, 10].

    Args:
        pixels: uint8 [N, 3, H, W].
    """
    colours = _colours(pixels)
    there = colours.sum((2, 3)) > STRAY
    every = torch.arange(len(pixels))
    boxes, found = [], (there[:, :-1].sum(1) == 1) & there[:, -1]
    for kind, of_kind in (("block", colours[:, :-1]), ("dot", colours[:, -1:])):
        wrong, box = _nearest(SHAPES[kind], of_kind, ground=~colours.any(1, keepdim=True))
        most = of_kind.sum((2, 3)).argmax(1)
        found &= wrong[every, most].floor() <= WRONG[kind]
        boxes.append(tuple(box[every, most].T.numpy()))
    return found.numpy(), relations(boxes[0], boxes[1]) & found.numpy()[:, None]


def _colours(pixels: Tensor) -> Tensor:
    """Which pixels have each of the hues, one channel above the middle and two below, and which are white.

    Returns:
        bool [N, 4, H, W].
    """
    values = pixels.int()
    low, high = values.amin(1, keepdim=True), values.amax(1, keepdim=True)
    code = ((2 * values > low + high) * torch.tensor([4, 2, 1]).view(3, 1, 1)).sum(1, keepdim=True)
    hues = (code == torch.tensor([4, 2, 1]).view(3, 1, 1)) & (high - low >= CHROMA)
    return torch.cat([hues, (low >= LIGHT) & ~hues.any(1, keepdim=True)], 1)


def _nearest(shapes: Sequence[NDArray[np.bool_]], colours: Tensor, ground: Tensor) -> tuple[Tensor, Tensor]:
    """The shape that is most like each colour: its wrong pixels [N, colour], and its box [N, colour, 3].

    Wrong are pixels of the colour outside the shape, and pixels of the shape that show the ground; what lies
    behind another object is not seen, and counts a little, so that no more is thought to be there than must.
    """
    n, count, width = *colours.shape[:2], colours.shape[-1]
    own, bare = colours.flatten(0, 1)[:, None].float(), ground.float()
    fewest, boxes = torch.full((n, count), torch.inf), torch.zeros(n, count, 3, dtype=torch.int64)
    for shape in shapes:
        mask = torch.from_numpy(np.kron(shape, np.ones((CELL, CELL))))[None, None].float()
        seen = F.conv2d(own, mask).unflatten(0, (n, count))[:, :, 0]
        wrong = colours.sum((2, 3))[:, :, None, None] - seen + F.conv2d(bare, mask)
        wrong += HIDDEN * (mask.sum() - seen)
        least, place = wrong.flatten(2).min(2)
        columns = width - CELL * shape.shape[1] + 1
        box = torch.stack([place // columns, place % columns, torch.full_like(place, CELL * len(shape))], 2)
        boxes = torch.where((least < fewest)[:, :, None], box, boxes)
        fewest = torch.minimum(fewest, least)
    return fewest, boxes
