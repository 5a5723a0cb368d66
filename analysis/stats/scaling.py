"""How scores move with sample sizes and sampling seeds. Exploratory: intervals, no verdicts."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import special, stats

from analysis.stats.checks import check_values
from analysis.stats.intervals import Array, Interval
from rope_dit.errors import UserError


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
