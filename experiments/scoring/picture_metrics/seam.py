"""Are the borders between patches seen? A transformer draws each patch by itself."""

from typing import ClassVar

import torch

from experiments.config.registries import PICTURE_METRICS
from experiments.scoring.picture_metrics.base import Pictures


@PICTURE_METRICS.register("seam")
class Seam:
    """How much pixels differ across borders of patches, over how much inside them; real pictures get 1.

    The mean squared difference of neighbours on both sides of a border, over that of neighbours in one patch,
    of all pictures and both axes together, divided by the same of real pictures. Above 1 patches fit together
    worse than in real pictures. Pictures of one patch, and patches of one pixel, have 1, and so have real
    pictures whose patches are plain, as those of `layout`: there it says how plain generated patches are.

    Source: this project.
    """

    values: ClassVar[dict[str, str]] = {"seam": "lower"}
    ranges: ClassVar[dict[str, tuple[int, None]]] = {"seam": (0, None)}
    min_images = 1

    def measure(self, generated: Pictures, real: Pictures) -> dict[str, float]:
        """`seam`."""
        return {"seam": roughness(generated) / roughness(real)}


def roughness(pictures: Pictures) -> float:
    """Mean squared difference across borders over that inside; 1 where there is no border, or no inside.

    >>> import torch
    >>> step = torch.tensor([0, 1, 3, 4]).expand(1, 1, 4, 4).to(torch.uint8)  # 1 inside patches, 2 across
    >>> roughness(Pictures(step, torch.zeros(1).long(), 2))
    4.0
    """
    x, borders, pairs = pictures.pixels.double(), 0, 0
    across, inside = torch.zeros(2, dtype=torch.float64)
    for axis in (-2, -1):
        squares = x.diff(dim=axis).square().transpose(axis, -1)
        at_border = torch.arange(1, squares.shape[-1] + 1) % pictures.patch == 0
        across, inside = across + squares[..., at_border].sum(), inside + squares[..., ~at_border].sum()
        borders, pairs = borders + squares[..., at_border].numel(), pairs + squares[..., ~at_border].numel()
    if not (borders and pairs and inside):
        return 1.0
    return float(across / borders / (inside / pairs))
