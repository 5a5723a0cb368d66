"""What the heads of a network look at: numbers of each head, and maps of three queries, for figures too.

Shapes: L layers, H heads, Q queries, T = h * w tokens.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from experiments.scoring.probes.base import Subject
from rope_dit.model import Attention

MOST, TIMES = 128, (0.25, 0.5, 0.75)  # pictures, times of the flow
WEIGHTS = 2**25  # held at a time


@dataclass(frozen=True, eq=False)
class Seen:
    """What each head of each layer looks at, means over pictures and times, float64 on the CPU.

    Args:
        grid: rows and columns of tokens.
        distance_LH: in tokens.
        entropy_LH: in nats.
        maps_LHQT: shares of all keys for three queries, see `queries`.
    """

    grid: tuple[int, int]
    distance_LH: Tensor
    entropy_LH: Tensor
    maps_LHQT: Tensor

    def heads(self) -> pd.DataFrame:
        """One row a head: layer, head, distance, entropy, and the entropy as a share of log T."""
        most = math.log(math.prod(self.grid)) or 1.0
        rows = [
            {"layer": layer, "head": head, "distance": distance, "entropy": entropy, "share": entropy / most}
            for layer, pairs in enumerate(torch.stack((self.distance_LH, self.entropy_LH), -1).tolist())
            for head, (distance, entropy) in enumerate(pairs)
        ]
        return pd.DataFrame(rows)

    def maps(self) -> pd.DataFrame:
        """One row a share: layer, head, query (by name), row and column of the key, and the share."""
        names, (h, w) = list(queries(self.grid)), self.grid
        layers, heads = self.distance_LH.shape
        index = pd.MultiIndex.from_product(
            [range(layers), range(heads), names, range(h), range(w)],
            names=["layer", "head", "query", "row", "column"],
        )
        return pd.DataFrame({"share": self.maps_LHQT.flatten().numpy()}, index).reset_index()


def queries(grid: tuple[int, int]) -> dict[str, int]:
    """Three tokens by name: the centre, the first corner, and the middle of the first row.

    >>> queries((4, 6))
    {'centre': 15, 'corner': 0, 'edge': 3}
    """
    h, w = grid
    return {"centre": (h // 2) * w + w // 2, "corner": 0, "edge": w // 2}


@torch.inference_mode()
def seen(subject: Subject) -> Seen:
    """Look at all heads. Hooks are gone afterwards, however it ends."""
    patch = subject.config.model.patch
    grid = subject.pixels.shape[2] // patch, subject.pixels.shape[3] // patch
    layers = [module for module in subject.model.modules() if isinstance(module, Attention)]
    sums = [Sums(grid) for _ in layers]
    hooks = [layer.register_forward_pre_hook(its.hook()) for layer, its in zip(layers, sums, strict=True)]
    try:
        at_a_time = max(1, WEIGHTS // (layers[0].num_heads * math.prod(grid) ** 2))
        for batch in subject.batches(MOST, "attention", at_a_time):
            for place, t in enumerate(TIMES):
                t_B = torch.full_like(batch.index_B, t, dtype=torch.float32)
                subject.velocity(batch.noised(t_B, place)[0], t_B, batch.labels_B)
    finally:
        for hook in hooks:
            hook.remove()
    distance, entropy, maps = (torch.stack([its.means()[i] for its in sums]) for i in range(3))
    return Seen(grid, distance, entropy, maps)


class Sums:
    """Sums over pictures of what one layer looks at."""

    def __init__(self, grid: tuple[int, int]):
        places_T2 = torch.cartesian_prod(*map(torch.arange, grid)).double()
        self.distance_TT = torch.cdist(places_T2, places_T2)
        self.queries, self.count = list(queries(grid).values()), 0
        self.sums: list[Tensor] = []

    def hook(self) -> Callable[[Attention, tuple[Any, ...]], None]:
        """What is called with a layer's inputs before it."""

        def add(layer: Attention, inputs: tuple[Any, ...]) -> None:
            weights_BHTT = layer.weights(*inputs)
            distance_TT = self.distance_TT.to(weights_BHTT)
            found = (
                (weights_BHTT * distance_TT).sum(-1).double().mean(-1).sum(0),
                torch.special.entr(weights_BHTT).sum(-1).double().mean(-1).sum(0),
                weights_BHTT[:, :, self.queries].double().sum(0),
            )
            self.sums = [a + b for a, b in zip(self.sums, found, strict=True)] if self.sums else list(found)
            self.count += len(weights_BHTT)

        return add

    def means(self) -> list[Tensor]:
        """Distance [H], entropy [H] and maps [H, Q, T]."""
        return [(total / self.count).cpu() for total in self.sums]
