"""Position interpolation: larger grids are squeezed into the trained range."""

from typing import Literal

from rope_dit.extrapolations.base import Extrapolation, Fade
from rope_dit.registry import EXTRAPOLATIONS


@EXTRAPOLATIONS.register("pi")
class Interpolation(Extrapolation):
    """Position interpolation: coordinates of an axis that is s times longer are divided by s.

    A step between tokens becomes 1/s of the trained one, for every variant that uses coordinates; those that
    number tokens have the number divided, by s of all tokens. `axes=separate` takes s of each axis, `joint`
    the larger of both for both (which keeps steps down and right equally long). With `dype`: s^kappa.

    Source: Chen et al., position interpolation, arXiv:2306.15595, eq. 4.

    On an axis twice as long the last of 8 places, 7, becomes 3.5.

    >>> 7 * Interpolation().squeeze(2.0, 1.0)
    3.5
    """

    acts_on = "coordinates"

    def __init__(self, *, axes: Literal["separate", "joint"] = "separate"):
        self.axes = axes

    def squeeze(self, stretch: float, fade: Fade) -> Fade:
        """1/s, or s to the power of minus the share that acts."""
        squeezed: Fade = stretch**-fade
        return squeezed
