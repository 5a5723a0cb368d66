"""Two arms compared, with values small enough to work out by hand."""

import numpy as np
import pandas as pd

from analysis.stats import Comparison, Rules, compare

PAIR = [("b", "a")]
BASE = np.array([10.0, 11.0, 9.5, 10.5, 10.2, 9.8, 10.9])
JITTER = np.array([0.1, -0.1, 0.05, -0.05, 0.08, -0.08, 0.02])
MARGIN = 0.2


def two(a, b, paired=True, margin=MARGIN, **rules) -> Comparison:
    """Compare arm b with arm a."""
    rows = [("a", i, v) for i, v in enumerate(a)] + [("b", i, v) for i, v in enumerate(b)]
    values = pd.DataFrame(rows, columns=["arm", "seed", "value"])
    return compare(values, PAIR, Rules(paired=PAIR if paired else (), margins={"a": margin}, **rules))[0]
