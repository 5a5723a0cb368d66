"""Steps where the velocity changes, as measured in a study."""

import torch
from torch import Tensor

from rope_dit.errors import UserError, check
from rope_dit.registry import GRIDS, show

KNOTS = 17
"""times of a measured profile"""


@GRIDS.register("sharp")
def sharp(steps: int, *, profile: tuple[float, ...] = (0.0,)) -> Tensor:
    """Equal shares of the velocity's change along the paths of a study's baseline (SharpEuler).

    A study measures |v(x', t') - v(x, t)| / (t' - t), the root mean square of a picture's pixels, along 128
    steps of euler with the trained baseline of its first seed, takes the mean over the pictures of a chunk
    and of that the square root (Euler's error is least where steps have equal shares of it), and writes down
    the times at which 0, 1/16, ..., 16/16 of it have passed: `profile`. Between them shares grow linearly.
    Every arm and seed is then scored with this one profile, which favours the baseline: so it is exploratory,
    and never the endpoint's. Elsewhere `grid=sharp` is refused; a sampler may be named with a profile that
    was measured.

    Source: SharpEuler (arXiv:2605.11547; the power 1/2 is what its authors take), without its smoothing.

    >>> sharp(4, profile=(0.0, 0.5, 0.75, 1.0)).tolist()  # 3/4 of the shares: a quarter of the third
    [0.0, 0.375, 0.625, 0.8125, 1.0]
    """
    if len(profile) == 1:
        raise UserError(
            "grid sharp got no profile: a study that compares arms measures it (experiments.study "
            "--eval.samplers euler:steps=50 euler:grid=sharp); elsewhere use grid=custom."
        )
    made = torch.tensor(profile, dtype=torch.float64)
    ok = (profile[0], profile[-1]) == (0, 1) and bool((made.diff() >= 1e-6).all())
    got = text if len(text := show(profile)) <= 60 else f"{text[:57]}..."
    check(ok, "grid sharp: option 'profile'", got, "times from 0 to 1, each above the one before by 1e-06")
    place = torch.linspace(0, len(profile) - 1, steps + 1, dtype=torch.float64)
    below = place.long().clamp(max=len(profile) - 2)
    return torch.lerp(made[below], made[below + 1], place - below)


def profile_of(changes: Tensor) -> tuple[float, ...]:
    """Times at which equal shares of the square root of `changes`, of equal steps, have passed, 4 decimals.

    To each root a hundredth of their mean is added, so that no step is endless where nothing changes.

    >>> profile_of(torch.ones(128))[:3]
    (0.0, 0.0625, 0.125)
    >>> profile_of(torch.tensor([9.0, 1.0]))[8]  # roots 3.02 and 1.02: half of them after 2.02/3.02 of a half
    0.3344

    Raises:
        UserError: nothing changes, or something is not finite.
    """
    root = changes.double().sqrt()
    check(bool(root.isfinite().all()) and float(root.sum()) > 0, "grid sharp: changes of the velocity",
          float(root.sum()), "finite numbers above 0: the baseline has learned nothing to go by")  # fmt: skip
    root = root + 0.01 * root.mean()
    passed = torch.cat((root.new_zeros(1), (root / root.sum()).cumsum(0)))
    passed[-1] = 1
    wanted = torch.linspace(0, 1, KNOTS, dtype=torch.float64)
    after = torch.searchsorted(passed, wanted).clamp(1, len(root))
    inside = (wanted - passed[after - 1]) / (passed[after] - passed[after - 1])
    return tuple(round(float(t), 4) for t in (after - 1 + inside) / len(root))
