"""Cones of directions that cover the plane, each offset in exactly one of them."""

import torch
from torch import Tensor

MASKED = -1e4
"""logit that no softmax sees, finite in float16 and bf16"""
TURNS = {"90": (0, 2, 1, 3), "45": (0, 1, 4, 5, 2, 3, 6, 7)}
"""cones by their width, in the order in which heads take them: opposite ones together, for layers of few
heads; cone n of 90 degrees looks right, down, left or up, that of 45 begins at 45n degrees"""


def eighth(down: Tensor, right: Tensor) -> Tensor:
    """Eighth of the plane that an offset is in: n where its angle is in [45n, 45(n+1)) degrees; -1 for none.

    Angles count from the right by way of down.

    >>> down, right = torch.tensor([[0.0, 1, 1, 1, -1, -1, 0], [1, 1, 0, -1, -1, 0, 0]])
    >>> eighth(down, right).int().tolist()
    [0, 1, 2, 3, 5, 6, -1]
    """
    y, x = (axis.round(decimals=6) for axis in (down, right))  # steps that are no indices are rounded
    found = torch.full_like(x, -1)
    for quarter in range(4):
        found = torch.where((x > 0) & (y >= 0), 2 * quarter + (y >= x).to(x), found)
        y, x = -x, y
    return found


def sees(eighths: Tensor, cone: int, turn: int, cones: int) -> tuple[Tensor, float]:
    """Whether the cone holds an offset of that eighth, and its head's share of the slope: 1/2, 1/4, ...

    Args:
        eighths: of `eighth`.
        cone: its number.
        turn: how many heads of the layer have a cone of that number already. Of four cones each second turn
            looks between the directions of the first, and shares fall with each second turn.
        cones: how many there are, 4 or 8.

    >>> [bool(sees(torch.tensor(7.0), cone, 0, 4)[0]) for cone in range(4)]  # right, a little up
    [True, False, False, False]
    """
    if cones == 8:
        return eighths == cone, 2.0 ** -(1 + turn)
    between = turn % 2
    return ((eighths + 1 - between) / 2).floor() % 4 == cone, 2.0 ** -(1 + turn // 2)
