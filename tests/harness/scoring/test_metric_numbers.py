"""Kernel distance, precision and recall against torch-fidelity in float64, and far from zero."""

import math

import numpy as np
import pytest
import torch
from contract_metrics import normal

from experiments.scoring.extractors.base import Features
from experiments.scoring.metrics.kid import Kid
from experiments.scoring.metrics.neighbours import is_inside, met_balls, nearest, radii
from experiments.scoring.metrics.precision_recall import PrecisionRecall


def moved(some: Features, by: float) -> Features:
    return Features(some.pool + by, some.logits)


def kid(a: Features, b: Features) -> float:
    return Kid().measure(a, b)["kid"]


def exact_kid(a: Features, b: Features) -> float:
    """Of the whole sets, in 80 bits."""
    x, y = (np.asarray(one.pool.numpy(), np.longdouble) for one in (a, b))
    xx, yy, xy = (((p @ q.T) / x.shape[1] + 1) ** 3 for p, q in ((x, x), (y, y), (x, y)))
    inside = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (xx, yy)]
    return float(sum(inside) - 2 * xy.mean())


def test_kernels_of_features_far_from_zero() -> None:
    """Float32 gave up to five times the value at an offset of 100."""
    a, b = moved(normal(80, 128, mean=0.2), 100), moved(normal(80, 128, seed=1), 100)
    assert kid(a, b) == pytest.approx(exact_kid(a, b), rel=1e-6)
    assert exact_kid(a, b) > 100


@pytest.mark.parametrize(("n", "n_real"), [(60, 60), (60, 90), (90, 60), (300, 200)])
def test_kid_is_torch_fidelitys_in_float64(monkeypatch: pytest.MonkeyPatch, n: int, n_real: int) -> None:
    from torch_fidelity.metric_kid import kid_features_to_metric

    monkeypatch.setattr("experiments.scoring.metrics.kid.SUBSET", 100)
    a, b = normal(n, mean=0.3), normal(n_real, seed=1)
    size = min(100, n, n_real)
    known = kid_features_to_metric(a.pool.double(), b.pool.double(), kid_subset_size=size, verbose=False)
    assert kid(a, b) == pytest.approx(known["kernel_inception_distance_mean"], rel=1e-9)
    assert kid(a, b) == kid(a, b), "what is known of the real pictures changes nothing"
    assert kid(a[: n - 9], b) == kid(a[: n - 9], Features(b.pool, b.logits)), "and is of these numbers"


@pytest.mark.parametrize("offset", [0.0, 100.0, 10_000.0])
def test_precision_and_recall_do_not_see_where_zero_is(offset: float) -> None:
    """The offset is taken away again: multiples of 1/1024 stay exact, so the sets are the same."""
    a, b = (moved(Features((2**10 * one.pool).round() / 2**10, one.logits), offset)
            for one in (normal(300, 16, mean=0.2), normal(400, 16, seed=1)))  # fmt: skip
    assert PrecisionRecall().measure(a, b) == {"precision": pytest.approx(232 / 300), "recall": 0.72}


def test_precision_and_recall_are_torch_fidelitys_in_float64() -> None:
    from torch_fidelity.metric_prc import prc_features_to_metric

    a, b = normal(300, mean=0.5), normal(400, seed=1)
    known = prc_features_to_metric(a.pool.double(), b.pool.double(), verbose=False)
    for _ in range(2):
        for name, value in PrecisionRecall().measure(a, b).items():
            assert value == pytest.approx(known[name], abs=1e-6)  # whose mean is in float32


def test_neighbours_are_those_of_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.scoring.metrics.neighbours.CELLS", 400)  # several blocks
    a, b = normal(50).pool.double(), normal(70, seed=1).pool.double()
    apart = (a[:, None] - b).square().sum(2)
    assert torch.allclose(nearest(a, b, 5), apart.sort(1).values[:, :5], rtol=1e-12)
    reach = radii(b, 3)
    assert torch.allclose(reach, (b[:, None] - b).square().sum(2).sort(1).values[:, 3], rtol=1e-12)
    inside = (apart <= reach).sum(1)
    assert 0 < int((inside > 0).sum()) < 50
    counts, met = met_balls(a, b, reach)
    assert torch.equal(counts, inside)
    assert torch.equal(met, (apart <= reach).any(0))
    assert torch.equal(is_inside(a, b, reach), inside > 0)


def test_copies_are_at_distance_zero_and_inside_balls_without_width() -> None:
    some = normal(40).pool * 3 + 1000
    assert nearest(some, some, 1).max() == 0
    assert is_inside(some[:5], some, torch.zeros(40)).all()
    assert met_balls(some[:5], some, torch.zeros(40))[0].tolist() == [1] * 5
    assert math.isclose(nearest(some + 1, some, 1)[0].item(), 8, rel_tol=1e-3)
