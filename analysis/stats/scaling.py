"""How scores move with samplers, sample sizes and sampling seeds. Exploratory: intervals, no verdicts."""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from analysis.stats.checks import check_values
from analysis.stats.intervals import Array, Interval
from rope_dit.errors import UserError


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


def at_infinity(n: Sequence[float], values: Sequence[float]) -> Interval:
    """Score at infinitely many samples: `a` of the least-squares line value = a + b / n (arXiv:1911.07023).

    Args:
        n: sample sizes, at least two different ones.
        values: score at each; taken as independent.

    Returns:
        a with its 95 % t interval, nan below three points; n counts the points.

    Raises:
        UserError: lengths that differ, numbers that are not finite, sizes below 1 or fewer than two sizes.
    """
    sizes, scores = np.asarray(n, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if sizes.shape != scores.shape:
        raise UserError(f"one score a sample size is needed; got {sizes.size} sizes, {scores.size} scores.")
    if not (np.isfinite(sizes).all() and np.isfinite(scores).all() and (sizes >= 1).all()):
        raise UserError("sample sizes of at least 1 and finite scores are needed to go to infinity.")
    if len(set(sizes)) < 2:
        raise UserError(f"a score at infinity needs two different sample sizes; got {len(set(sizes))}.")
    line = stats.linregress(1 / sizes, scores)
    value, points = float(line.intercept), sizes.size
    if points < 3:
        return Interval(value, math.nan, math.nan, points)
    half = float(special.stdtrit(points - 2, 0.975) * line.intercept_stderr)
    return Interval(value, value - half, value + half, points)


def spreads(values: pd.DataFrame) -> pd.DataFrame:
    """Retraining spread and resampling spread of each arm.

    Args:
        values: columns arm, seed, sampling_seed, value; one row each.

    Returns:
        One row an arm: arm; retraining: SD over training seeds of the mean over sampling seeds, freed of
        what resampling adds to it where a network has several; resampling: SD over sampling seeds inside a
        network, pooled; ratio of the two; cv: retraining over the absolute mean; seeds; sampling_seeds of a
        network. A spread is nan where it needs more seeds.

    Raises:
        UserError: a missing column, a value that is not finite, or two rows of one network and sampling seed.
    """
    check_values(values, ["arm", "seed", "sampling_seed"])
    columns = ["arm", "retraining", "resampling", "ratio", "cv", "seeds", "sampling_seeds"]
    rows = [(arm, *_spread(own)) for arm, own in values.groupby("arm", sort=False)]
    return pd.DataFrame(rows, columns=columns)


def _spread(own: pd.DataFrame) -> tuple[float, ...]:
    shared = own.groupby("seed")["sampling_seed"].agg(frozenset).nunique() == 1
    drawn = own["sampling_seed"] if shared else own.groupby("seed").cumcount()
    wide = own.assign(drawn=drawn).pivot(index="seed", columns="drawn", values="value")
    table = wide.to_numpy(dtype=np.float64)
    sizes = (~np.isnan(table)).sum(1)
    means = np.nansum(table, axis=1) / sizes
    inside = _pooled_variance(table - means[:, None], int((sizes - 1).sum()))
    between = float(means.var(ddof=1)) if len(means) > 1 else math.nan
    added = _error_variance(table, shared) * float((1 / sizes).mean())
    retraining = math.sqrt(max(0.0, between - (0.0 if math.isnan(added) else added)))
    if math.isnan(between):
        retraining = math.nan
    resampling = math.sqrt(inside)
    ratio = retraining / resampling if resampling > 0 else math.nan
    middle = abs(float(means.mean()))
    cv = retraining / middle if middle > 0 else math.nan
    return retraining, resampling, ratio, cv, table.shape[0], table.shape[1]


def _error_variance(table: Array, shared: bool) -> float:
    """Variance of one score that averaging over sampling seeds does not share between networks.

    Where the noise is `shared`, all networks having the same sampling seeds, what one of these does to all of
    them does not spread their means; so its effect is taken out. Where each network has its own noise there
    is no such effect. nan where no network has two sampling seeds.
    """
    inside = table - np.nansum(table, axis=1, keepdims=True) / (~np.isnan(table)).sum(1, keepdims=True)
    seeds, draws = table.shape
    if shared and seeds > 1 and draws > 1:
        return _pooled_variance(inside - inside.mean(0), (seeds - 1) * (draws - 1))
    return _pooled_variance(inside, int((~np.isnan(table)).sum()) - seeds)


def _pooled_variance(deviations: Array, df: int) -> float:
    return float(np.nansum(deviations**2)) / df if df > 0 else math.nan


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
