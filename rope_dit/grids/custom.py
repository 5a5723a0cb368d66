"""Times as they are given."""

import torch
from torch import Tensor

from rope_dit.errors import check
from rope_dit.registry import GRIDS, show


@GRIDS.register("custom")
def custom(steps: int, *, times: tuple[float, ...] = (0.0, 0.5, 1.0)) -> Tensor:
    """The times that are given, as in times=0/0.1/0.5/1: they say how many steps there are.

    Increasing from 0 to 1, and at least 1e-6 apart. A sampler with this grid has no option `steps`.

    Source: this project.

    >>> custom(3, times=(0.0, 0.1, 0.5, 1.0)).tolist()
    [0.0, 0.1, 0.5, 1.0]
    """
    made = torch.tensor(times, dtype=torch.float64)
    ok = len(times) >= 2 and (times[0], times[-1]) == (0, 1) and bool((made.diff() >= 1e-6).all())
    got = text if len(text := show(times)) <= 60 else f"{text[:57]}..."
    check(
        ok,
        "grid custom: option 'times'",
        got,
        "numbers from 0 to 1, each above the one before by 1e-06 or more",
    )
    assert steps == len(times) - 1, f"{steps} steps have no {len(times)} times"
    return made
