"""How often verdicts and intervals are wrong, on simulated studies whose truth is known."""

import numpy as np
import pytest
from simulated import EQUAL, FAMILY, contrasts, draw, found, frame

from analysis.stats import compare, mean_interval
from analysis.stats.intervals import half_widths, paired_contrast
from analysis.stats.looks import alpha_at_look

SEED = 20240501
MANY = 20_000  # standard error of a rate of 5 %: 0.15 %
SEEDS = (3, 5, 7, 10)
TRUTHS = [
    ("normal", EQUAL),
    ("exponential", EQUAL),
    ("lognormal", EQUAL),
    ("normal", (1, 2, 3, 4)),
    ("normal", (1, 4, 4, 4)),
    ("normal", (1, 10, 10, 10)),
    ("normal", (4, 1, 1, 1)),
]
LOOKS = [(3, 5, 7), (5, 7, 10)]


@pytest.mark.parametrize("n", SEEDS)
@pytest.mark.parametrize("paired", [True, False], ids=["paired", "welch"])
@pytest.mark.parametrize(("noise", "sds"), TRUTHS)
def test_equal_arms_are_seldom_called_better_or_worse(noise, sds, paired, n):
    x = draw(SEED, MANY, n, noise, sds, shared=3.0 if paired else 0.0)
    assert found(x, paired).any(1).mean() <= 0.06


@pytest.mark.parametrize("studies", [100, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("paired", [True, False], ids=["paired", "welch"])
def test_compare_is_wrong_in_the_same_studies(paired, studies):
    x = draw(SEED, studies, 7, shared=3.0 if paired else 0.0)
    x[0, :, 1] += 9
    families = [compare(frame(one), FAMILY, paired=paired, margin=0.0) for one in x]
    wrong = np.array([[c.verdict in ("better", "worse") for c in family] for family in families])
    assert (wrong == found(x, paired)).all()
    assert wrong[0, 0]
    assert wrong[1:].any(1).mean() <= 0.06


@pytest.mark.parametrize("paired", [True, False], ids=["paired", "welch"])
def test_a_difference_of_two_standard_deviations_is_found_with_seven_seeds(paired):
    x = draw(SEED, MANY, 7, shared=3.0 if paired else 0.0)
    x[..., 3] -= 2 * np.sqrt(2)  # the SD of a paired difference of two arms of SD 1 is sqrt(2)
    assert found(x, paired)[:, 2].mean() >= 0.8


@pytest.mark.parametrize("studies", [100, pytest.param(2000, marks=pytest.mark.slow)])
def test_compare_finds_that_difference_better(studies):
    x = draw(SEED, studies, 7)
    x[..., 3] -= 2 * np.sqrt(2)
    verdicts = [compare(frame(one), FAMILY, paired=True, margin=0.0)[2].verdict for one in x]
    assert verdicts.count("better") >= 0.8 * studies
    assert verdicts.count("worse") == 0


@pytest.mark.parametrize("n", SEEDS)
@pytest.mark.parametrize("paired", [True, False], ids=["paired", "welch"])
@pytest.mark.parametrize("sds", [EQUAL, (1, 2, 3, 4)])
def test_intervals_of_differences_cover_the_truth(sds, paired, n):
    contrast = contrasts(draw(SEED, MANY, n, sds=sds, shared=3.0 if paired else 0.0), paired)
    covered = abs(contrast.difference) < half_widths(contrast, 0.95)
    assert ((covered.mean(0) >= 0.93) & (covered.mean(0) <= 0.97)).all()


@pytest.mark.parametrize("n", SEEDS)
def test_intervals_of_means_cover_the_truth(n):
    x = draw(SEED, 2000, n, shared=0.0)[..., 0]
    intervals = [mean_interval(one) for one in x]
    assert 0.93 <= np.mean([i.low < 100 < i.high for i in intervals]) <= 0.97


def test_ninety_percent_intervals_cover_ninety_percent():
    x = draw(SEED, MANY, 5)
    contrast = paired_contrast(x[..., 1], x[..., 0])
    assert abs((abs(contrast.difference) < half_widths(contrast, 0.9)).mean() - 0.9) < 0.01


@pytest.mark.parametrize("paired", [True, False], ids=["paired", "welch"])
@pytest.mark.parametrize(("noise", "sds"), TRUTHS)
@pytest.mark.parametrize("looks", LOOKS)
def test_a_growing_study_is_seldom_wrong_at_any_look(looks, noise, sds, paired):
    x = draw(SEED, MANY, looks[-1], noise, sds, shared=3.0 if paired else 0.0)
    wrong = [found(x[:, :n], paired, alpha_at_look(0.05, k)).any(1) for k, n in enumerate(looks, 1)]
    assert np.any(wrong, axis=0).mean() <= 0.06


def test_dividing_alpha_by_the_looks_would_not_hold():
    x = draw(SEED, MANY, 7)
    wrong = [found(x[:, :n], True, 0.05 / k).any(1) for k, n in enumerate(LOOKS[0], 1)]
    assert np.any(wrong, axis=0).mean() > 0.065


@pytest.mark.slow
@pytest.mark.parametrize("looks", LOOKS)
def test_a_growing_study_through_compare(looks):
    wrong = 0
    for one in draw(SEED, 2000, looks[-1]):
        verdicts = {
            c.verdict
            for k, n in enumerate(looks, 1)
            for c in compare(frame(one[:n]), FAMILY, paired=True, margin=0.0, looks=k)
        }
        wrong += bool(verdicts & {"better", "worse"})
    assert wrong <= 0.06 * 2000


@pytest.mark.parametrize("paired", [True, False], ids=["paired", "welch"])
def test_equivalence_is_seldom_claimed_of_arms_a_margin_apart(paired):
    x = draw(SEED, MANY, 7, shared=0.0)
    contrast = contrasts(x + np.array([0, 2, 2, 2]), paired)
    inside = abs(contrast.difference) + half_widths(contrast, 0.9) < 2
    assert (inside.mean(0) <= 0.055).all()
