"""How many operations a training step dispatches besides the loss and its backward pass.

On a fast device each of them costs the host some microseconds, however few numbers it works on, and no step
can be shorter than that. A network's width does not change the count, so that a narrow one will do.
"""

from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from experiments.runner.execute import make_batches
from experiments.runner.resolve import Resolved
from rope_dit import flow
from rope_dit.draws import Batch, Inputs
from rope_dit.ranks import ONE
from rope_dit.trainer import Training, backward, train

STEPS = 100
"""steps of which the mean is taken"""
NARROW: dict[str, Any] = {"dim": 16, "num_heads": 2, "depth": 1}


class Dispatched(TorchDispatchMode):
    """Counts what is dispatched within it, by name; views count as well."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names[str(func)] += 1
        return func(*args, **(kwargs or {}))


def dispatched(training: Training, batch: Batch, steps: int = STEPS) -> Counter[str]:
    """Operations by name, of `steps` steps together, outside loss and backward; all draws are made anew.

    Those of the whole steps, less `steps` times those of one loss and backward alone, which are the same in
    each step. The training must not be compiled; it goes on by `steps` steps.
    """
    assert training.config.compile == "off", "what is compiled is not dispatched"
    given = Inputs(training.config, batch, 0, training.model.num_moves)(training.step)
    for _ in range(2):  # the first time makes tables of positions too
        alone = Dispatched()
        with alone:
            backward(training, lambda step: given, partial(flow.loss, training.model), ONE)
        training.model.zero_grad(set_to_none=True)
    whole = Dispatched()
    with whole:
        for _ in train(training, batch, seed=0, until=training.step + steps):
            pass
    whole.names.subtract({name: steps * count for name, count in alone.names.items()})
    return whole.names


def dispatched_per_step(resolved: Resolved) -> float:
    """Mean operations of a step of this run outside loss and backward, uncompiled, with a narrow network."""
    config = resolved.config
    train = replace(config.train, steps=max(config.train.steps, STEPS), compile="off")
    config = replace(config, model=replace(config.model, **NARROW), train=train)
    narrow = replace(resolved, config=config)
    counted = dispatched(Training.fresh(narrow.build_model(), train), make_batches(narrow))
    return counted.total() / STEPS
