"""Simulated studies as frames, as `compare` takes them."""

import numpy as np
import pandas as pd

from analysis.rates.draw import draw  # noqa: F401  for tests, beside `frame`

ARMS = ("learned", "none", "rope1d", "rope2d")
FAMILY = [(arm, ARMS[0]) for arm in ARMS[1:]]


def frame(x, arms=ARMS):
    """One study [seed, arm] as a frame."""
    seeds = np.repeat(np.arange(len(x)), len(arms))
    return pd.DataFrame({"arm": list(arms) * len(x), "seed": seeds, "value": np.ravel(x)})
