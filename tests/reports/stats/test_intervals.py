"""Means with their intervals, against scipy."""

import math

import numpy as np
import pytest
import scipy.stats

from analysis.stats import mean_interval
from rope_dit.errors import UserError


def test_mean_interval():
    found = mean_interval([1.0, 2.0, 4.0])
    low, high = scipy.stats.t.interval(0.95, 2, np.mean([1, 2, 4]), scipy.stats.sem([1, 2, 4]))
    assert (found.value, found.low, found.high, found.n) == pytest.approx((7 / 3, low, high, 3))
    one = mean_interval([3.0])
    assert (one.value, one.n, math.isnan(one.low), math.isnan(one.high)) == (3, 1, True, True)
    assert mean_interval([3.0, 3.0]).low == 3
    assert mean_interval([1.0, 2.0, 4.0], 0.5).low > found.low


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_means_of_nothing_or_nan_are_refused(values):
    with pytest.raises(UserError, match="finite"):
        mean_interval(values)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_levels_outside_0_to_1_are_refused(level):
    with pytest.raises(UserError, match="level"):
        mean_interval([1.0, 2.0], level)
