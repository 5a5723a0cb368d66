"""An exponential average whose decay rises."""

from rope_dit.errors import check
from rope_dit.registry import AVERAGES


@AVERAGES.register("warmup")
def warmup(step: int, *, decay: float = 0.99) -> float:
    """Exponential average with decay min(decay, (1 + step) / (10 + step)), which forgets the initial weights.

    The schedule of TensorFlow's ExponentialMovingAverage with num_updates.

    Each step moves the average the share 1 - decay of the way to the weights. It starts as they do.

    Source: TensorFlow's ExponentialMovingAverage with num_updates.

    >>> [round(warmup(step, decay=0.5), 4) for step in (0, 2, 100)]  # 1 - 1/10, 1 - 3/12, 1 - 1/2
    [0.9, 0.75, 0.5]
    """
    check(0 <= decay < 1, "warmup: option 'decay'", decay, "a number from 0 to below 1")
    return 1 - min(decay, (1 + step) / (10 + step))
