"""Muon for the matrices of the blocks, AdamW for all else."""

import re

import torch
from torch import Tensor, nn

from rope_dit.config import TrainConfig
from rope_dit.errors import check
from rope_dit.optimizers.adamw import AdamW
from rope_dit.optimizers.base import Masked, Optimizer, Rate, Weights
from rope_dit.registry import OPTIMIZERS

MATRICES = re.compile(r"blocks\.\d+\.(attention\.(qkv|proj)|mlp\..+)\.weight")
STACKED = {"attention.qkv.weight": 3, "mlp.gate_and_up.weight": 2}
"""weights that are several matrices, one above the other"""


@OPTIMIZERS.register("muon")
class Muon(Optimizer):
    """Momentum made orthogonal, for the blocks' q, k, v, proj and MLP (K. Jordan, 2024); AdamW elsewhere.

    That is torch.optim.Muon (see arXiv:2502.16982): Nesterov momentum, five Newton-Schulz steps in bf16, the
    rate times sqrt(max(1, rows / columns)). q, k and v are matrices of their own; modulations are AdamW's.
    Both decay by `train.weight_decay` times their own rate.

    Source: K. Jordan, Muon, 2024; torch.optim.Muon, whose options are as in arXiv:2502.16982.

    >>> name, config = "blocks.0.attention.proj.weight", TrainConfig(weight_decay=0.0)
    >>> w = nn.Parameter(torch.zeros(4, 4))
    >>> made, w.grad = Muon({name: w}, config, lr=1.0), torch.diag(torch.tensor([1.0, 2.0, 4.0, 8.0]))
    >>> made.step(lambda highest: highest, torch.zeros(()))  # five steps bring all singular values near to 1
    >>> bool(((w.detach() + torch.eye(4)).abs() < 0.35).all())
    True
    """

    def __init__(self, weights: Weights, config: TrainConfig, *, lr: float = 0.02, momentum: float = 0.95):
        check(0 < lr <= 1000, "muon: option 'lr'", lr, "a number above 0 and up to 1000")
        check(0 <= momentum < 1, "muon: option 'momentum'", momentum, "a number from 0 to below 1")
        whole = {name: p for name, p in weights.items() if MATRICES.fullmatch(name)}
        self.rest = AdamW({name: p for name, p in weights.items() if name not in whole}, config)
        self.whole, self.parts = whole, {name: _parts(p, name) for name, p in whole.items()}
        every = {f"{name}.{i}": part for name, its in self.parts.items() for i, part in enumerate(its)}
        group = {"params": list(every.values()), "initial_lr": lr}
        muon = torch.optim.Muon([group], lr=lr, momentum=momentum, weight_decay=config.weight_decay)
        self.matrices = Masked("muon", muon, every, ["momentum_buffer"])

    def step(self, rate: Rate, skip: Tensor) -> None:
        """Both steps; the parts are views of the weights, and their gradients views of the gradients."""
        for name, parts in self.parts.items():
            gradient = self.whole[name].grad
            for part, its in zip(parts, _split(gradient, name) if gradient is not None else (), strict=False):
                part.grad = its
        self.matrices.step(rate, skip)
        self.matrices.optimizer.zero_grad(set_to_none=True)
        self.rest.step(rate, skip)

    def tensors(self) -> dict[str, Tensor]:
        """Momenta of the matrices, and what AdamW has of the rest."""
        return self.matrices.tensors() | self.rest.tensors()


def _parts(weight: Tensor, name: str) -> list[nn.Parameter]:
    """The matrices that a weight consists of, as parameters that share its memory."""
    return [nn.Parameter(part) for part in _split(weight.detach(), name)]


def _split(stacked: Tensor, name: str) -> tuple[Tensor, ...]:
    """Views of the matrices that lie one above the other in a weight, or in its gradient."""
    count = next((count for ending, count in STACKED.items() if name.endswith(ending)), 1)
    return stacked.chunk(count)
