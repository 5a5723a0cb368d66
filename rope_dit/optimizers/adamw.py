"""AdamW."""

import torch
from torch import Tensor

from rope_dit.config import TrainConfig
from rope_dit.optimizers.base import Optimizer, Rate, Weights, groups, state_by_name
from rope_dit.registry import OPTIMIZERS


@OPTIMIZERS.register("adamw")
class AdamW(Optimizer):
    """Adam with decoupled weight decay, fused (arXiv:1711.05101); its settings are train.lr, beta2, ...

    m = 0.9 m + 0.1 g, s = beta2 s + (1 - beta2) g^2, both divided by 1 - beta^step; then
    w = w - lr (m / (sqrt(s) + 1e-8) + weight_decay w). Buffers `adamw.exp_avg.NAME` and
    `adamw.exp_avg_sq.NAME`, shaped as the weight and 0 at first, and `adamw.step.NAME`.

    Source: Loshchilov and Hutter (arXiv:1711.05101), by torch.

    >>> from torch import nn
    >>> w, config = nn.Parameter(torch.tensor([1.0, 1.0])), TrainConfig(lr=0.1)
    >>> made, w.grad = AdamW({"w": w}, config), torch.tensor([5.0, -0.01])
    >>> made.step(lambda highest: highest, torch.zeros(()))  # the first step goes by the sign
    >>> [round(number, 4) for number in w.tolist()]
    [0.9, 1.1]
    """

    def __init__(self, weights: Weights, config: TrainConfig):
        self.weights = weights
        found = groups(weights, config, config.lr)
        self.optimizer = torch.optim.AdamW(found, lr=config.lr, betas=(0.9, config.beta2), fused=True)
        for p in weights.values():  # made here, so that a checkpoint always has the same layout
            zeros = {key: torch.zeros_like(p) for key in ("exp_avg", "exp_avg_sq")}
            self.optimizer.state[p] = {"step": torch.zeros((), device=p.device), **zeros}

    def step(self, rate: Rate, skip: Tensor) -> None:
        """One step, masked out on the device by the protocol that GradScaler uses."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate(group["initial_lr"])
        self.optimizer.grad_scale, self.optimizer.found_inf = None, skip  # type: ignore[attr-defined]
        self.optimizer.step()

    def tensors(self) -> dict[str, Tensor]:
        """Steps and both moments of each weight."""
        return state_by_name("adamw", self.optimizer, self.weights)
