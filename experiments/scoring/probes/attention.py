"""How far tokens look, and at how many."""

from typing import ClassVar

import pandas as pd

from experiments.config.registries import PROBES
from experiments.scoring.probes.attention_base import seen
from experiments.scoring.probes.base import Subject


@PROBES.register("attention")
class AttentionProbe:
    """Mean distance and entropy of attention, over all layers and heads.

    A head that gives the share a_ij of query i to key j has the distance sum_j a_ij |i - j|, in tokens,
    straight from place to place, and the entropy -sum_j a_ij log a_ij, in nats; both are means over queries,
    up to 128 held-out pictures and t = 1/4, 1/2, 3/4, then over heads and layers. Looking at all T tokens
    alike has the entropy log T, at one the entropy 0. Registers are left out: shares are those among patches.
    Tables (`attention_base.Seen`): `heads`, the numbers of each head, and `maps`, where three queries look.
    Neither direction is better, though a value must claim one: networks that need a wide view have it, and
    training tells which do. A short distance beside a high entropy is no contradiction where T is small.

    Source: heads' mean attention distance, Dosovitskiy et al., arXiv:2010.11929; the entropy, this project.
    """

    values: ClassVar[dict[str, str]] = {"attention_distance": "lower", "attention_entropy": "lower"}
    ranges: ClassVar[dict[str, tuple[float, None]]] = {
        "attention_distance": (0, None),
        "attention_entropy": (0, None),
    }
    default_on = True
    cost = "3 evaluations for each of up to 128 held-out pictures, with attention computed twice"

    def measure(self, subject: Subject) -> dict[str, float]:
        """Both."""
        self.seen = found = seen(subject)
        return {
            "attention_distance": found.distance_LH.mean().item(),
            "attention_entropy": found.entropy_LH.mean().item(),
        }

    def tables(self) -> dict[str, pd.DataFrame]:
        """Heads and maps, as `python -m analysis.figures.apart.attention` draws them."""
        return {"heads": self.seen.heads(), "maps": self.seen.maps()}
