"""Verdicts in words: each says the p that decided, and what a reader must know beside it."""

from dataclasses import replace

import numpy as np
import pytest
from compared import BASE, JITTER, two

from analysis.page.verdict_sentences import verdict_sentence
from analysis.stats import Interval


def said(c):
    """The sentence of a comparison."""
    return verdict_sentence(c, "FD (digits)")


def test_better_by_more_than_the_margin():
    assert said(two(BASE, BASE - 1 + JITTER)) == (
        "b is better than a by more than the margin of 0.2: FD (digits) 0.997 lower (95 % interval of the "
        "difference -1.07 to -0.923, 7 paired seeds, adjusted p < 0.001 for no difference)."
    )


def test_better_but_perhaps_by_less():
    sentence = said(two(BASE, BASE - 0.25 + 0.7 * JITTER))
    assert sentence.startswith("b is better than a: FD (digits) 0.248 lower")


def test_equivalent_says_that_a_difference_is_detectable():
    sentence = said(two(BASE, BASE - 0.05 + JITTER / 100))
    assert sentence == (
        "b and a are equivalent (a difference of 0.05 is detectable): FD (digits) 0.05 lower (90 % interval "
        "of the difference -0.0506 to -0.0494, 7 paired seeds, adjusted p < 0.001 for a difference of the "
        "margin, 0.2, or more)."
    )
    assert "detectable" not in said(two(BASE, BASE + JITTER / 2))


def test_inconclusive_says_how_many_seeds_a_verdict_needs():
    sentence = said(two(BASE, BASE + 20 * JITTER))
    assert "to be found equivalent, if they do not differ, they need about 5" in sentence
    assert "to be told apart, if they differ by the margin of 0.2, about" in sentence
    assert "need about" not in said(two(BASE, BASE - 1 + JITTER))


def test_what_rests_on_normality_names_the_companion_that_disagrees():
    flips = said(two(BASE, BASE + np.array([-1.0, -1.1, -0.9, -1.05, -0.95, -1.0, 0.15])))
    assert "t alone would call it better, but that rests on normality: " in flips
    assert "need about" not in flips
    skewed = said(two(BASE, BASE + np.array([-2.0, -1.9, -2.1, -1.95, -2.05, -1.8, -0.05])))
    assert "freed of the differences' skewness the adjusted p is " in skewed


def test_sign_flips_that_are_not_as_sure_stand_beside_a_verdict():
    almost = said(two(BASE, BASE + np.array([-2.0, -1.7, -1.3, -1.0, -0.7, -0.3, 0.05]), level=0.03))
    assert almost.startswith("b is better than a")
    assert "; by sign flips the adjusted p is 0.0312 (at least 0.0156)" in almost
    assert "sign flips" not in said(two(BASE, BASE - 1 + JITTER))


@pytest.mark.parametrize(("n", "few"), [(3, True), (4, True), (5, False)])
def test_few_seeds_are_said_beside_the_verdict(n, few):
    sentence = said(two(BASE[:n], BASE[:n] - 50 + JITTER[:n] / 1000))
    assert (f"mind that it rests on {n} seeds" in sentence) == few


def test_below_three_seeds():
    assert "there is no verdict below 3 seeds" in said(two(BASE[:2], BASE[:2] - 50 + JITTER[:2] / 1000))
    assert said(two(BASE[:1], BASE[:1])) == (
        "b against a is inconclusive: 1 paired seed cannot give an interval; there is no verdict below 3 "
        "seeds."
    )


def test_lost_seeds_are_counted():
    c = two(BASE[:5], BASE[:5] - 1 + JITTER[:5] / 4, lost={"b": {"failed": 2, "diverged": 1}}, seeds=8)
    assert "; of 8 seeds of b 2 failed and 1 diverged; an arm that lost a seed is called neither" in said(c)


def test_spreads_that_differ_are_said():
    assert "spreads 4 times as much" in said(two(BASE, 10 + 4 * (BASE - BASE.mean())))
    assert "times as much" not in said(two(BASE, 10 + 2.9 * (BASE - BASE.mean())))


def test_a_verdict_of_an_earlier_look_has_the_difference_of_now_beside_it():
    c = replace(two(BASE, BASE - 1 + JITTER), later=Interval(-0.9, -1.1, -0.7, 10))
    assert said(c).startswith("b is better than a by more than the margin of 0.2 at look 1: ")
    assert said(c).endswith("; with 10 seeds the difference is -0.9 (-1.1 to -0.7).")


def test_futility():
    assert "stopping for futility would be reasonable" in said(
        two(BASE, BASE + 3 * JITTER, planned=9, margin=0.01)
    )
    assert "stopping" not in said(two(BASE, BASE + 3 * JITTER + 0.2, planned=14))


def test_the_same_model_and_exploratory():
    same = said(two(BASE, BASE, same=[frozenset("ab")]))
    assert same == "b and a are the same model, so there is nothing to compare."
    assert "is exploratory: FD (digits) 1 lower (95 %" in said(
        replace(two(BASE, BASE - 1), verdict="exploratory")
    )
