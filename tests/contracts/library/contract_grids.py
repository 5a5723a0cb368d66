"""What every time grid promises."""

import torch
from golden_values import grid_options

from rope_dit.registry import GRIDS, Part


def goes_from_0_to_1_in_as_many_steps_as_asked(spec: str) -> None:
    grid, options = GRIDS.load(Part.parse(spec).name), grid_options(spec)
    own = options.get("times")
    for steps in (1, 2, 3, 50, 100_000) if own is None else (len(own) - 1,):
        times = grid(steps, **options)
        assert times.shape == (steps + 1,)
        assert times.dtype == torch.float64
        assert times.device.type == "cpu"
        assert (times[0], times[-1]) == (0, 1)
        assert (times.diff() > 0).all()


CHECKS = [goes_from_0_to_1_in_as_many_steps_as_asked]
