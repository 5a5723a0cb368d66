"""How much noise a stochastic solver adds along the way, and the drift that takes as much away.

    dx = (v + w/2 s) dt + sqrt(w) dW,   score s = (t v - x) / (1 - t),

has at every time the distribution of dx = v dt, whatever w(t) >= 0 is (SiT, arXiv:2401.08740).
The schedules of w, its strength `scale` being a variance a unit of time:

* linear: scale (1 - t), which falls as the noise in x does; then w/2 s = scale/2 (t v - x);
* constant: scale throughout;
* sine: scale sin^2(pi t), nothing at both ends and most in the middle.
"""

import math
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from rope_dit.errors import check
from rope_dit.samplers.base import Velocity

Schedule = Literal["linear", "constant", "sine"]
MOST = {"linear": 100, "constant": 4, "sine": 100}
"""of scale. The last of equal steps adds w/2 h s, for constant scale/2 (t v - x): above 4 it would overshoot
its target by more than it was away; linear of 100 does so in 50 steps"""


@dataclass(frozen=True)
class Diffusion:
    """A schedule and a strength. Raises UserError where they are out of range."""

    owner: str
    schedule: str
    scale: float

    def __post_init__(self) -> None:
        most, got = MOST.get(self.schedule), f"{self.owner}: option"
        check(most is not None, f"{got} 'schedule'", self.schedule, f"one of {', '.join(MOST)}")
        assert most is not None
        check(0 <= self.scale <= most, f"{got} 'scale'", self.scale, f"a number from 0 to {most} with "
              f"schedule={self.schedule}")  # fmt: skip

    def variance(self, t: Tensor) -> Tensor:
        """w(t), 0-dimensional."""
        if self.schedule == "linear":
            return self.scale * (1 - t)
        return self.scale * ((math.pi * t).sin() ** 2 if self.schedule == "sine" else t**0)

    def drift(self, v: Velocity, x: Tensor, t: Tensor) -> Tensor:
        """v + w/2 s at a time before 1, for one evaluation of v."""
        now = v(x, t)
        rate = self.scale if self.schedule == "linear" else self.variance(t) / (1 - t)
        return now + rate / 2 * (t * now - x)
