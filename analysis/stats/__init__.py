"""Statistics of a study: pure functions on numbers and frames. The unit is the training seed.

What this module gives stands in files by idea: `intervals` (means and differences), `comparisons` (verdicts),
`planning` (looks and seeds), `scaling` (exploratory: rankings, infinity, spreads), `verdicts` (words).
"""

from analysis.page.verdicts import verdict_sentence
from analysis.stats.comparisons import Comparison, compare
from analysis.stats.intervals import Interval, mean_interval
from analysis.stats.looks import alpha_at_look, seeds_needed
from analysis.stats.scaling import at_infinity, kendall_tau, spreads

__all__ = [
    "Comparison",
    "Interval",
    "alpha_at_look",
    "at_infinity",
    "compare",
    "kendall_tau",
    "mean_interval",
    "seeds_needed",
    "spreads",
    "verdict_sentence",
]
