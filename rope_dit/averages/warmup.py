"""An exponential average whose decay rises."""

from rope_dit.errors import check
from rope_dit.registry import AVERAGES


@AVERAGES.register("warmup")
def warmup(step: int, *, decay: float = 0.99) -> float:
    """Exponential average with decay min(decay, (1 + step) / (10 + step)), which forgets the initial weights.

    The schedule of TensorFlow's ExponentialMovingAverage with num_updates.
    """
    check(0 <= decay < 1, "warmup: option 'decay'", decay, "a number from 0 to below 1")
    return 1 - min(decay, (1 + step) / (10 + step))
