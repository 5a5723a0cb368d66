"""How fast the pairs of an axis turn: the ladders of frequencies that axial variants choose from."""

import math

import torch
from torch import Tensor

from rope_dit.errors import UserError, check
from rope_dit.pos_embed.base import Geometry
from rope_dit.positions.base import Places
from rope_dit.registry import POSITIONS


def kdiffusion(count: int, heads: int, like: Tensor) -> Tensor:
    """pi * 10^(j / (heads * count)), j = i * heads + head, for pair i of a head: [heads, count], radians.

    From pi to 10 pi (not reached), evenly in their logarithm, dealt out to the heads in turn, for
    positions in [-1, 1]: `AxialRoPE` of github.com/crowsonkb/k-diffusion, models/image_transformer_v2.py.

    >>> (kdiffusion(2, 2, torch.zeros(1)) / math.pi).log10().tolist()
    [[0.0, 0.5], [0.25, 0.75]]
    """
    steps = torch.arange(count * heads, dtype=like.dtype, device=like.device).view(count, heads).T
    ladder: Tensor = math.pi * 10 ** (steps / (count * heads))
    return ladder


def periods(count: int, shortest: float, longest: float, like: Tensor) -> Tensor:
    """2 pi / period, [count], of periods from the shortest to the longest, evenly in their logarithm.

    `RopePositionEmbedding` of github.com/facebookresearch/dinov3 with `min_period` and `max_period`.

    >>> (2 * math.pi / periods(3, 1.0, 4.0, torch.zeros(1))).tolist()
    [1.0, 2.0, 4.0]
    """
    steps = torch.arange(count, dtype=like.dtype, device=like.device)
    ladder: Tensor = 2 * math.pi / (shortest * (longest / shortest) ** (steps / max(1, count - 1)))
    return ladder


def refuse_positions_that_are_not_normalized(geometry: Geometry, owner: str, ladder: str) -> None:
    """Raise UserError where positions do not reach from -1 to 1, as this ladder is meant for."""
    names = [part.partition(":")[0] for part in POSITIONS.canonical(geometry.positions).split("+")]
    if "normalized" not in names:
        raise UserError(
            f"{owner}: frequencies={ladder} is meant for positions in [-1, 1]; model.positions got "
            f"'{geometry.positions}', expected normalized. Set it, or frequencies=theta."
        )


def extents(places: Places) -> tuple[float, float]:
    """How far the tokens of a grid reach along rows and along columns: places times the step between them.

    >>> extents(Places((1, 4), torch.zeros(4), torch.arange(4.0)))
    (0.0, 4.0)
    """
    found = []
    for axis, count in zip((places.rows, places.columns), places.grid, strict=True):
        length = float(axis.max() - axis.min())
        found.append(length * count / (count - 1) if count > 1 else 0.0)
    return found[0], found[1]


def truncated(ladder: Tensor, reach: tuple[float, float]) -> Tensor:
    """A ladder [H or 1, 1, 2, n] with 0 where a period exceeds the reach of the axis (arXiv:2412.17739).

    >>> truncated(torch.tensor([2.0, 0.5]).expand(1, 1, 2, 2), (4.0, 20.0))[0, 0].tolist()
    [[2.0, 0.0], [2.0, 0.5]]
    """
    axes = [torch.where(ladder[..., i, :] * reach[i] < 2 * math.pi, 0.0, ladder[..., i, :]) for i in (0, 1)]
    return torch.stack(axes, dim=-2)


def check_periods(frequencies: str, theta: float, shortest: float, longest: float, owner: str) -> None:
    """Raise UserError where options do not go together: none may be without effect."""
    if frequencies == "kdiffusion":
        check(
            theta == 100, f"{owner}: option 'theta'", theta, "100 with frequencies=kdiffusion, which has none"
        )
    if shortest or longest:
        check(frequencies == "dinov3", f"{owner}: option 'frequencies'", frequencies,
              "dinov3 where min_period or max_period is given")  # fmt: skip
        check(theta == 100, f"{owner}: option 'theta'", theta, "100 where periods are given instead")
        check(0 < shortest < longest, f"{owner}: options 'min_period' and 'max_period'",
              f"{shortest:g} and {longest:g}", "0 < min_period < max_period")  # fmt: skip
