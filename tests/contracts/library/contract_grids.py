"""What every time grid promises."""

from typing import Any

import torch

from rope_dit.registry import GRIDS, Part, show


def grid_options(text: str) -> dict[str, Any]:
    """All options of a grid's spec; a list that has no more than one number at its default gets three."""
    part = Part.parse(text)
    found = GRIDS[part.name].resolve(part)
    return found | {name: (0.0, 0.25, 1.0) for name in needed(part.name) if name not in dict(part.options)}


def needed(name: str) -> list[str]:
    """Options of a grid whose list has to be given."""
    options = GRIDS[name].options.values()
    return [one.name for one in options if isinstance(one.default, tuple) and len(one.default) == 1]


def sampler_options(name: str) -> list[str]:
    """What a sampler's text says for this grid, such as `grid=uniform`."""
    return [f"grid={name}", *(f"{option}={show((0.0, 0.25, 1.0))}" for option in needed(name))]


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
