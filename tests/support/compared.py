"""Two arms compared, with values small enough to work out by hand; and four arms of a simulated study."""

import numpy as np
import pandas as pd

from analysis.stats import Comparison, Rules, compare

ARMS = ("learned", "none", "rope1d", "rope2d")
FAMILY = [(arm, ARMS[0]) for arm in ARMS[1:]]
PAIR = [("b", "a")]
BASE = np.array([10.0, 11.0, 9.5, 10.5, 10.2, 9.8, 10.9])
JITTER = np.array([0.1, -0.1, 0.05, -0.05, 0.08, -0.08, 0.02])
MARGIN = 0.2


def two(a, b, paired=True, margin=MARGIN, **rules) -> Comparison:
    """Compare arm b with arm a."""
    rows = [("a", i, v) for i, v in enumerate(a)] + [("b", i, v) for i, v in enumerate(b)]
    values = pd.DataFrame(rows, columns=["arm", "seed", "value"])
    return compare(values, PAIR, Rules(paired=PAIR if paired else (), margins={"a": margin}, **rules))[0]


def frame(x, arms=ARMS):
    """One study [seed, arm] as a frame."""
    seeds = np.repeat(np.arange(len(x)), len(arms))
    return pd.DataFrame({"arm": list(arms) * len(x), "seed": seeds, "value": np.ravel(x)})
