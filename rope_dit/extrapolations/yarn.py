"""YaRN: slow frequencies are interpolated, fast ones kept, and attention sharpened."""

import math
from typing import Literal

from torch import Tensor

from rope_dit.errors import check
from rope_dit.extrapolations.base import Extrapolation, Fade
from rope_dit.registry import EXTRAPOLATIONS


@EXTRAPOLATIONS.register("yarn")
class YaRN(Extrapolation):
    """YaRN: frequencies that turn less than `alpha` times along the trained axis are divided by s.

    A frequency that turns r times is multiplied by (1 - g)/s + g, g = (r - alpha)/(beta - alpha) within 0..1,
    so that those with r at least `beta` stay. With `temperature`, products of queries and keys are multiplied
    by (0.1 log s + 1)^2, s of the longer axis. s is how many times longer an axis is: of each with
    `axes=separate` (FiT's VisionYaRN), the larger of both with `joint`. alpha and beta are the paper's, for
    text of some thousand tokens: on grids of 8 to 32 patches most pairs turn less than beta times. With
    `dype` alpha and beta are multiplied by kappa, and log s of the temperature too.

    Source: Peng et al., arXiv:2309.00071, section 3.2 and 3.4; per axis FiT, arXiv:2402.12376.

    Once, 16.5 and 32 turns on an axis twice as long:

    >>> import torch
    >>> YaRN().factor(torch.ones(3), torch.tensor([1.0, 16.5, 32.0]), 2.0, 1.0).tolist()
    [0.5, 0.75, 1.0]
    >>> f"{YaRN().logits(math.e, (64, 128), 1.0):.2f}"
    '1.21'
    """

    acts_on = "frequencies"

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        beta: float = 32.0,
        axes: Literal["separate", "joint"] = "separate",
        temperature: bool = True,
    ):
        check(
            0 <= alpha < beta,
            "yarn: options 'alpha' and 'beta'",
            f"{alpha:g} and {beta:g}",
            "0 <= alpha < beta",
        )
        self.alpha, self.beta, self.axes, self.temperature = alpha, beta, axes, temperature

    def factor(self, size: Tensor, turns: Tensor, stretch: float, fade: Fade) -> Tensor:
        """Between 1/s and 1."""
        some = fade.clamp(min=1e-9) if isinstance(fade, Tensor) else max(fade, 1e-9)
        kept = ((turns / some - self.alpha) / (self.beta - self.alpha)).clamp(0, 1)
        return (1 - kept) / stretch + kept

    def logits(self, stretch: float, tokens: tuple[int, int], fade: Fade) -> Fade:
        """(0.1 log s + 1)^2."""
        return (0.1 * math.log(stretch) * fade + 1) ** 2 if self.temperature else 1.0
