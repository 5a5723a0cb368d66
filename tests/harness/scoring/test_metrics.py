"""Metrics are held to cases whose answer is known; to what they claim, by `contract_metrics`."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import METRIC, call, forget_plugins
from contract_metrics import K, clusters, normal
from torch import Tensor

from experiments.config.measures import measures
from experiments.config.registries import METRICS
from experiments.scoring.extractors.base import Features
from experiments.scoring.metrics import measure_all, value_name
from rope_dit.errors import UserError
from rope_dit.registry import add_plugins


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Callable[[str, str], None]]:
    """A function that writes a metric of one's own, changed, and adds its folder."""

    def add(line: str, to: str) -> None:
        assert line in METRIC
        (tmp_path / "mine.py").write_text(METRIC.replace(line, to))
        add_plugins(tmp_path)

    yield add
    forget_plugins()


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
        ("recall", "inception", "recall_inception"),
        ("fd", "digits", "fd_digits"),
        ("precision", "cifar10", "precision_cifar10"),
        ("fd", "inception_0a1b2c3d", "fd_inception_0a1b2c3d"),
    ],
)
def test_value_name(value: str, extractor: str, expected: str) -> None:
    assert value_name(value, extractor) == expected


VALUES, LEAST = 'values = {"bias": "lower"}', "min_images = 2"


@pytest.mark.parametrize(
    ("line", "to", "says"),
    [
        (
            VALUES,
            "",
            "metric 'bias', mine.py: got no plain value of values, expected values = {'name': 'lower'}",
        ),
        (VALUES, "values = dict(bias='lower')", "got no plain value of values, expected"),
        (VALUES, "values = {}", "got values = {}, expected values = {'name': 'lower'}, or 'higher'"),
        (VALUES, 'values = ["bias"]', "got values = ['bias'], expected"),
        (VALUES, 'values = {"bias": "less"}', "got values = {'bias': 'less'}, expected"),
        (VALUES, 'values = {"bias": ["lower"]}', "got values = {'bias': ['lower']}, expected"),
        (VALUES, 'values = {"bias": "lower", "fd": "lower"}', "value 'fd', which is one of metric 'frechet'"),
        (
            LEAST,
            "",
            "got no plain value of min_images, expected min_images = N, a whole number of at least 1",
        ),
        (LEAST, "min_images = 0", "got min_images = 0, expected"),
        (LEAST, "min_images = True", "got min_images = True, expected"),
        (
            LEAST,
            LEAST + "; needs_rank = 'yes'",
            "got needs_rank = 'yes', expected needs_rank = True or False",
        ),
        (LEAST, LEAST + "; learned = 0.1", "got learned = 0.1, expected learned = {'name': SHARE}"),
        (LEAST, LEAST + "; learned = {'fd': 0.1}", "got learned = {'fd': 0.1}, expected"),
        (LEAST, LEAST + "; learned = {'bias': 10}", "got learned = {'bias': 10}, expected"),
        (LEAST, LEAST + "; learned = {'bias': 1.0}", "got learned = {'bias': 1.0}, expected"),
    ],
)
def test_claims_are_held_to_be_whole(
    plugin: Callable[[str, str], None], line: str, to: str, says: str
) -> None:
    plugin(line, to)
    with pytest.raises(UserError) as refused:
        measures()
    assert says in str(refused.value)


def test_all_that_ships_claims_what_it_must() -> None:
    assert {value: one.better for value, one in measures().items()} == {
        "fd": "lower", "is": "higher", "kid": "lower", "precision": "higher", "recall": "higher",
        "density": "higher", "coverage": "higher", "swd": "lower", "nearest_ratio": "lower",
        "nearest_share": "lower", "layout_accuracy": "higher", "layout_found": "higher", "seam": "lower",
    }  # fmt: skip
    assert [value for value, one in measures().items() if one.needs_rank] == ["fd"]
    assert {value: one.learned for value, one in measures().items()} == {
        "fd": 0.1, "is": 0.5, "kid": 0.1, "precision": 0.5, "recall": 0.5,
        "density": 0.5, "coverage": 0.5, "swd": 0.1, "nearest_ratio": None, "nearest_share": None,
        "layout_accuracy": 0.85, "layout_found": None, "seam": None,
    }  # fmt: skip


def test_a_metric_need_not_say_what_counts_as_learned(plugin: Callable[[str, str], None]) -> None:
    plugin("bias", "bias")
    assert measures()["bias"].learned is None


@pytest.mark.parametrize("line", [VALUES, LEAST])
def test_a_claim_that_is_missing_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    Path("own").mkdir()
    Path("own/mine.py").write_text(METRIC.replace(line, ""))
    result = call("run", "--preset", "smoke", "--train.threads", "1", "--plugins", "own")
    assert (result.code, result.err.count("\n")) == (2, 1), result.err
    assert "metric 'bias', mine.py: got no plain value of " in result.err
    assert [path.name for path in Path().iterdir()] == ["own"]


def test_a_metric_returns_what_it_claims(plugin: Callable[[str, str], None]) -> None:
    plugin('{"bias": 0.0}', '{"fd": 0.0}')
    with pytest.raises(UserError, match=r"metric 'bias' .*: returned fd; expected bias, which it claims"):
        measure_all(normal(50), normal(50))
