"""What pairing was worth: its interval covers the truth, which is known here."""

import math

import numpy as np
import pytest
from scipy import special, stats

from analysis.stats import pairing_gain


def gains(n, correlation, spread, draws=1500):
    """Gains of studies of two normal arms, and the true one."""
    rng = np.random.default_rng(n)
    one, two = rng.normal(size=(2, draws, n))
    other = spread * (correlation * one + math.sqrt(1 - correlation**2) * two)
    unpaired = (one.var(-1, ddof=1) + other.var(-1, ddof=1)) / n
    paired = (one - other).var(-1, ddof=1) / n
    lost = (special.stdtrit(2 * n - 2, 0.975) / special.stdtrit(n - 1, 0.975)) ** 2
    truth = lost * (1 + spread**2) / (1 + spread**2 - 2 * correlation * spread)
    return [pairing_gain(a, b, n) for a, b in zip(unpaired, paired, strict=True)], truth


@pytest.mark.parametrize(("spread", "least", "most"), [(1, 0.93, 0.97), (3, 0.95, 1.0)])
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("n", [2, 3, 7])
def test_the_interval_covers_the_true_gain(n, correlation, spread, least, most):
    found, truth = gains(n, correlation, spread)
    assert least <= np.mean([gain.low < truth < gain.high for gain in found]) <= most


def test_arms_that_share_nothing_are_seldom_said_to_gain():
    for n in (3, 7):
        found, _ = gains(n, 0.0, 1.0)
        assert np.mean([gain.low > 1 for gain in found]) < 0.025


def test_the_gain_is_what_the_widths_of_both_intervals_say():
    one, other = np.array([1.0, 2.0, 4.0, 3.5]), np.array([1.5, 2.2, 4.4, 3.0])
    gain = pairing_gain((one.var(ddof=1) + other.var(ddof=1)) / 4, (one - other).var(ddof=1) / 4, 4)
    alone = stats.ttest_ind(one, other).confidence_interval()
    pairs = stats.ttest_rel(one, other).confidence_interval()
    assert gain.value == pytest.approx(((alone.high - alone.low) / (pairs.high - pairs.low)) ** 2)
    assert gain.low < gain.value < gain.high


@pytest.mark.parametrize(("unpaired", "paired", "n"), [(1.0, 0.5, 1), (1.0, 0.0, 5), (1.0, math.nan, 5)])
def test_what_cannot_be_had_is_nan(unpaired, paired, n):
    gain = pairing_gain(unpaired, paired, n)
    assert all(math.isnan(number) for number in (gain.value, gain.low, gain.high))
