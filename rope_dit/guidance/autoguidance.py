"""Guidance by a worse version of the same network."""

from typing import ClassVar

from torch import Tensor

from rope_dit.errors import check
from rope_dit.guidance.base import (
    CLOSE,
    Guidance,
    Network,
    check_interval,
    check_number,
    times,
    unguided,
)
from rope_dit.registry import GUIDANCES
from rope_dit.samplers.base import Velocity


@GUIDANCES.register("autoguidance")
class AutoGuidance(Guidance):
    """Autoguidance by weaker weights of the same run, at times from `begin` to `end`; weight 1 is none.

    v = v_weak + weight (v - v_weak), both of the picture's own class, on all channels at times within the
    interval, both ends included; elsewhere v alone, at one evaluation instead of two. It needs no null class.

    `weak` names other weights that the run keeps, with _ for each - and dot of the name: raw, 0_9 for the
    average warmup:decay=0.9, snapshot_at400 for the average snapshot:at=400, which is an earlier checkpoint.
    Averages that are kept are a setting of the run, train.averages.

    Source: Karras et al. (arXiv:2406.02507), where the weak network may be trained less, as here, or smaller.

    >>> import torch
    >>> x, labels = torch.zeros(1, 1, 1, 1), torch.tensor([2])
    >>> network, weak = (lambda x, t, labels, v=v: x + v for v in (7.0, 6.0))
    >>> AutoGuidance(weight=3.0).velocity(network, labels, None, weak)(x, torch.tensor(0.5)).item()  # 6 + 3
    9.0
    """

    evals = 2
    needs_weak = True
    off: ClassVar[dict[str, float]] = {"weight": 1.0}

    def __init__(self, *, weight: float = 1.0, begin: float = 0.0, end: float = 1.0, weak: str = "raw"):
        check_number("autoguidance", "weight", weight, 1000)
        check_interval("autoguidance", begin, end)
        check(bool(weak), "autoguidance: option 'weak'", weak, "the name of weights, such as raw")
        self.weight, self.begin, self.end, self.weak = weight, begin, end, weak

    def velocity(
        self, network: Network, labels_B: Tensor, null_label: int | None, weak: Network | None = None
    ) -> Velocity:
        """See the class."""
        plain = unguided(network, labels_B)
        if self.weight == 1:
            return plain
        assert weak is not None, "autoguidance needs a network with weaker weights"

        def guided(x_BCHW: Tensor, t: Tensor) -> Tensor:
            time, v_BCHW = float(t), plain(x_BCHW, t)
            if not self.begin - CLOSE <= time <= self.end + CLOSE:
                return v_BCHW
            weak_BCHW = weak(x_BCHW, times(x_BCHW, time), labels_B)
            return weak_BCHW + self.weight * (v_BCHW - weak_BCHW)

        return guided
