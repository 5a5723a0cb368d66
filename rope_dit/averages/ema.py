"""Averages of the weights: a dictionary from an average's name to its weights."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rope_dit.averages.names import average_name
from rope_dit.registry import AVERAGES


class EMA:
    """Averages of weights, kept in float32.

    Args:
        weights: to average.
        specs: which averages, such as `warmup:decay=0.99`.
    """

    def __init__(self, weights: Sequence[Tensor], specs: Sequence[str]):
        self._shares = {average_name(spec): AVERAGES.bind(spec) for spec in specs}
        assert len(self._shares) == len(specs), f"got averages of one name among {', '.join(specs)}"
        self.profiles = {key: [w.detach().clone().float() for w in weights] for key in self._shares}

    @torch.no_grad()
    def update(self, weights: Sequence[Tensor], step: int, keep: Tensor) -> None:
        """Move each average towards `weights` after optimizer step `step` (from 0), unless `keep` is 0.

        `keep` stays on the device: a lerp with it as its weight would make the host wait.
        """
        for key, average in self.profiles.items():
            move = torch._foreach_sub(list(weights), average)
            torch._foreach_mul_(move, self._shares[key](step) * keep)
            torch._foreach_add_(average, move)
