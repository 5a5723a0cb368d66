"""Are the borders between patches seen? A transformer draws each patch by itself."""

from typing import ClassVar

import torch

from experiments.config.registries import PICTURE_METRICS
from experiments.scoring.picture_metrics.base import Pictures


@PICTURE_METRICS.register("seam", version=2)
class Seam:
    """Share of the differences of pixels that lies across borders of patches; real pictures get 0.

    With a the mean squared difference of neighbours on both sides of a border and b that of neighbours in one
    patch, of all pictures and both axes together, it is a / (a + b) less the same of real pictures. Above 0
    patches fit together worse than in real pictures, below 0 borders are smoother than theirs. Real pictures
    of plain patches, as those of `layout`, have a share of 1, and generated ones one near it: there seams say
    little. Pictures of one patch, patches of one pixel and pictures of one colour have a share of 1/2.

    Source: this project.
    """

    values: ClassVar[dict[str, str]] = {"seam": "lower"}
    ranges: ClassVar[dict[str, tuple[int, int]]] = {"seam": (-1, 1)}
    min_images = 1

    def measure(self, generated: Pictures, real: Pictures) -> dict[str, float]:
        """`seam`."""
        return {"seam": share(generated) - share(real)}


def share(pictures: Pictures) -> float:
    """Share of squared differences that lies across borders, with as many pairs across as inside.

    >>> import torch
    >>> step = torch.tensor([0, 1, 3, 4]).expand(1, 1, 4, 4).to(torch.uint8)  # 1 inside patches, 2 across
    >>> share(Pictures(step, torch.zeros(1).long(), 2))
    0.8
    """
    x, borders, pairs = pictures.pixels.double(), 0, 0
    across, inside = torch.zeros(2, dtype=torch.float64)
    for axis in (-2, -1):
        squares = x.diff(dim=axis).square().transpose(axis, -1)
        at_border = torch.arange(1, squares.shape[-1] + 1) % pictures.patch == 0
        across, inside = across + squares[..., at_border].sum(), inside + squares[..., ~at_border].sum()
        borders, pairs = borders + squares[..., at_border].numel(), pairs + squares[..., ~at_border].numel()
    if not (borders and pairs and across + inside):
        return 0.5
    a, b = across / borders, inside / pairs
    return float(a / (a + b))
