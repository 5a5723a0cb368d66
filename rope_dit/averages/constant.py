"""An exponential average with one decay throughout."""

from rope_dit.errors import check
from rope_dit.registry import AVERAGES


@AVERAGES.register("constant")
def constant(step: int, *, decay: float = 0.999) -> float:
    """Exponential average with the same decay from the first step on: early, it holds the initial weights."""
    check(0 <= decay < 1, "constant: option 'decay'", decay, "a number from 0 to below 1")
    return 1 - decay
