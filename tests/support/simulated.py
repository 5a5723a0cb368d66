"""Studies with a known truth, many at once: values [study, seed, arm], arm 0 being the reference."""

import numpy as np
import pandas as pd

from analysis.stats.intervals import holm, p_values, paired_contrast, welch_contrast

ARMS = ("learned", "none", "rope1d", "rope2d")
FAMILY = [(arm, ARMS[0]) for arm in ARMS[1:]]
EQUAL = (1.0, 1.0, 1.0, 1.0)
NOISES = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "exponential": lambda rng, shape: rng.exponential(size=shape) - 1,
    "lognormal": lambda rng, shape: rng.lognormal(size=shape) - np.exp(0.5),
}


def draw(seed, studies, seeds, noise="normal", sds=EQUAL, shared=3.0):
    """Values around 100 of four equal arms; `shared` is the SD of what all arms of a seed have in common."""
    rng = np.random.default_rng(seed)
    own = NOISES[noise](rng, (studies, seeds, len(ARMS))) * np.array(sds)
    return 100 + own + shared * rng.normal(size=(studies, seeds, 1))


def contrasts(x, paired):
    """All arms against the reference: a Contrast of [study, 3]."""
    arms = np.moveaxis(x, 1, -1)
    return (paired_contrast if paired else welch_contrast)(arms[:, 1:], arms[:, :1])


def found(x, paired, alpha=0.05):
    """Which arms [study, 3] differ from the reference, as `compare` finds them."""
    return holm(p_values(contrasts(x, paired))) < alpha


def frame(x, arms=ARMS):
    """One study [seed, arm] as a frame."""
    seeds = np.repeat(np.arange(len(x)), len(arms))
    return pd.DataFrame({"arm": list(arms) * len(x), "seed": seeds, "value": np.ravel(x)})
