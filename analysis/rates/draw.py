"""Studies with a known truth, many at once: values [study, seed, arm], arm 0 being the reference."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from analysis.stats.intervals import Array, Contrast, paired_contrast, welch_contrast

EQUAL = (1.0, 1.0, 1.0, 1.0)
Bools = npt.NDArray[np.bool_]
NOISES: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Array]] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "exponential": lambda rng, shape: rng.exponential(size=shape) - 1,
    "lognormal": lambda rng, shape: (rng.lognormal(size=shape) - np.exp(0.5)) / np.sqrt(np.e * (np.e - 1)),
    "t3": lambda rng, shape: rng.standard_t(3, size=shape) / np.sqrt(3),
}
"""what differs between the seeds of an arm: mean 0 and SD 1; the skewed ones have rare high values"""


def draw(
    seed: int,
    studies: int,
    seeds: int,
    noise: str = "normal",
    sds: Sequence[float] = EQUAL,
    shared: float = 3.0,
    truth: Sequence[float] | float = 0.0,
) -> Array:
    """Values around 100.

    Args:
        seed: of the draw.
        studies, seeds: how many.
        noise: one of NOISES.
        sds: standard deviation of each arm over seeds, the reference first.
        shared: SD of what all arms of a seed have in common.
        truth: difference of the arms to the reference, [k - 1].
    """
    rng = np.random.default_rng(seed)
    x: Array = NOISES[noise](rng, (studies, seeds, len(sds))) * np.array(sds)
    x += 100 + shared * rng.normal(size=(studies, seeds, 1))
    x[..., 1:] += truth
    return x


def pair_sds(sds: Sequence[float]) -> Array:
    """Standard deviation [k - 1] of one seed's difference of each arm to the reference."""
    pairs: Array = np.hypot(np.array(sds[1:]), sds[0])
    return pairs


def contrasts(x: Array, paired: bool = True) -> Contrast:
    """All arms against the reference: a Contrast of [study, k - 1]."""
    arms = np.moveaxis(x, 1, -1)
    return (paired_contrast if paired else welch_contrast)(arms[:, 1:], arms[:, :1])
