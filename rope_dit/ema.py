"""Averages of the weights: a dictionary from a profile's name to its weights."""

from collections.abc import Sequence

import torch
from torch import Tensor


def name(decay: float) -> str:
    """Name of a profile by its decay, as a ScoreKey has it: `0.999`; the weights themselves are `raw`."""
    return f"{decay:.9g}"


class EMA:
    """Exponential moving averages of weights, one a profile, kept in float32.

    The decay is warmed up as min(decay, (1 + step) / (10 + step)), so that early averages forget the initial
    weights (the schedule of TensorFlow's ExponentialMovingAverage with num_updates).
    """

    def __init__(self, weights: Sequence[Tensor], decays: Sequence[float]):
        self._decays = {name(decay): decay for decay in decays}
        self.profiles = {key: [w.detach().clone().float() for w in weights] for key in self._decays}

    @torch.no_grad()
    def update(self, weights: Sequence[Tensor], step: int, keep: Tensor) -> None:
        """Move each average towards `weights` after optimizer step `step` (from 0), unless `keep` is 0.

        `keep` stays on the device: a lerp with it as its weight would make the host wait.
        """
        for key, average in self.profiles.items():
            share = 1 - min(self._decays[key], (1 + step) / (10 + step))
            move = torch._foreach_sub(list(weights), average)
            torch._foreach_mul_(move, share * keep)
            torch._foreach_add_(average, move)
