"""What an optimizer is: it changes weights by gradients, and leaves all as it is where a step was bad."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from rope_dit.config import TrainConfig

Weights = Mapping[str, nn.Parameter]
"""a model's weights by name"""
Rate = Callable[[float], float]
"""highest learning rate -> the one of this step, by warm-up and schedule"""
TABLES = ("pos_embed.", "label.", "registers")
"""beginnings of names of weights that are looked up or added, and multiply nothing"""


class Optimizer:
    """Base of all optimizers. Built from weights and settings; options are keyword-only arguments."""

    def step(self, rate: Rate, skip: Tensor) -> None:
        """Change the weights by their gradients, which are float32 or None.

        Args:
            rate: gives this step's learning rate.
            skip: 1.0 on the device where nothing may change, weights and state; else 0.0. It is not read by
                the host, which never waits.
        """
        raise NotImplementedError(f"{type(self).__name__} takes no steps")

    def tensors(self) -> dict[str, Tensor]:
        """State that a checkpoint must hold, by name, the same names from the first step on."""
        raise NotImplementedError(f"{type(self).__name__} must say what a checkpoint holds")


class Masked(Optimizer):
    """An optimizer of torch: a bad step is undone by choosing the old weights and state on the device.

    Args:
        name: by which a checkpoint knows the state.
        optimizer: of torch, over `weights`.
        weights: by name.
        state: names of all state that it keeps for each weight: shaped as that, zero at first; `step` is a
            number on the weight's device (so Adam must be `capturable`).
    """

    def __init__(self, name: str, optimizer: torch.optim.Optimizer, weights: Weights, state: Iterable[str]):
        self.name, self.optimizer, self.weights = name, optimizer, weights
        # made here, not at the first step, so that a checkpoint always has the same layout
        for p in weights.values():
            shapes = {key: () if key == "step" else p.shape for key in state}
            made = {key: torch.zeros(shape, device=p.device) for key, shape in shapes.items()}
            optimizer.state[p].update(made)

    @torch.no_grad()
    def step(self, rate: Rate, skip: Tensor) -> None:
        """Step, then take back what was bad."""
        live = [*self.weights.values(), *self.tensors().values()]
        before = [tensor.clone() for tensor in live]
        for group in self.optimizer.param_groups:
            group["lr"] = rate(group["initial_lr"])
        self.optimizer.step()
        for tensor, old in zip(live, before, strict=True):
            tensor.copy_(torch.where(skip > 0, old, tensor))

    def tensors(self) -> dict[str, Tensor]:
        """State of each weight."""
        return state_by_name(self.name, self.optimizer, self.weights)


def state_by_name(name: str, optimizer: torch.optim.Optimizer, weights: Weights) -> dict[str, Tensor]:
    """What an optimizer of torch keeps, as `name.exp_avg.blocks.0...`."""
    state = optimizer.state
    return {f"{name}.{key}.{w}": value for w, p in weights.items() for key, value in state[p].items()}


def groups(weights: Weights, config: TrainConfig, lr: float) -> list[dict[str, Any]]:
    """Parameter groups: matrices are decayed, vectors never, tables only with `train.decay_tables`."""
    parts: dict[float, list[Tensor]] = {0.0: []}
    for name, p in weights.items():
        decayed = p.dim() > 1 and (config.decay_tables or not is_table(name))
        parts.setdefault(config.weight_decay if decayed else 0.0, []).append(p)
    return [
        {"params": part, "weight_decay": decay, "lr": lr, "initial_lr": lr} for decay, part in parts.items()
    ]


def is_table(name: str) -> bool:
    """Whether a weight is looked up or added: embeddings of classes, registers, all of a variant's."""
    return name.startswith(TABLES)
