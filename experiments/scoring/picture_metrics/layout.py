"""The detector of `layout`: are the objects of a picture whole, and is the dot where its class says?"""

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
WRONG = {"block": 8, "dot": 4, "bar": 2}
"""pixels that may lack or be too much of an object that still counts as whole"""
HIDDEN = 2**-10
"""what a pixel that is not seen counts"""
STRAY = 4
"""pixels of a hue that may be of no object"""


@PICTURE_METRICS.register("layout")
class Layout:
    """Shares of pictures of `layout` whose objects are whole, and whose dot is where the class says.

    `layout_found`: one block, one dot, at most one bar, all whole, and nothing else. `layout_accuracy`: those
    of them in which the relation of the class holds, and no other. Each hue is compared with every object at
    every place, without a network: nothing is guessed. A dot at a random angle is right in 1 of 10 cases. A
    canvas may have any size.

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
    hues = _hues(pixels)
    wrong, boxes = zip(*(_nearest(kind, hues) for kind in SHAPES), strict=True)
    kinds = torch.stack(wrong).argmin(0)  # [N, hue]
    allowed = torch.tensor([float(WRONG[kind]) for kind in SHAPES])
    whole = torch.stack(wrong).amin(0).floor() <= allowed[kinds]
    kinds = torch.where(whole, kinds, len(SHAPES)).where(hues.sum((2, 3)) > STRAY, -1)
    blocks, dots, bars, broken = ((kinds == i).sum(1) for i in range(len(SHAPES) + 1))
    found = ((blocks == 1) & (dots == 1) & (bars <= 1) & (broken == 0)).numpy()
    block, dot = (boxes[i][torch.arange(len(kinds)), (kinds == i).int().argmax(1)].T.numpy() for i in (0, 1))
    return found, relations(tuple(block), tuple(dot)) & found[:, None]


def _hues(pixels: Tensor) -> Tensor:
    """Which pixels have each of the hues, bool [N, 3, H, W]: one channel above the middle, two below."""
    values = pixels.int()
    low, high = values.amin(1, keepdim=True), values.amax(1, keepdim=True)
    code = ((2 * values > low + high) * torch.tensor([4, 2, 1]).view(3, 1, 1)).sum(1, keepdim=True)
    return (code == torch.tensor([4, 2, 1]).view(3, 1, 1)) & (high - low >= CHROMA)


def _nearest(kind: str, hues: Tensor) -> tuple[Tensor, Tensor]:
    """The object of a kind that is most like each hue: its wrong pixels [N, 3], and its box [N, 3, 3].

    Wrong are pixels of the hue outside the object, and pixels of the object that show the ground; what lies
    behind another object is not seen, and counts a little, so that no more is thought to be there than must.
    """
    n, width = len(hues), hues.shape[-1]
    own, ground = hues.flatten(0, 1)[:, None].float(), (~hues.any(1, keepdim=True)).float()
    fewest, boxes = torch.full((n, 3), torch.inf), torch.zeros(n, 3, 3, dtype=torch.int64)
    for shape in SHAPES[kind]:
        mask = torch.from_numpy(np.kron(shape, np.ones((CELL, CELL))))[None, None].float()
        seen = F.conv2d(own, mask).unflatten(0, (n, 3))[:, :, 0]
        wrong = hues.sum((2, 3))[:, :, None, None] - seen + F.conv2d(ground, mask)
        wrong += HIDDEN * (mask.sum() - seen)
        least, place = wrong.flatten(2).min(2)
        columns = width - CELL * shape.shape[1] + 1
        box = torch.stack([place // columns, place % columns, torch.full_like(place, CELL * len(shape))], 2)
        boxes = torch.where((least < fewest)[:, :, None], box, boxes)
        fewest = torch.minimum(fewest, least)
    return fewest, boxes
