"""How often verdicts and intervals are wrong and what they find, on simulated studies whose truth is known.

Bounds have room for three standard errors of what is measured. docs/rates.md has the whole table.
"""

import math

import numpy as np
import pytest

from analysis.rates import (
    after,
    before,
    coverage,
    differences,
    equivalence,
    growth,
    missing,
    mixtures,
    needed,
)
from analysis.rates.draw import EQUAL, contrasts, draw, pair_sds
from analysis.stats import sign_flips

SEED = 20240501
MANY = 5000  # standard error of a rate of 5 %: 0.3 %
SEEDS = (3, 5, 7, 10)
UNIT = math.sqrt(2)  # of a seed's difference between arms of SD 1
SPREADS = list(differences.SPREADS.values())
IDS = list(differences.SPREADS)


def any_side(verdict):
    """Share of studies with any better or worse."""
    return np.isin(verdict, (-1, 1)).any(-1).mean()


@pytest.mark.parametrize("n", SEEDS)
@pytest.mark.parametrize("sds", SPREADS, ids=IDS)
@pytest.mark.parametrize("noise", ["normal", pytest.param("t3", marks=pytest.mark.slow)])
@pytest.mark.parametrize("paired", [True, False], ids=["paired", "welch"])
def test_equal_arms_are_seldom_called_better_or_worse(paired, noise, sds, n):
    x = draw(SEED, MANY, n, noise, sds, shared=3.0 if paired else 0.0)
    assert any_side(after.judge(x, 0.0, paired=paired).verdict) <= 0.055


@pytest.mark.parametrize("n", SEEDS)
@pytest.mark.parametrize("noise", ["lognormal", "exponential"])
def test_equal_arms_of_skewed_scores_are_seldom_called_better_or_worse(noise, n):
    assert any_side(after.judge(draw(SEED, MANY, n, noise), 0.0).verdict) <= 0.055


@pytest.mark.parametrize("n", SEEDS)
@pytest.mark.parametrize("sds", SPREADS[1:], ids=IDS[1:])
def test_unequal_skew_misleads_much_less_than_by_t_alone(sds, n):
    x = draw(SEED, MANY, n, "lognormal", sds)
    assert any_side(after.judge(x, 0.0).verdict) <= min(0.13, 0.9 * any_side(before.judge(x, 0.0)))


def test_t_alone_would_be_misled():
    x = draw(SEED, MANY, 7, "lognormal", (1, 3, 3, 3))
    assert any_side(before.judge(x, 0.0)) > 0.16


@pytest.mark.parametrize(
    ("effect", "n", "least"),
    [(1, 7, 0.2), (1, 10, 0.47), (2, 5, 0.5), (2, 7, 0.78), (2, 10, 0.94), (4, 5, 0.88), (4, 7, 0.95)],
)
@pytest.mark.parametrize("sds", [EQUAL, (1, 3, 1, 1)], ids=["equal", "x3"])
def test_an_arm_that_is_better_is_found(sds, effect, n, least):
    unit = pair_sds(sds)[0]
    x = draw(SEED, MANY, n, sds=sds, truth=(-effect * unit, 0, 0))
    assert (after.judge(x, unit / 2).verdict[:, 0] == -1).mean() >= least


@pytest.mark.parametrize("side", equivalence.SIDES)
@pytest.mark.parametrize("errors", [2.0, pytest.param(4.0, marks=pytest.mark.slow), 10.0])
@pytest.mark.parametrize("n", SEEDS)
@pytest.mark.parametrize(
    ("noise", "sds"),
    [
        ("normal", equivalence.SPREADS["equal"]),
        ("normal", equivalence.SPREADS["the arms x3"]),
        ("normal", equivalence.SPREADS["the baseline x3"]),
        ("exponential", equivalence.SPREADS["equal"]),
        ("lognormal", equivalence.SPREADS["equal"]),
    ],
)
def test_arms_at_the_margin_are_seldom_called_equivalent(noise, sds, n, errors, side):
    def rule(x, margin):
        return after.judge(x, margin).verdict

    assert equivalence.called_equivalent(SEED, 2000, n, noise, sds, errors, side, rule) <= 0.06


def test_arms_at_the_margin_were_often_called_equivalent():
    share = equivalence.called_equivalent(SEED, MANY, 7, "normal", (1,) * 5, 2.0, "either", before.judge)
    assert share > 0.13


def test_arms_that_do_not_differ_are_found_equivalent():
    x = draw(SEED, MANY, 7, sds=(1,) * 5)
    assert (after.judge(x, 2 * UNIT).verdict == 0).mean() >= 0.84


MIXED = [
    ("null", "null", "far"),
    ("null", "far", "far"),
    ("margin", "far"),
    ("margin", "far", "far", "far"),
    ("margin", "margin", "far", "far", "far"),
    ("null", "margin", "2 SD"),
    ("null", "margin", "1 SD", "4 SD", "far", "far"),
    ("margin",) * 6,
]


@pytest.mark.parametrize("errors", [1.5, 3.0])
@pytest.mark.parametrize("n", SEEDS)
@pytest.mark.parametrize("kinds", MIXED, ids="-".join)
def test_any_verdict_is_seldom_false_in_mixed_studies(kinds, n, errors):
    mixture = mixtures.Mixture(kinds, errors, either=True)
    assert mixtures.false_verdicts(SEED, MANY, n, mixture, ("after",))["after"] <= 0.06


def test_two_families_side_by_side_would_not_hold():
    mixture = mixtures.Mixture(("null", "margin"), 4.0, either=False)
    assert mixtures.false_verdicts(SEED, MANY, 7, mixture, ("separate",))["separate"] > 0.07


@pytest.mark.parametrize("truth", ["no difference", "margin"])
@pytest.mark.parametrize("spread", [1.0, 3.0])
@pytest.mark.parametrize(("looks", "most"), [*zip(growth.LOOKS[1:], (0.055, 0.06, 0.06), strict=True)])
def test_a_study_is_seldom_wrong_at_any_look(looks, most, spread, truth):
    sds = (1.0, *[spread] * max(looks.arms))
    unit = pair_sds(sds)
    margin, apart = (0 * unit, 0 * unit) if truth == "no difference" else (1.5 * unit, 1.5 * unit)
    x = draw(SEED, MANY, looks.seeds[-1], sds=sds, truth=tuple(apart))
    verdicts = growth.seen(looks, x, margin, growth.after_rule, looks.levels)
    wrong = np.isin(verdicts, (-1, 1)) if truth == "no difference" else verdicts == 0
    assert wrong.any((0, 2)).mean() <= most


@pytest.mark.parametrize("looks", growth.LOOKS[1:3])
def test_looks_that_all_took_five_percent_would_not_hold(looks):
    x = draw(SEED, MANY, looks.seeds[-1])
    verdicts = growth.seen(looks, x, np.zeros(3), growth.after_rule, [0.05] * len(looks.seeds))
    assert np.isin(verdicts, (-1, 1)).any((0, 2)).mean() > 0.06


def test_planned_looks_cost_little_of_what_is_found():
    once, thrice = growth.LOOKS[:2]
    x = draw(SEED, MANY, 7, truth=(-2 * UNIT, 0, 0))
    shares = [
        (growth.staying(growth.seen(looks, x, np.full(3, UNIT), growth.after_rule, looks.levels)) == -1)[
            :, 0
        ].mean()
        for looks in (once, thrice)
    ]
    assert shares[1] >= 0.95 * shares[0] > 0.7


def test_a_verdict_that_is_reached_stays():
    verdicts = np.array([[[np.nan, -1.0]], [[1.0, np.nan]], [[-1.0, 0.0]]])
    assert growth.staying(verdicts).tolist() == [[1.0, -1.0]]
    assert growth.taken_back(verdicts) == 1.0
    assert growth.taken_back(verdicts[[0, 0]]) == 0.0


@pytest.mark.parametrize("name", ["equal", "one arm x3", "the baseline x3"])
@pytest.mark.parametrize("n", SEEDS)
@pytest.mark.parametrize("paired", [True, False], ids=["paired", "welch"])
def test_intervals_of_differences_cover_the_truth(paired, n, name):
    x = draw(SEED, MANY, n, sds=differences.SPREADS[name], shared=3.0 if paired else 0.0)
    assert 0.935 <= coverage.covered(contrasts(x[..., :2], paired), 0.0) <= 0.97


@pytest.mark.parametrize(("noise", "low", "high"), [("normal", 0.94, 0.96), ("lognormal", 0.75, 0.88)])
@pytest.mark.parametrize("n", SEEDS)
def test_intervals_of_means_cover_the_truth_of_normal_values_only(n, noise, low, high):
    assert low <= coverage.covered(coverage.mean(noise, MANY, n), 0.0) <= high


def test_ninety_percent_intervals_cover_ninety_percent():
    x = draw(SEED, MANY, 5)
    assert coverage.covered(contrasts(x[..., :2]), 0.0, 0.9) == pytest.approx(0.9, abs=0.013)


@pytest.mark.parametrize("reference", [False, True], ids=["arm", "reference"])
@pytest.mark.parametrize(("n", "lost"), [(5, 1), (7, 2)])
def test_failed_seeds_flatter_no_arm(n, lost, reference):
    x = draw(SEED, 2000, n, shared=0.0)
    old, new = missing.judge_both(x, lost, reference)
    wrong, own = (1 if reference else -1), slice(None) if reference else slice(0, 1)
    assert (old[:, own] == wrong).any(-1).mean() > 0.018
    assert not (new[:, own] == wrong).any()
    assert not (new[:, own] == 0).any()
    assert (new[:, 1:] == 0).any() != reference


@pytest.mark.parametrize("size", [pytest.param(0.75, marks=pytest.mark.slow), 1.0, 1.5, 2.0])
def test_the_seeds_that_equivalence_needs_buy_it(size):
    n = needed.seeds_for(size, True)
    assert needed.reached(2000, n, size, True)[0] == pytest.approx(0.8, abs=0.045)


@pytest.mark.parametrize("size", [pytest.param(0.75, marks=pytest.mark.slow), 1.0])
def test_the_seeds_that_a_difference_needs_buy_it(size):
    n = needed.seeds_for(size, False)
    found, by_t = needed.reached(2000, n, size, False)
    assert found == pytest.approx(0.8, abs=0.05)
    assert by_t == pytest.approx(0.82, abs=0.04)


def test_sign_flips_alone_hold_for_symmetric_values_and_not_for_skewed_ones():
    """They are a companion: they do not make a skewed sample safe."""
    shares = {}
    for noise in ("t3", "lognormal"):
        arms = np.moveaxis(draw(SEED, MANY, 7, noise, (1, 3)), 1, -1)
        shares[noise] = (sign_flips.sign_flip_ps(arms[:, 1:] - arms[:, :1]) < 0.05).mean()
    assert shares["t3"] <= 0.055
    assert shares["lognormal"] > 0.08
