"""What the noise of an evaluation adds to scores, from networks that were all scored with the same draws."""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from analysis.stats.checks import check_values
from analysis.stats.intervals import Array
from rope_dit.errors import UserError


def evaluation_noise(values: pd.DataFrame, seeds: Sequence[int] = (6, 7, 20)) -> pd.DataFrame:
    """Variance components of one score, score = mean + network + draw + rest, of each arm and difference.

    By the two-way analysis of variance with random effects and one score a cell; a component below 0 is given
    as 0. A difference is that of two arms' networks of one training seed under one draw.

    Args:
        values: columns arm, seed, sampling_seed, value; every network scored with the same sampling seeds.
        seeds: numbers of training seeds for which coverage is wanted.

    Returns:
        One row an arm, then one a pair of arms, called 'b - a': arm; networks, draws (counts); network, draw,
        rest: variances, draw that of what one draw does to all networks alike; apart: variance of a pair's
        difference if its arms did not share their draws, nan for an arm; coverage_N: `coverage_fixed` at N.

    Raises:
        UserError: a missing column, a value that is not finite, fewer than two networks of an arm or draws,
            or networks that were scored with other draws than the rest.
    """
    check_values(values, ["arm", "seed", "sampling_seed"])
    tables = {
        str(arm): own.pivot(index="seed", columns="sampling_seed", values="value")
        for arm, own in values.groupby("arm", sort=False)
    }
    first = next(iter(tables.values()))
    for arm, table in tables.items():
        if not (table.index.equals(first.index) and table.columns.equals(first.columns)):
            raise UserError(f"arm {arm} has other seeds than the first; all networks need the same draws.")
        if min(table.shape) < 2 or bool(table.isna().to_numpy().any()):
            raise UserError(f"arm {arm} needs two networks, and two draws that all of them were scored with.")
    found = {arm: components(table.to_numpy(dtype=np.float64)) for arm, table in tables.items()}
    rows: list[dict[str, Any]] = [{"arm": arm, **parts, "apart": math.nan} for arm, parts in found.items()]
    for a, b in combinations(tables, 2):
        parts = components((tables[b] - tables[a]).to_numpy(dtype=np.float64))
        noise = sum(found[arm][part] for arm in (a, b) for part in ("draw", "rest"))
        rows.append({"arm": f"{b} - {a}", **parts, "apart": parts["network"] + noise})
    for row in rows:
        row |= {f"coverage_{n}": coverage_fixed(n, row["draw"], row["network"] + row["rest"]) for n in seeds}
    counts = {"networks": first.shape[0], "draws": first.shape[1]}
    return pd.DataFrame(rows).assign(**counts)[["arm", *counts, *list(rows[0])[1:]]]


def components(table: Array) -> dict[str, float]:
    """Variances network, draw and rest of a table [networks, draws] without gaps, none below 0.

    >>> components(np.array([[1.0, 2.0], [3.0, 4.0]]))  # nothing but networks and draws
    {'network': 2.0, 'draw': 0.5, 'rest': 0.0}
    """
    networks, draws = table.shape
    rows, columns = table.mean(1, keepdims=True), table.mean(0, keepdims=True)
    rest = float(((table - rows - columns + table.mean()) ** 2).sum()) / ((networks - 1) * (draws - 1))
    network = float(rows.var(ddof=1)) - rest / draws
    draw = float(columns.var(ddof=1)) - rest / networks
    return {"network": max(0.0, network), "draw": max(0.0, draw), "rest": rest}


def coverage_fixed(n: int, draw: float, spread: float) -> float:
    """How often a mean's 95 % t interval over `n` seeds covers, when all are scored with one common draw.

    The draw moves every score alike, so the interval, made of their spread, does not hold its variance; more
    seeds narrow the interval and leave the draw where it is. With a draw for each seed it is 95 %.

    Args:
        n: seeds, at least two.
        draw: variance of what a draw does to all scores alike.
        spread: variance between scores of one draw.

    >>> round(coverage_fixed(7, 0.0399, 0.163), 2), round(coverage_fixed(20, 0.0399, 0.163), 2)
    (0.81, 0.6)
    """
    if spread <= 0:
        return 0.0 if draw > 0 else math.nan
    wider = math.sqrt(1 + n * draw / spread)
    inside = special.stdtr(n - 1, special.stdtrit(n - 1, 0.975) / wider)
    return float(2 * inside - 1)
