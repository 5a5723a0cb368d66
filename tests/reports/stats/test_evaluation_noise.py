"""What evaluation noise adds: components that were put in are found, and coverage is that of a simulation."""

import numpy as np
import pandas as pd
import pytest

from analysis.stats import mean_interval
from analysis.stats.evaluation_noise import components, coverage_fixed, evaluation_noise
from rope_dit.errors import UserError

NETWORK, DRAW, REST = 0.16, 0.04, 0.002


def scored(rng, networks, draws, network=NETWORK, draw=DRAW, rest=REST):
    """A table [networks, draws] of scores with these variances."""
    parts = ((network, (networks, 1)), (draw, (1, draws)), (rest, (networks, draws)))
    return 1.0 + sum(variance**0.5 * rng.normal(size=shape) for variance, shape in parts)


def frame(**arms):
    """Values of arms from their tables."""
    rows = [
        (arm, seed, draw, value)
        for arm, table in arms.items()
        for seed, scores in enumerate(table)
        for draw, value in enumerate(scores)
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "sampling_seed", "value"])


def test_components_are_those_that_were_put_in():
    rng = np.random.default_rng(1)
    tables = [scored(rng, 9, 7, network=1.0, draw=2.0, rest=4.0) for _ in range(1000)]
    found = pd.DataFrame([components(table) for table in tables]).mean()
    assert found["network"] == pytest.approx(1.0, abs=0.15)
    assert found["draw"] == pytest.approx(2.0, abs=0.15)
    assert found["rest"] == pytest.approx(4.0, abs=0.1)


def test_what_cannot_be_told_from_nothing_is_nothing():
    found = components(np.array([[1.0, 2.0], [2.0, 1.0]]))
    assert (found["network"], found["draw"], found["rest"]) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("n", [3, 7, 20])
def test_intervals_of_fixed_noise_cover_as_often_as_said_and_those_of_own_noise_as_they_should(n):
    rng = np.random.default_rng(2)
    covered = {"fixed": 0, "own": 0}
    for _ in range(3000):
        tables = {"fixed": scored(rng, n, 1)[:, 0], "own": np.diagonal(scored(rng, n, n))}
        for name, values in tables.items():
            found = mean_interval([float(value) for value in values])
            covered[name] += found.low <= 1.0 <= found.high
    assert covered["fixed"] / 3000 == pytest.approx(coverage_fixed(n, DRAW, NETWORK + REST), abs=0.02)
    assert covered["own"] / 3000 == pytest.approx(0.95, abs=0.015)


def test_a_draw_that_arms_share_leaves_their_difference():
    rng = np.random.default_rng(3)
    draws, networks = 0.2 * rng.normal(size=(1, 4)), rng.normal(size=(6, 1))
    table = evaluation_noise(frame(a=networks + draws, b=2.0 + networks + draws), seeds=(6,)).set_index("arm")
    assert list(table.index) == ["a", "b", "b - a"]
    assert (table["networks"].unique(), table["draws"].unique()) == ([6], [4])
    own = float(np.var(draws, ddof=1))
    assert table.loc[["a", "b"], "draw"].tolist() == pytest.approx([own, own])
    assert table.loc["b - a", ["network", "draw", "rest"]].tolist() == pytest.approx([0, 0, 0], abs=1e-12)
    assert table.loc["b - a", "apart"] == pytest.approx(2 * own)
    assert table.loc["a", "coverage_6"] < 0.95


def test_networks_that_were_scored_otherwise_are_refused():
    whole = frame(a=np.ones((2, 2)), b=np.ones((2, 3)))
    with pytest.raises(UserError, match="arm b has other seeds than the first"):
        evaluation_noise(whole)
    with pytest.raises(UserError, match="arm a needs two networks, and two draws"):
        evaluation_noise(frame(a=np.ones((2, 1))))
    with pytest.raises(UserError, match="arm a needs two networks, and two draws"):
        evaluation_noise(frame(a=np.ones((2, 2))).iloc[:3])
    with pytest.raises(UserError, match="missing: sampling_seed"):
        evaluation_noise(whole.drop(columns="sampling_seed"))
