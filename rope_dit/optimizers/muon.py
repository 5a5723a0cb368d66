"""Muon for the matrices of the blocks, AdamW for all else."""

import re

import torch
from torch import Tensor, nn

from rope_dit.config import TrainConfig, check
from rope_dit.optimizers.adamw import AdamW
from rope_dit.optimizers.base import Optimizer, Rate, Weights
from rope_dit.registry import OPTIMIZERS

MATRICES = re.compile(r"blocks\.\d+\.(attention\.(qkv|proj)|mlp\..+)\.weight")
STACKED = {"attention.qkv.weight": 3, "mlp.gate_and_up.weight": 2}
"""weights that are several matrices, one above the other"""


@OPTIMIZERS.register("muon")
class Muon(Optimizer):
    """Momentum made orthogonal, for the blocks' q, k, v, proj and MLP (K. Jordan, 2024); AdamW elsewhere.

    That is torch.optim.Muon (see arXiv:2502.16982): Nesterov momentum, five Newton-Schulz steps in bf16, the
    rate times sqrt(max(1, rows / columns)). q, k and v are matrices of their own; modulations are AdamW's.
    The weight decay is the same for both.
    """

    def __init__(self, weights: Weights, config: TrainConfig, *, lr: float = 0.02, momentum: float = 0.95):
        check(0 < lr <= 1000, "muon: option 'lr'", lr, "a number above 0 and up to 1000")
        check(0 <= momentum < 1, "muon: option 'momentum'", momentum, "a number from 0 to below 1")
        self.lr, self.whole = lr, {name: p for name, p in weights.items() if MATRICES.fullmatch(name)}
        check(len(self.whole) > 0, "train.optimizer", "muon", "a model with blocks")
        self.rest = AdamW({name: p for name, p in weights.items() if name not in self.whole}, config)
        self.momenta = {name: torch.zeros_like(p) for name, p in self.whole.items()}
        self.parts = {
            name: [nn.Parameter(part) for part in _parts(name, p)] for name, p in self.whole.items()
        }
        every = [part for parts in self.parts.values() for part in parts]
        self.muon = torch.optim.Muon(every, lr=lr, momentum=momentum, weight_decay=config.weight_decay)
        for name, parts in self.parts.items():
            for part, momentum_part in zip(parts, _parts(name, self.momenta[name]), strict=True):
                self.muon.state[part]["momentum_buffer"] = momentum_part

    @torch.no_grad()
    def step(self, rate: Rate, skip: Tensor) -> None:
        """Both steps. Muon has no mask of its own: the old weights and momenta are chosen again."""
        live = [*self.whole.values(), *self.momenta.values()]
        before = [tensor.clone() for tensor in live]
        for name, parts in self.parts.items():
            if (gradient := self.whole[name].grad) is not None:
                for part, its in zip(parts, _parts(name, gradient), strict=True):
                    part.grad = its
        for group in self.muon.param_groups:
            group["lr"] = rate(self.lr)
        self.muon.step()
        self.muon.zero_grad(set_to_none=True)
        for tensor, old in zip(live, before, strict=True):
            tensor.copy_(torch.where(skip > 0, old, tensor))
        self.rest.step(rate, skip)

    def tensors(self) -> dict[str, Tensor]:
        """Momenta of the matrices, and what AdamW has of the rest."""
        return {f"muon.momentum.{name}": m for name, m in self.momenta.items()} | self.rest.tensors()


def _parts(name: str, matrix: Tensor) -> list[Tensor]:
    """Views of the matrices that a weight consists of."""
    count = next((count for ending, count in STACKED.items() if name.endswith(ending)), 1)
    return list(matrix.detach().chunk(count))
