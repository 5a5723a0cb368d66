"""Statistics of a study: pure functions on numbers and frames; the unit is the training seed.

Numbers only, no words for readers and no store: files here import numpy, pandas, scipy and each other.
"""

from analysis.stats.comparisons import CALLED, Comparison, Rules, compare
from analysis.stats.intervals import Interval, mean_interval
from analysis.stats.looks import levels
from analysis.stats.pairing import pairing_gain
from analysis.stats.power import Needed
from analysis.stats.rankings import kendall_tau, tau_between
from analysis.stats.scaling import at_infinity, spreads
from analysis.stats.verdicts import FEWEST

__all__ = [
    "CALLED",
    "FEWEST",
    "Comparison",
    "Interval",
    "Needed",
    "Rules",
    "at_infinity",
    "compare",
    "kendall_tau",
    "levels",
    "mean_interval",
    "pairing_gain",
    "spreads",
    "tau_between",
]
