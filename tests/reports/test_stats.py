"""Verdicts, and the numbers under them, on values small enough to work out by hand."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from simulated import ARMS, FAMILY, draw, frame
from statsmodels.stats.multitest import multipletests

from analysis.page.verdict_sentences import verdict_sentence
from analysis.stats import alpha_at_look, compare, seeds_needed
from analysis.stats.intervals import holm, sign_flip_p
from rope_dit.errors import UserError

PAIR = [("b", "a")]
BASE = np.array([10.0, 11.0, 9.5, 10.5, 10.2, 9.8, 10.9])
JITTER = np.array([0.1, -0.1, 0.05, -0.05, 0.08, -0.08, 0.02])


def two(a, b, **settings):
    """Compare arm b with arm a."""
    rows = [("a", i, v) for i, v in enumerate(a)] + [("b", i, v) for i, v in enumerate(b)]
    values = pd.DataFrame(rows, columns=["arm", "seed", "value"])
    return compare(values, PAIR, **{"paired": True, "margin": 0.02} | settings)[0]


@pytest.mark.parametrize("shape", [(3,), (5, 4)])
def test_holm_agrees_with_statsmodels(shape):
    raw = np.random.default_rng(1).random(shape) ** 3
    expected = np.apply_along_axis(lambda p: multipletests(p, method="holm")[1], -1, raw)
    np.testing.assert_allclose(holm(raw), expected)


def test_paired_numbers_agree_with_scipy():
    x = draw(2, 1, 7)[0]
    found = compare(frame(x), FAMILY, paired=True, margin=0.02)
    for arm, c in enumerate(found, 1):
        test = scipy.stats.ttest_rel(x[:, arm], x[:, 0])
        span = test.confidence_interval(0.95)
        flips = scipy.stats.permutation_test(
            (x[:, arm] - x[:, 0],), np.mean, permutation_type="samples", n_resamples=math.inf
        )
        numbers = (c.p, c.difference.low, c.difference.high, c.sign_flip_p)
        assert numbers == pytest.approx((test.pvalue, span.low, span.high, flips.pvalue))
        ninety = test.confidence_interval(0.9)
        assert (c.equivalence.low, c.equivalence.high) == pytest.approx((ninety.low, ninety.high))
    assert [c.arm for c in found] == list(ARMS[1:])
    assert [c.p_adjusted for c in found] == pytest.approx(
        multipletests([c.p for c in found], method="holm")[1].tolist()
    )


def test_unpaired_numbers_agree_with_scipy_but_for_stricter_degrees_of_freedom():
    a, b = draw(3, 1, 7)[0, :, 0], draw(4, 1, 5)[0, :, 1]
    c = two(a, b, paired=False)
    test = scipy.stats.ttest_ind(b, a, equal_var=False)
    span = test.confidence_interval(0.95)
    assert (c.difference.low, c.difference.high) == pytest.approx((span.low, span.high))
    assert c.p == pytest.approx(2 * scipy.stats.t.sf(abs(test.statistic), 4))
    assert c.p > test.pvalue
    assert (c.n, c.paired) == (5, False)
    assert math.isnan(c.sign_flip_p)
    assert math.isnan(c.sign_flip_floor)
    assert math.isnan(c.variance_paired)


@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_sign_flips_are_counted_exactly(n):
    d = np.random.default_rng(n).normal(size=n) + 0.5
    signs = np.array(np.meshgrid(*[[-1, 1]] * n)).reshape(n, -1)
    expected = (abs(d @ signs) >= abs(d.sum()) - 1e-12).mean()
    assert sign_flip_p(d) == expected


def test_flips_that_tie_but_for_rounding_count():
    whole = np.array([1.0, 2, 3, -4, 5, 6, -7])
    assert sign_flip_p(whole / 10) == sign_flip_p(whole * 0.7) == sign_flip_p(whole)


def test_sign_flips_of_many_seeds():
    assert sign_flip_p(np.ones(30)) == 2.0**-29
    assert sign_flip_p(np.zeros(7)) == 1
    assert math.isnan(sign_flip_p(np.ones(41)))


def test_floor_of_seven_seeds_and_three_comparisons():
    found = compare(frame(draw(5, 1, 7)[0]), FAMILY, paired=True, margin=0.02)
    assert found[0].sign_flip_floor == pytest.approx(0.047, abs=0.0005)


@pytest.mark.parametrize(
    ("shift", "better", "verdict"),
    [
        (-1.0, "lower", "better"),
        (+1.0, "lower", "worse"),
        (-1.0, "higher", "worse"),
        (+1.0, "higher", "better"),
        (0.005, "lower", "equivalent"),
    ],
)
@pytest.mark.parametrize("paired", [True, False])
def test_verdicts(shift, better, verdict, paired):
    base = BASE if paired else 10 + JITTER
    assert two(base, base[::1] + shift + JITTER / 4, better=better, paired=paired).verdict == verdict


def test_wide_differences_are_inconclusive():
    c = two(BASE, BASE + 20 * JITTER)
    assert c.verdict == "inconclusive"
    assert c.equivalence.low < -c.margin
    assert "about" in verdict_sentence(c, "fd")


def test_equivalence_needs_the_whole_interval_inside_the_margin():
    arm = BASE + 0.15 + JITTER - JITTER.mean()
    c = two(BASE, arm, alpha=0.0001)
    half = c.equivalence.high - c.difference.value
    edge = (c.difference.value + half) / BASE.mean()
    assert two(BASE, arm, alpha=0.0001, margin=edge * 1.001).verdict == "equivalent"
    assert two(BASE, arm, alpha=0.0001, margin=edge * 0.999).verdict == "inconclusive"


def test_margin_is_a_share_of_the_references_mean_over_all_its_seeds():
    assert two(BASE, BASE[:3] + JITTER[:3]).margin == pytest.approx(0.02 * BASE.mean())
    assert two(-BASE, BASE).margin == pytest.approx(0.02 * BASE.mean())


def test_better_but_smaller_than_the_margin_says_so():
    c = two(BASE, BASE - 0.05 + JITTER / 100)
    assert c.verdict == "better"
    assert "smaller than the margin" in verdict_sentence(c, "fd")


def test_one_seed_each_is_inconclusive():
    x = draw(6, 1, 1)[0]
    for paired in (True, False):
        for c in compare(frame(x), FAMILY, paired=paired, margin=0.02):
            assert (c.verdict, c.n, c.seeds_needed) == ("inconclusive", 1, None)
            assert math.isfinite(c.difference.value)
            assert np.isnan([c.difference.low, c.p, c.p_adjusted, c.variance_unpaired]).all()
            assert "1 " in verdict_sentence(c, "fd")


def test_an_arm_without_seeds_keeps_its_place_in_the_family():
    values = frame(draw(7, 1, 7)[0, :, :3] - [0, 3, 0], ARMS[:3])
    there = compare(values, FAMILY[:2], paired=True, margin=0.02)
    with_third = compare(values, FAMILY, paired=True, margin=0.02)
    assert there[0].p < there[1].p
    assert there[0].p_adjusted == pytest.approx(2 * there[0].p)
    assert with_third[0].p_adjusted == pytest.approx(3 * there[0].p)
    assert (with_third[2].verdict, with_third[2].n) == ("inconclusive", 0)
    assert math.isnan(with_third[2].difference.value)


def test_a_reference_without_seeds_gives_no_margin():
    values = pd.DataFrame({"arm": ["b", "b"], "seed": [0, 1], "value": [1.0, 2.0]})
    for paired in (True, False):
        (c,) = compare(values, PAIR, paired=paired, margin=0.02)
        assert (c.verdict, c.n) == ("inconclusive", 0)
        assert math.isnan(c.margin)


def test_pairs_are_common_seeds_whatever_the_order_of_rows():
    rows = [("a", 0, 1.0), ("a", 1, 5.0), ("a", 2, 2.0), ("b", 2, 2.5), ("b", 0, 1.7), ("b", 9, 100.0)]
    values = pd.DataFrame(rows, columns=["arm", "seed", "value"])
    (c,) = compare(values, PAIR, paired=True, margin=0.02)
    assert c.n == 2
    assert c.difference.value == pytest.approx(0.6)
    assert compare(values[::-1], PAIR, paired=True, margin=0.02) == [c]


@pytest.mark.parametrize("paired", [True, False])
def test_order_of_rows_changes_no_bit(paired):
    values = frame(draw(12, 1, 10)[0])
    shuffled = values.sample(frac=1, random_state=np.random.default_rng(1))
    settings = {"paired": paired, "margin": 0.02}
    assert repr(compare(values, FAMILY, **settings)) == repr(compare(shuffled, FAMILY, **settings))


def test_a_diverging_arm_is_not_better_and_nothing_is_worse_than_it():
    arm = BASE - 1 + JITTER / 4
    lost = two(BASE, arm, diverged={"b": 1})
    assert (lost.verdict, lost.diverged) == ("inconclusive", 1)
    assert "1 seed of b diverged" in verdict_sentence(lost, "fd")
    assert "neither better" in verdict_sentence(lost, "fd")
    assert two(BASE, arm, diverged={"a": 2}).verdict == "better"
    assert two(arm, BASE, diverged={"a": 2}).verdict == "inconclusive"
    assert two(arm, BASE, diverged={"b": 2}).verdict == "worse"


@pytest.mark.parametrize("who", ["a", "b"])
def test_an_arm_that_diverges_is_not_equivalent(who):
    arm = BASE + JITTER / 4
    assert two(BASE, arm).verdict == "equivalent"
    c = two(BASE, arm, diverged={who: 2})
    assert c.verdict == "inconclusive"
    assert f"2 seeds of {who} diverged" in verdict_sentence(c, "fd")


def test_one_model_under_two_names_does_not_count_in_the_family():
    x = draw(8, 1, 7)[0]
    x[:, 1] = x[:, 0]
    found = compare(frame(x), FAMILY, paired=True, margin=0.02, same=[frozenset(ARMS[:2])])
    without = compare(frame(x), FAMILY[1:], paired=True, margin=0.02)
    assert found[0].verdict == "same model"
    assert math.isnan(found[0].p_adjusted)
    assert found[1:] == without
    assert "same model" in verdict_sentence(found[0], "fd")


def test_equal_scores_have_no_difference():
    for paired in (True, False):
        c = two([5.0, 5.0, 5.0], [5.0, 5.0, 5.0], paired=paired)
        assert (c.p, c.difference.low, c.difference.high, c.verdict) == (1, 0, 0, "equivalent")
    c = two(BASE, BASE)
    assert (c.p, c.sign_flip_p, c.seeds_needed, c.verdict) == (1, 1, None, "equivalent")
    assert "no different" in verdict_sentence(c, "fd")


@pytest.mark.parametrize("size", [0.7, 1e-3])
def test_constant_differences_are_worth_as_much_as_their_signs(size):
    for n, verdict in ((2, "inconclusive"), (5, "inconclusive"), (7, "worse")):
        base = BASE[:n] ** 3 / 7  # of sizes that round the differences to unequal last digits
        c = two(base, base + size, margin=0.0)
        assert (c.p, c.verdict) == (2.0 ** (1 - n), verdict)
        assert math.isnan(c.difference.low) == (2.0 ** (1 - n) > 0.05)
        verdict_sentence(c, "fd")
    unpaired = two([1.0, 1.0], [2.0, 2.0], paired=False)
    assert unpaired.p == pytest.approx(2 / 6)
    assert unpaired.verdict == "inconclusive"


def test_later_looks_are_stricter_and_say_so():
    arm = BASE - 1 + JITTER
    first, second = two(BASE, arm), two(BASE, arm, looks=2)
    assert (first.alpha, second.alpha, second.looks) == (0.05, 0.005, 2)
    assert second.p == first.p
    assert second.difference.low < first.difference.low
    assert second.equivalence.low < first.equivalence.low
    assert "look 2" in verdict_sentence(second, "fd")
    assert "look" not in verdict_sentence(first, "fd")
    between = two(BASE, BASE - 0.2 + 2 * JITTER, looks=2)
    assert between.alpha < between.p_adjusted < 0.05
    assert between.verdict == "inconclusive"


def test_all_looks_together_spend_at_most_a_fifth_more():
    assert sum(alpha_at_look(0.05, looks) for looks in range(1, 60)) <= 0.06


@pytest.mark.parametrize("variances", [(1.0, 0.0), (1.0, 1.0), (9.0, 1.0), (1e4, 0.0)])
def test_seeds_needed_is_the_first_number_that_reaches_the_margin(variances):
    total = sum(variances)
    shape = total**2 / sum(v * v for v in variances)

    def half(n):
        return scipy.stats.t.ppf(0.975, shape * (n - 1)) * math.sqrt(total / n)

    for margin in (0.3, 1.0, 3.0, 100.0):
        n = seeds_needed(variances, margin)
        assert half(n) <= margin
        assert n == 2 or half(n - 1) > margin


@pytest.mark.parametrize(
    ("variances", "margin"),
    [
        ((0.0, 0.0), 1.0),
        ((math.nan, 0.0), 1.0),
        ((1.0, 0.0), 0.0),
        ((1.0, 0.0), 1e-300),
        ((1.0, 0.0), math.nan),
    ],
)
def test_seeds_needed_is_none_where_nothing_can_be_said(variances, margin):
    assert seeds_needed(variances, margin) is None


@pytest.mark.parametrize("paired", [True, False])
def test_seeds_needed_does_not_move_with_the_difference(paired):
    near, far = (two(BASE, BASE + shift + 5 * JITTER, paired=paired) for shift in (0.0, 3.0))
    assert near.seeds_needed == far.seeds_needed > 2


def test_pairing_gains_what_the_seeds_share():
    x = draw(9, 1, 400, shared=3.0)[0]
    c = compare(frame(x), FAMILY, paired=True, margin=0.02)[0]
    assert c.variance_paired * 400 == pytest.approx(2, rel=0.2)
    assert c.variance_unpaired * 400 == pytest.approx(20, rel=0.2)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_not_finite_are_refused_by_row(value):
    with pytest.raises(UserError, match="finite") as refused:
        two([1.0, 2.0], [1.0, value])
    assert refused.value.details == (f"arm b, seed 1: {value}",)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"better": "lowest"}, "Did you mean 'lower'"),
        ({"margin": -0.1}, "margin"),
        ({"margin": math.nan}, "margin"),
        ({"alpha": 0.0}, "alpha"),
        ({"alpha": 5.0}, "alpha"),
        ({"looks": 0}, "looks"),
    ],
)
def test_settings_out_of_range_are_refused(change, text):
    with pytest.raises(UserError, match=text):
        two(BASE, BASE, **change)


def test_rows_that_come_twice_and_missing_columns_are_refused():
    values = frame(draw(10, 1, 3)[0])
    with pytest.raises(UserError, match="come again"):
        compare(pd.concat([values, values[:1].assign(value=3.0)]), FAMILY, paired=True, margin=0.02)
    with pytest.raises(UserError, match="missing: seed"):
        compare(values.drop(columns="seed"), FAMILY, paired=True, margin=0.02)
    with pytest.raises(UserError, match="with itself"):
        compare(values, [("none", "none")], paired=True, margin=0.02)


def test_sentences_name_the_numbers():
    c = two(BASE, BASE - 1 + JITTER)
    assert verdict_sentence(c, "fd_digits") == (
        "b is better than a: fd_digits 0.997 lower (95 % interval of the difference -1.07 to -0.923, "
        "7 paired seeds, adjusted p < 0.001)."
    )
    worse = replace(c, verdict="worse", difference=replace(c.difference, value=1234.5, low=0.0123))
    assert "1230 higher" in verdict_sentence(worse, "fd")
    assert "0.0123 to" in verdict_sentence(worse, "fd")


def test_no_comparison_gives_no_verdict():
    assert compare(frame(draw(11, 1, 3)[0]), [], paired=True, margin=0.02) == []
