"""Statistics of a study: pure functions on numbers and frames; the unit is the training seed.

Numbers only, no words for readers and no store: files here import numpy, pandas, scipy and each other.
"""

from analysis.stats.comparisons import Comparison, compare
from analysis.stats.intervals import Interval, mean_interval
from analysis.stats.looks import alpha_at_look, seeds_needed
from analysis.stats.pairing import pairing_gain
from analysis.stats.scaling import at_infinity, kendall_tau, spreads

__all__ = [
    "Comparison",
    "Interval",
    "alpha_at_look",
    "at_infinity",
    "compare",
    "kendall_tau",
    "mean_interval",
    "pairing_gain",
    "seeds_needed",
    "spreads",
]
