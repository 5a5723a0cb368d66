"""How near generated pictures are to training pictures: copies are nearer than held-out pictures are."""

from typing import ClassVar

import torch

from experiments.config.registries import METRICS
from experiments.scoring.extractors.base import Features
from experiments.scoring.metrics.neighbours import nearest

SHARE = 0.01


@METRICS.register("nearest")
class Nearest:
    """Distances of features to the nearest training picture, beside those of real pictures not trained on.

    `nearest_ratio`: the median over generated pictures by that over held-out ones. 1 for fresh real
    pictures, 0 for copies, above 1 for pictures that are like none; so below 1 is not better.
    `nearest_share`: the share of generated pictures that are at most as far as the nearest 1 % of held-out
    ones: 0.01 for fresh real pictures, 1 for copies, 0 for noise. It says how many are copies, and nothing of
    quality.

    On digits held-out pictures are as far from the training pictures as these from each other (0.993), copies
    have 0 and 1, and noise 1.8 and 0.

    Held-out pictures are those that `real` says it leaves out; where it says none, each real picture to its
    nearest other stands for them. The ratio is infinite where half of the held-out pictures are copies.

    Source: this project; nearest training pictures as evidence of copies: Carlini et al., arXiv:2301.13188.
    """

    values: ClassVar[dict[str, str]] = {"nearest_ratio": "lower", "nearest_share": "lower"}
    ranges: ClassVar[dict[str, tuple[int, int | None]]] = {
        "nearest_ratio": (0, None),
        "nearest_share": (0, 1),
    }
    min_images = 2
    of_copies = ("nearest_share",)  # worse for copies than for new pictures, whatever their quality

    def measure(self, generated: Features, real: Features) -> dict[str, float]:
        """`nearest_ratio`, 0 and more; `nearest_share`, from 0 to 1."""
        left_out, pool = real.held_out, real.pool

        def of_real() -> torch.Tensor:
            if left_out is None:
                return nearest(pool, pool, 2)[:, 1].sqrt()
            return nearest(left_out.pool, pool, 1)[:, 0].sqrt()

        of_held_out = real.once("nearest: distances of held-out pictures", of_real)
        found = nearest(generated.pool, pool, 1)[:, 0].sqrt()
        share = (found <= of_held_out.quantile(SHARE)).double().mean()
        return {
            "nearest_ratio": float(found.quantile(0.5) / of_held_out.quantile(0.5)),
            "nearest_share": float(share),
        }
