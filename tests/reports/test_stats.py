"""Verdicts, and the numbers under them, on values small enough to work out by hand."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from compared import ARMS, BASE, FAMILY, JITTER, MARGIN, PAIR, frame, two
from statsmodels.stats.multitest import multipletests

from analysis.rates.draw import draw
from analysis.stats import Rules, compare
from analysis.stats.intervals import holm
from rope_dit.errors import UserError


def family(values, pairs=FAMILY, paired=True, margin=MARGIN, explored=(), **rules):
    """Compare the arms with the first one."""
    paired = [*pairs, *explored] if paired else ()
    return compare(values, pairs, Rules(paired=paired, margins={ARMS[0]: margin}, **rules), explored)


@pytest.mark.parametrize("shape", [(3,), (5, 4)])
def test_holm_agrees_with_statsmodels(shape):
    raw = np.random.default_rng(1).random(shape) ** 3
    expected = np.apply_along_axis(lambda p: multipletests(p, method="holm")[1], -1, raw)
    np.testing.assert_allclose(holm(raw), expected)


def test_paired_numbers_agree_with_scipy():
    x = draw(2, 1, 7)[0]
    found = family(frame(x), margin=0.0)
    for arm, c in enumerate(found, 1):
        test = scipy.stats.ttest_rel(x[:, arm], x[:, 0])
        span = test.confidence_interval(0.95)
        assert (c.p, c.difference.low, c.difference.high) == pytest.approx((test.pvalue, span.low, span.high))
        assert c.median == np.median(x[:, arm] - x[:, 0])
        shared = test.confidence_interval(1 - 2 * 0.05 / 3)
        assert (c.equivalence.low, c.equivalence.high) == pytest.approx((shared.low, shared.high))
    flips = [
        scipy.stats.permutation_test(
            (x[:, arm] - x[:, 0],), np.mean, permutation_type="samples", n_resamples=math.inf
        ).pvalue
        for arm in (1, 2, 3)
    ]
    assert [c.arm for c in found] == list(ARMS[1:])
    for raw, made in (([c.p for c in found], "p_difference"), (flips, "sign_flip_p")):
        adjusted = multipletests(raw, method="holm")[1].tolist()
        assert [getattr(c, made) for c in found] == pytest.approx(adjusted)


def test_two_one_sided_tests_agree_with_scipy():
    d = 0.02 + np.array([-0.06, -0.03, -0.01, 0.0, 0.01, 0.03, 0.06])  # without skewness
    c = two(BASE, BASE + d)
    sides = [
        scipy.stats.ttest_1samp(d, bound, alternative=way).pvalue
        for bound, way in ((-MARGIN, "greater"), (MARGIN, "less"))
    ]
    assert c.verdict == "equivalent"
    assert c.p_inside == pytest.approx(max(sides))


def test_unpaired_numbers_agree_with_scipy_but_for_stricter_degrees_of_freedom():
    a, b = draw(3, 1, 7)[0, :, 0], draw(4, 1, 5)[0, :, 1]
    c = two(a, b, paired=False)
    test = scipy.stats.ttest_ind(b, a, equal_var=False)
    span = test.confidence_interval(0.95)
    assert (c.difference.low, c.difference.high) == pytest.approx((span.low, span.high))
    assert c.p == pytest.approx(2 * scipy.stats.t.sf(abs(test.statistic), 4))
    assert c.p > test.pvalue
    assert (c.n, c.paired, c.median) == (5, False, np.median(b) - np.median(a))
    assert np.isnan([c.sign_flip_p, c.sign_flip_floor]).all()


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
    c = two(base, base + shift + JITTER / 4, better=better, paired=paired)
    assert (c.verdict, c.by_more, c.fragile) == (verdict, abs(shift) == 1, "")


def test_wide_differences_are_inconclusive_and_say_what_a_verdict_needs():
    c = two(BASE, BASE + 20 * JITTER)
    assert c.verdict == "inconclusive"
    assert c.equivalence.low < -c.margin
    assert c.for_equivalence.low < c.for_equivalence.seeds < c.for_equivalence.high
    assert c.for_difference.seeds > 7
    assert two(BASE, BASE + 3).for_equivalence is None


def test_a_difference_inside_the_margin_is_equivalent_though_it_is_sure():
    c = two(BASE, BASE - 0.05 + JITTER / 100)
    assert c.p_difference < 0.001
    assert (c.verdict, c.by_more) == ("equivalent", False)


def test_better_but_perhaps_by_less_than_the_margin():
    c = two(BASE, BASE - 0.25 + 0.7 * JITTER)
    assert (c.verdict, c.by_more) == ("better", False)
    assert c.p_beyond > 0.05 > c.p_difference


def test_an_arm_beyond_the_margin_leaves_its_share_of_the_level_to_the_others():
    x = draw(8, 1, 7)[0] + np.array([0, 0, 0, 500.0])
    alone, beside = family(frame(x[:, :3], ARMS[:3]), FAMILY[:2]), family(frame(x))
    assert beside[2].by_more
    assert [c.p_difference for c in beside[:2]] == pytest.approx([c.p_difference for c in alone], rel=1e-3)
    x[:, 3] -= 500
    assert all(c.p_difference == pytest.approx(min(1, 3 * c.p)) for c in family(frame(x), margin=50.0))


def test_what_rests_on_normality_is_not_called():
    d = np.array([-1.0, -1.1, -0.9, -1.05, -0.95, -1.0, 0.15])  # six seeds agree, the seventh does not
    c = two(BASE, BASE + d)
    assert c.p_difference < 0.05
    assert (c.verdict, c.fragile) == ("inconclusive", "better")
    skewed = np.array([-2.0, -1.9, -2.1, -1.95, -2.05, -1.8, -0.05])
    c = two(BASE, BASE + skewed)
    assert c.sign_flip_p < 0.05 < c.p_skewed
    assert (c.verdict, c.fragile) == ("inconclusive", "better")


def test_below_three_seeds_there_is_no_verdict():
    for n, verdict in ((2, "inconclusive"), (3, "better")):
        c = two(BASE[:n], BASE[:n] - 50 + JITTER[:n] / 1000)
        assert (c.verdict, c.p_difference < 0.05) == (verdict, True)


def test_one_seed_each_is_inconclusive():
    x = draw(6, 1, 1)[0]
    for paired in (True, False):
        for c in family(frame(x), paired=paired):
            assert (c.verdict, c.n, c.for_equivalence) == ("inconclusive", 1, None)
            assert math.isfinite(c.difference.value)
            assert np.isnan([c.difference.low, c.p, c.p_difference, c.spread_ratio]).all()


def test_an_arm_without_seeds_keeps_its_place_in_the_family():
    values = frame(draw(7, 1, 7)[0, :, :3] - [0, 3, 0], ARMS[:3])
    found = family(values, margin=0.0)
    assert found[0].p_difference == pytest.approx(3 * found[0].p)
    assert (found[2].verdict, found[2].n) == ("inconclusive", 0)
    assert math.isnan(found[2].difference.value)
    assert math.isnan(found[2].p_difference)


def test_a_reference_without_seeds_gives_no_verdict():
    values = pd.DataFrame({"arm": ["b", "b"], "seed": [0, 1], "value": [1.0, 2.0]})
    for paired in (PAIR, ()):
        (c,) = compare(values, PAIR, Rules(paired=paired, margins={"a": math.nan}))
        assert (c.verdict, c.n) == ("inconclusive", 0)


def test_without_a_margin_nothing_is_equivalent():
    assert two(BASE, BASE + JITTER / 100, margin=math.nan).verdict == "inconclusive"
    assert two(BASE, BASE - 1 + JITTER / 4, margin=math.nan).verdict == "better"


def test_pairs_are_common_seeds_whatever_the_order_of_rows():
    rows = [("a", 0, 1.0), ("a", 1, 5.0), ("a", 2, 2.0), ("b", 2, 2.5), ("b", 0, 1.7), ("b", 9, 100.0)]
    values = pd.DataFrame(rows, columns=["arm", "seed", "value"])
    rules = Rules(paired=PAIR, margins={"a": 0.1})
    (c,) = compare(values, PAIR, rules)
    assert c.n == 2
    assert c.difference.value == pytest.approx(0.6)
    assert repr(compare(values[::-1], PAIR, rules)) == repr([c])


@pytest.mark.parametrize("paired", [True, False])
def test_order_of_rows_changes_no_bit(paired):
    values = frame(draw(12, 1, 10)[0])
    shuffled = values.sample(frac=1, random_state=np.random.default_rng(1))
    assert repr(family(values, paired=paired)) == repr(family(shuffled, paired=paired))


def test_comparisons_of_one_family_may_be_paired_and_unpaired():
    values = frame(draw(13, 1, 7)[0])
    found = compare(values, FAMILY, Rules(paired=FAMILY[:1], margins={ARMS[0]: 1.0}))
    assert [c.paired for c in found] == [True, False, False]
    assert [c.sign_flip_floor for c in found] == pytest.approx([3 / 64, math.nan, math.nan], nan_ok=True)


@pytest.mark.parametrize("state", ["diverged", "failed", "missing"])
def test_an_arm_that_lost_a_seed_is_not_better_and_nothing_is_worse_than_it(state):
    arm = BASE - 1 + JITTER / 4
    lost = two(BASE, arm, lost={"b": {state: 1}})
    assert (lost.verdict, lost.lost) == ("inconclusive", {state: 1})
    assert "lost a seed" in lost.withheld
    assert two(BASE, arm, lost={"a": {state: 2}}).verdict == "better"
    assert two(arm, BASE, lost={"a": {state: 2}}).verdict == "inconclusive"
    assert two(arm, BASE, lost={"b": {state: 2}}).verdict == "worse"
    assert two(BASE, arm, lost={"b": {state: 0}}).verdict == "better"


@pytest.mark.parametrize("who", ["a", "b"])
def test_an_arm_that_lost_a_seed_is_not_equivalent(who):
    arm = BASE + JITTER / 4
    assert two(BASE, arm).verdict == "equivalent"
    assert two(BASE, arm, lost={who: {"failed": 2}}).verdict == "inconclusive"


def test_equivalence_is_withheld_where_the_reference_is_far_from_having_learned():
    c = two(BASE, BASE + JITTER / 4, too_far={"a": "the baseline has learned little"})
    assert (c.verdict, c.withheld) == ("inconclusive", "the baseline has learned little")
    assert two(BASE, BASE - 1 + JITTER / 4, too_far={"a": "it has learned little"}).verdict == "better"


def test_one_model_under_two_names_does_not_count_in_the_family():
    x = draw(8, 1, 7)[0]
    x[:, 1] = x[:, 0]
    found = family(frame(x), same=[frozenset(ARMS[:2])])
    assert found[0].verdict == "same model"
    assert math.isnan(found[0].p_difference)
    assert repr(found[1:]) == repr(family(frame(x), FAMILY[1:]))


def test_explored_comparisons_get_intervals_and_take_nothing_from_the_family():
    values = frame(draw(8, 1, 7)[0])
    found = family(values, FAMILY[:1], explored=FAMILY[1:])
    assert [c.verdict for c in found[1:]] == ["exploratory", "exploratory"]
    assert all(math.isfinite(c.difference.low) and math.isnan(c.p_difference) for c in found[1:])
    assert repr(found[:1]) == repr(family(values, FAMILY[:1]))


def test_equal_scores_have_no_difference():
    for paired in (True, False):
        c = two([5.0, 5.0, 5.0], [5.0, 5.0, 5.0], paired=paired)
        assert (c.p, c.difference.low, c.difference.high, c.verdict) == (1, 0, 0, "equivalent")
    c = two(BASE, BASE)
    assert (c.p, c.sign_flip_p, c.verdict) == (1, 1, "equivalent")
    assert two(BASE, BASE, margin=0.0).verdict == "inconclusive"


@pytest.mark.parametrize("size", [0.7, 1e-3])
def test_constant_differences_are_worth_as_much_as_their_signs(size):
    for n, verdict in ((3, "inconclusive"), (5, "inconclusive"), (7, "worse")):
        base = BASE[:n] ** 3 / 7  # of sizes that round the differences to unequal last digits
        c = two(base, base + size, margin=0.0)
        assert (c.p, c.verdict) == (2.0 ** (1 - n), verdict)
        assert math.isnan(c.difference.low) == (2.0 ** (1 - n) > 0.05)
    unpaired = two([1.0, 1.0], [2.0, 2.0], paired=False)
    assert unpaired.p == pytest.approx(2 / 6)
    assert unpaired.verdict == "inconclusive"


def test_a_stricter_level_widens_intervals():
    first, second = (
        two(BASE, BASE - 1 + JITTER, level=level, look=k) for k, level in ((1, 0.05), (2, 0.005))
    )
    assert second.p == first.p
    assert second.difference.low < first.difference.low
    assert second.equivalence.low < first.equivalence.low
    between = two(BASE, BASE - 0.2 + 2 * JITTER, level=0.005)
    assert 0.005 < between.p_difference < 0.05
    assert between.verdict == "inconclusive"


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
        ({"margin": math.inf}, "margin"),
        ({"level": 0.0}, "level"),
        ({"level": 5.0}, "level"),
    ],
)
def test_settings_out_of_range_are_refused(change, text):
    with pytest.raises(UserError, match=text):
        two(BASE, BASE, **change)


def test_rows_that_come_twice_and_missing_columns_are_refused():
    values = frame(draw(10, 1, 3)[0])
    with pytest.raises(UserError, match="come again"):
        family(pd.concat([values, values[:1].assign(value=3.0)]))
    with pytest.raises(UserError, match="missing: seed"):
        family(values.drop(columns="seed"))
    with pytest.raises(UserError, match="with itself"):
        family(values, [("none", "none")])


def test_no_comparison_gives_no_verdict():
    assert family(frame(draw(11, 1, 3)[0]), []) == []
