"""Density, coverage, sliced Wasserstein and nearest pictures, each held to cases whose answer is known."""

import math

import numpy as np
import pytest
import torch
from contract_metrics import K, clusters, normal
from scipy.stats import wasserstein_distance

from experiments.scoring.extractors.base import Features
from experiments.scoring.metrics.density_coverage import DensityCoverage
from experiments.scoring.metrics.nearest import Nearest
from experiments.scoring.metrics.sliced_wasserstein import SlicedWasserstein


def dc(generated: Features, real: Features) -> tuple[float, float]:
    found = DensityCoverage().measure(generated, real)
    return found["density"], found["coverage"]


def swd(generated: Features, real: Features) -> float:
    return SlicedWasserstein().measure(generated, real)["swd"]


def near(generated: Features, real: Features) -> tuple[float, float]:
    found = Nearest().measure(generated, real)
    return found["nearest_ratio"], found["nearest_share"]


# Density and coverage


def test_density_and_coverage_are_the_authors_formulas() -> None:
    """Equations 5 and 6 from all distances; no edge is met by numbers drawn at random."""
    a, b = normal(60, mean=0.5), normal(90, seed=1)
    apart = torch.cdist(a.pool.double(), b.pool.double())
    reach = torch.cdist(b.pool.double(), b.pool.double()).sort(1).values[:, 5]
    inside = apart < reach
    assert dc(a, b) == pytest.approx(
        (float(inside.sum(1).double().mean()) / 5, float(inside.any(0).double().mean()))
    )


def test_fresh_pictures_of_the_same_distribution_have_the_expected_values() -> None:
    """Density 1; coverage 1 - C(N + n - k...), which at n = N is about 1 - 2^-K (lemma 2)."""
    density, coverage = dc(normal(2000, 4), normal(2000, 4, seed=1))
    assert density == pytest.approx(1, abs=0.05)
    assert coverage == pytest.approx(1 - 2**-5, abs=0.015)


def test_half_of_the_modes_missing_halves_the_coverage_and_not_the_density() -> None:
    density, coverage = dc(clusters(400, range(K // 2), seed=1), clusters(400, range(K)))
    assert density == pytest.approx(1, abs=0.15)
    assert coverage == pytest.approx(0.5, abs=0.02)


def test_one_real_outlier_covers_no_bad_pictures() -> None:
    """Precision's flaw: its ball is wide; it adds 1 / K of a picture to the density."""
    real = Features(torch.cat([normal(200).pool, torch.full((1, 8), 30.0)]), torch.zeros(201, 1))
    density, coverage = dc(normal(200, seed=1, mean=15.0, sd=0.5), real)
    assert density == pytest.approx(1 / 5)
    assert coverage == pytest.approx(1 / 201)


def test_copies_of_one_picture_lie_inside_balls_without_width() -> None:
    same = Features(torch.ones(20, 8), torch.zeros(20, 1))
    assert dc(same, same) == (4.0, 1.0)


# Sliced Wasserstein


def test_a_set_is_at_distance_zero_from_itself_and_from_its_copies() -> None:
    some = normal(300)
    assert swd(some, some) < 1e-12
    assert swd(some[np.repeat(np.arange(300), 3)], some) < 1e-12
    assert swd(some, some[np.repeat(np.arange(300), 3)]) < 1e-12


def test_shifted_and_scaled_gaussians_have_their_closed_form() -> None:
    """3 D times the mean over directions of (u.m)^2 + (1 - s)^2 = 3 |m|^2 + 3 D (1 - s)^2."""
    a, b = normal(20_000, mean=0.5, sd=1.5), normal(20_000, seed=1)
    assert swd(a, b) == pytest.approx(3 * 8 * (0.5**2 + 0.5**2), rel=0.02)
    b = normal(2000, seed=1)
    assert swd(moved(b, 2.0), b) == pytest.approx(3 * 8 * 4, rel=0.06)


def moved(some: Features, by: float) -> Features:
    return Features(some.pool + by, some.logits)


@pytest.mark.parametrize(("n", "n_real"), [(7, 20), (20, 7), (12, 12)])
def test_sets_of_unequal_numbers_are_compared_by_exact_quantiles(n, n_real, monkeypatch) -> None:
    """Along one direction, with every picture repeated until both sets are of one number."""
    monkeypatch.setattr("experiments.scoring.metrics.sliced_wasserstein.DIRECTIONS", 3)
    a, b = normal(n, 1), normal(n_real, 1, seed=1, mean=0.3)
    x, y = (np.repeat(np.sort(one.pool[:, 0].double().numpy()), k) for one, k in ((a, n_real), (b, n)))
    assert swd(a, b) == pytest.approx(3 * np.square(x - y).mean(), rel=1e-9)
    assert wasserstein_distance(x, y) ** 2 <= swd(a, b) / 3  # of the first order, which is no larger


def test_it_sees_modes_that_means_and_covariances_do_not() -> None:
    """Two peaks at +-1 have the mean and variance of a standard normal."""
    peaks = Features(torch.randint(0, 2, (4000, 1), generator=torch.Generator().manual_seed(0)) * 2.0 - 1,
                     torch.zeros(4000, 1))  # fmt: skip
    exact = 3 * (2 - 2 * math.sqrt(2 / math.pi))  # E (|z| - 1)^2
    assert swd(peaks, normal(4000, 1)) == pytest.approx(exact, rel=0.05)


def test_what_is_kept_of_the_real_pictures_changes_nothing(monkeypatch) -> None:
    a, b = normal(50, mean=0.3), normal(80, seed=1)
    kept = swd(a, b)
    assert list(b.known) == ["sliced_wasserstein: 50 parts"]
    assert swd(a, b) == kept
    monkeypatch.setattr("experiments.scoring.metrics.sliced_wasserstein.KEPT", 0)
    assert swd(a, Features(b.pool, b.logits)) == kept


# Nearest training pictures


def apart() -> Features:
    """Training pictures with held-out ones beside them."""
    return Features(normal(400, 4).pool, normal(400).logits, held_out=normal(1000, 4, seed=1))


def test_fresh_pictures_are_as_far_as_held_out_ones() -> None:
    ratio, share = near(normal(2000, 4, seed=2), apart())
    assert ratio == pytest.approx(1, abs=0.06)
    assert share == pytest.approx(0.01, abs=0.008)
    assert near(apart().held_out, apart()) == (1.0, 0.01)


def test_copies_are_found_however_many() -> None:
    real, fresh = apart(), normal(300, 4, seed=3)
    assert near(real[:200], real) == (0.0, 1.0)
    quarter = Features(torch.cat([real.pool[:100], fresh.pool]), torch.zeros(400, 1))
    ratio, share = near(quarter, real)
    assert 0.25 <= share < 0.28
    assert 0.5 < ratio < 1


def test_pictures_that_are_like_none_are_far() -> None:
    ratio, share = near(normal(300, 4, seed=3, mean=3.0), apart())
    assert ratio > 3
    assert share == 0


def test_without_held_out_pictures_the_training_pictures_stand_for_them() -> None:
    """Each to its nearest other: as far as fresh ones, for they are of one distribution."""
    real = apart()
    alone = Features(real.pool, real.logits)
    a, b = near(normal(2000, 4, seed=2), real), near(normal(2000, 4, seed=2), alone)
    assert a[0] == pytest.approx(b[0], abs=0.1)
    assert near(alone[:50], alone) == (0.0, 1.0)
