"""An exponential average with one decay throughout."""

from rope_dit.errors import check
from rope_dit.registry import AVERAGES


@AVERAGES.register("constant")
def constant(step: int, *, decay: float = 0.999) -> float:
    """Exponential average with the same decay from the first step on: early, it holds the initial weights.

    Each step moves the average the share 1 - decay of the way to the weights. It starts as they do.

    Source: exponential moving average; this project.

    >>> constant(0, decay=0.75), constant(1000, decay=0.75)
    (0.25, 0.25)
    """
    check(0 <= decay < 1, "constant: option 'decay'", decay, "a number from 0 to below 1")
    return 1 - decay
