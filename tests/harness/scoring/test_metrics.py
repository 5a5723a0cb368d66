"""Metrics are held to cases whose answer is known; to what they claim, by `contract_metrics`."""

import math

import numpy as np
import pytest
import torch
from contract_metrics import K, clusters, normal
from torch import Tensor

from experiments.config.registries import METRICS
from experiments.scoring.extractors.base import Features
from experiments.scoring.metrics import measure_all, real_floor, value_name
from rope_dit.errors import UserError


def fd(generated: Features, real: Features) -> float:
    return float(METRICS.load("frechet")().measure(generated, real)["fd"])


def test_a_set_against_itself() -> None:
    same = measure_all(normal(300), normal(300))
    assert abs(same["fd"]) < 1e-10
    assert same["kid"] < 0  # unbiased, and the pairs of equal pictures are too near
    assert same["precision"] == same["recall"] == 1


def test_frechet_closed_form() -> None:
    """Diagonal Gaussians: |mu1 - mu2|^2 + sum (s1 - s2)^2."""
    got = fd(normal(100_000, mean=1.0, sd=2.0), normal(100_000, seed=1, sd=0.5))
    assert got == pytest.approx(8 * (1.0 + 1.5**2), rel=0.01)


def test_frechet_of_correlated_gaussians() -> None:
    """Covariances that do not commute; the trace of the root from the symmetric form."""
    mix = torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(5))
    a = Features(normal(5000).pool @ mix[0], normal(5000).logits)
    b = Features(normal(4000, seed=1).pool @ mix[1], normal(4000).logits)
    s1, s2 = (np.cov(f.pool.double().numpy().T) for f in (a, b))
    w, v = np.linalg.eigh(s1)
    root = v * np.sqrt(w) @ v.T
    trace = np.sqrt(np.linalg.eigvalsh(root @ s2 @ root)).sum()
    gap = a.pool.double().mean(0) - b.pool.double().mean(0)
    expected = float(gap @ gap) + np.trace(s1) + np.trace(s2) - 2 * trace
    assert fd(a, b) == pytest.approx(expected, rel=1e-9)


def test_frechet_below_the_rank() -> None:
    """Fewer pictures than dimensions, and dimensions without any spread."""
    few, real = normal(5, dim=64), normal(500, dim=64, seed=1)
    assert 0 < fd(few, real) < 1000
    flat = Features(torch.zeros(50, 64), few.logits[:1].expand(50, K))
    assert fd(flat, real) == pytest.approx(float((real.pool**2).sum(1).mean()), rel=0.01)
    assert abs(fd(flat, flat)) < 1e-10
    assert abs(fd(few, few)) < 1e-5


def test_statistics_are_summed_in_float64() -> None:
    far = Features(1000 + normal(20_000).pool, normal(20_000).logits)
    assert np.abs(far.statistics["mu"] - far.pool.numpy().mean(0, dtype=np.float64)).max() < 1e-9
    assert far.statistics is far.statistics  # computed once


def test_precision_and_recall_have_the_right_roles() -> None:
    real, collapsed = clusters(200, range(K)), clusters(200, range(1), seed=1)
    wide = normal(2000, K, seed=2, sd=10)
    lost = measure_all(collapsed, real)
    assert lost["precision"] > 0.6
    assert lost["recall"] < 0.2
    noisy = measure_all(Features.cat([wide, real]), real)
    assert noisy["precision"] < 0.2
    assert noisy["recall"] == 1


def test_inception_score_counts_classes() -> None:
    metric = METRICS.load("inception_score")()
    one = clusters(500, range(1))
    assert metric.measure(one, one)["is"] == pytest.approx(1)
    assert metric.measure(clusters(20_000, range(K)), one)["is"] == pytest.approx(K, rel=0.02)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("part", ["pool", "logits"])
def test_what_is_not_finite_is_refused_at_once(bad: float, side: int, part: str) -> None:
    sets = [normal(2000, dim=1024), normal(2000, dim=1024, seed=1)]
    wrong: Tensor = getattr(sets[side], part)
    wrong[7, 3] = wrong[7, 4] = wrong[9, 0] = bad
    with pytest.raises(UserError, match="2 of 2000 rows"):
        measure_all(*sets)
    assert "statistics" not in vars(sets[0]), "no metric may begin"


def test_too_few_pictures() -> None:
    with pytest.raises(UserError, match=r"needs at least \d+ .* got 1\."):
        measure_all(normal(1), normal(50))


@pytest.mark.parametrize(
    ("value", "extractor", "expected"),
    [
        ("fd", "inception", "fid"),
        ("kid", "inception", "kid"),
        ("is", "inception", "is"),
        ("recall", "inception", "recall"),
        ("fd", "digits", "fd_digits"),
        ("precision", "cifar10", "precision_cifar10"),
        ("fd", "inception_0a1b2c3d", "fd_inception_0a1b2c3d"),
    ],
)
def test_value_name(value: str, extractor: str, expected: str) -> None:
    assert value_name(value, extractor) == expected


def test_real_floor_estimates_what_real_pictures_get() -> None:
    draws = [fd(normal(300, seed=2 * i), normal(900, seed=2 * i + 1)) for i in range(100, 120)]
    held_out = normal(1000, seed=7)
    assert real_floor(held_out, 300, 900) == pytest.approx(np.mean(draws), rel=0.2)
    assert real_floor(held_out, 100, 100) == pytest.approx(2 * real_floor(held_out, 200, 200))
    assert real_floor(normal(1000, seed=7), 300, 900) == real_floor(held_out, 300, 900)


def test_real_floor_needs_two_halves() -> None:
    with pytest.raises(UserError, match="held-out pictures; got 3"):
        real_floor(normal(3), 10, 10)
