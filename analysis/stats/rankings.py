"""Whether arms rank alike under two samplers, metrics, steps or studies: Kendall's tau with its interval."""

import math
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from analysis.stats.checks import check_values
from analysis.stats.intervals import Array, Interval


def kendall_tau(values: pd.DataFrame, by: str, rng: np.random.Generator, samples: int = 2000) -> pd.DataFrame:
    """Do arms rank alike under two levels of `by`? Kendall's tau-b of their means over seeds.

    The interval is the 95 % percentile bootstrap over seeds: each sample draws seeds with replacement, the
    same ones for all arms and levels, since scores of one seed go together. Samples cannot show what no seed
    shows: n seeds that agree leave a chance of up to 1 - 0.025**(1/n) (Clopper and Pearson 1934) that one
    ranks the other way round, so a low end is at most 2 * 0.025**(1/n) - 1, and a high end at least the
    negative of that. Below six seeds no interval excludes 0: of two equal arms a tau of 1 is then frequent.

    Args:
        values: columns arm, seed, value and `by`; one row each.
        by: column whose levels are compared, such as 'sampler'.
        rng: source of the bootstrap; the same generator state gives the same interval.
        samples: number of bootstrap samples.

    Returns:
        One row a pair of levels: first, second, tau, low, high. Tau is nan where fewer than two arms were
        scored under both or all tie; low and high are nan below two seeds.

    Raises:
        UserError: a missing column, a value that is not finite, or two rows of one arm, seed and level.
    """
    check_values(values, ["arm", "seed", by])
    levels = list(pd.unique(values[by]))
    cells = pd.MultiIndex.from_product([pd.unique(values[name]) for name in (by, "arm", "seed")])
    cube = values.set_index([by, "arm", "seed"])["value"].reindex(cells).to_numpy(dtype=np.float64)
    n = values["seed"].nunique()
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=samples)
    weights = np.vstack([np.ones_like(drawn[:1]), drawn])  # row 0: the seeds as they are
    means = _weighted_means(cube.reshape(len(levels), -1, n), weights)
    rows = [
        (levels[i], levels[j], *_tau_interval(means[:, i], means[:, j], n))
        for i, j in combinations(range(len(levels)), 2)
    ]
    return pd.DataFrame(rows, columns=["first", "second", "tau", "low", "high"])


def tau_between(
    first: pd.DataFrame, second: pd.DataFrame, rng: np.random.Generator, samples: int = 2000
) -> Interval:
    """Do arms rank alike in two studies? Kendall's tau-b of the means of those arms that both have.

    As `kendall_tau`, but seeds are drawn for each study by itself: a seed of one has nothing to do with that
    of the other. What so many seeds cannot show is that of the study with fewer.

    Args:
        first, second: columns arm, seed and value, in both of which lower, or in both higher, is better.
        rng: source of the bootstrap.
        samples: number of bootstrap samples.

    Returns:
        Tau, nan where fewer than two arms are in both or all tie, with its interval; n counts the arms.

    Raises:
        UserError: as `kendall_tau`.
    """
    arms = [arm for arm in pd.unique(first["arm"]) if arm in set(second["arm"])]
    one, other = (_drawn(values, arms, rng, samples) for values in (first, second))
    fewest = min(values["seed"].nunique() for values in (first, second))
    return Interval(*_tau_interval(one, other, fewest), len(arms))


def _drawn(values: pd.DataFrame, arms: list[str], rng: np.random.Generator, samples: int) -> Array:
    """Means [1 + samples, arms] over a study's seeds: as they are, and drawn with replacement."""
    check_values(values, ["arm", "seed"])
    table = values.pivot(index="arm", columns="seed", values="value").reindex(arms)
    n = table.shape[1]
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=samples)
    weights = np.vstack([np.ones_like(drawn[:1]), drawn])
    return _weighted_means(table.to_numpy(dtype=np.float64)[None], weights)[:, 0]


def _weighted_means(cube: Array, weights: Any) -> Array:
    """Means over seeds of [levels, arms, seeds] by weights [samples, seeds]; nan where no seed is left."""
    there = ~np.isnan(cube)
    sums = np.einsum("lan,sn->sla", np.where(there, cube, 0.0), weights)
    counts = np.einsum("lan,sn->sla", there.astype(np.float64), weights)
    means: Array = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means


def _tau_interval(first: Array, second: Array, seeds: int) -> tuple[float, float, float]:
    """Tau of row 0 of the means [1 + samples, arms] of two levels, and its interval from the other rows."""
    both = ~np.isnan(first[0]) & ~np.isnan(second[0])
    taus = _tau_b(first[:, both], second[:, both])
    drawn = taus[1:][~np.isnan(taus[1:])]
    if seeds < 2 or not drawn.size or math.isnan(taus[0]):
        return float(taus[0]), math.nan, math.nan
    low, high = np.quantile(drawn, [0.025, 0.975])
    known = 2 * 0.025 ** (1 / seeds) - 1
    return float(taus[0]), min(float(low), known), max(float(high), -known)


def _tau_b(first: Array, second: Array) -> Array:
    """Kendall's tau-b of each row of two arrays [rows, arms]; nan where either has only ties or a nan."""
    i, j = np.triu_indices(first.shape[1], k=1)
    one, two = np.sign(first[:, i] - first[:, j]), np.sign(second[:, i] - second[:, j])
    scale = np.sqrt((one**2).sum(1) * (two**2).sum(1))
    return np.where(scale > 0, (one * two).sum(1) / np.where(scale > 0, scale, 1), np.nan)
