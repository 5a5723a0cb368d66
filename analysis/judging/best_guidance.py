"""The secondary endpoint best_guidance: each arm at its own best guidance and average, cross-fitted.

One guidance for all arms may suit one of them. But the best of several scores flatters whoever varies most,
so what is chosen on one half of the samplings of each network is scored on the other half, and the other
way round. Which choices there are was sealed before the first run.
"""

from typing import Any

import pandas as pd

from analysis import stats
from analysis.numbers import half_width
from analysis.study import Study, comparable, endpoint_rows, in_order
from experiments.records.score import guidance_text, sampling_index

HALVES = ("even", "odd")
"""of the samplings by their index"""
COLUMNS = [
    *("arm", "guidance_even", "average_even", "guidance_odd", "average_odd", "nfe", "seeds"),
    *("mean", "low", "high", "half", "reference", "paired", "difference"),
    *("difference_low", "difference_high"),
]


def best_guidance(study: Study) -> pd.DataFrame:
    """One row an arm; none where the study did not declare the endpoint or has no scores of it.

    Columns:
        guidance_even, average_even: what was chosen on the even samplings, and scored on the odd ones;
            guidance_odd, average_odd: the other way round.
        nfe: network evaluations a picture, mean of both.
        seeds, mean, low, high, half: of the mean of both scores over training seeds, 95 % t interval.
        reference, paired, difference, difference_low, difference_high: from the study's baseline, 95 %.
    """
    table = _table(study)
    if table.empty:
        return pd.DataFrame(columns=COLUMNS)
    baseline, values = study.definition.baseline, _crossed(study, table)
    pairs = [(arm, baseline) for arm in study.arms if arm != baseline]
    rules = stats.Rules(paired=[pair for pair in pairs if study.is_paired(*pair)], margins={})
    differences = {c.arm: c for c in stats.compare(values, (), rules, pairs)}
    rows = []
    for arm, own in table.groupby("arm", sort=False):
        chosen = {half: _best(study, own, half) for half in HALVES}
        mean = stats.mean_interval(values.loc[values["arm"] == arm, "value"].tolist())
        row: dict[str, Any] = {f"{name}_{half}": text for half, choice in chosen.items()
               for name, text in zip(("guidance", "average"), choice, strict=True)}  # fmt: skip
        used = own[own[["guidance", "ema"]].apply(tuple, axis=1).isin([*chosen.values()])]
        row |= {"arm": str(arm), "nfe": float(used["nfe"].mean()), "seeds": mean.n, "mean": mean.value,
                "low": mean.low, "high": mean.high, "half": half_width(mean)}  # fmt: skip
        if c := differences.get(str(arm)):
            row |= {"reference": c.reference, "paired": c.paired, "difference": c.difference.value,
                    "difference_low": c.difference.low, "difference_high": c.difference.high}  # fmt: skip
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS).fillna({"reference": "", "paired": False})


def crossed(study: Study) -> pd.DataFrame:
    """Arm, seed, value: mean of the scores on each half of what its arm chose on the other."""
    return _crossed(study, _table(study))


def _crossed(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    found = []
    for arm, own in table.groupby("arm", sort=False):
        for half, other in (HALVES, HALVES[::-1]):
            guidance, average = _best(study, own, half)
            scored = own[(own["half"] == other) & (own["guidance"] == guidance) & (own["ema"] == average)]
            found.append(scored.assign(arm=arm)[["arm", "seed", "value"]])
    if not found:
        return pd.DataFrame(columns=["arm", "seed", "value"])
    means = pd.concat(found).groupby(["arm", "seed"], as_index=False)[["value"]].mean()
    return in_order(means, study.arms)


def _best(study: Study, own: pd.DataFrame, half: str) -> tuple[str, str]:
    """Guidance and average that are best in the mean over an arm's networks; of equals the first choice."""
    means = own[own["half"] == half].groupby(["guidance", "ema"])["value"].mean()
    values = [means[choice] for choice in _choices(study)]
    best = min(values) if study.definition.endpoint.better == "lower" else max(values)
    return _choices(study)[values.index(best)]


def _choices(study: Study) -> list[tuple[str, str]]:
    return [(guidance_text(guidance), average) for guidance, average in study.definition.best_guidance]


def _table(study: Study) -> pd.DataFrame:
    """Scores of each network by half and choice: arm, seed, half, guidance, ema, value, nfe.

    Of networks that have all choices in all samplings of the endpoint; means over the samplings of a half.
    """
    choices, samplings = _choices(study), study.definition.endpoint.samplings
    rows = comparable(endpoint_rows(study.scores, study.definition, "guidance", "ema"))
    lost = study.cells.loc[study.cells["state"].isin(["failed", "diverged"]), "run_id"]
    pairs = rows[["guidance", "ema"]].apply(tuple, axis=1).isin(choices)
    rows = rows[pairs & ~rows["run_id"].isin(lost)] if choices else rows.iloc[:0]
    if rows.empty:
        return pd.DataFrame(columns=["arm", "seed", "half", "guidance", "ema", "value", "nfe"])
    index = rows["sampling_seed"].map(sampling_index)
    rows = rows.assign(half=index.map(lambda i: HALVES[i % 2]))
    whole = rows.groupby("run_id")["value"].transform("size") == len(choices) * samplings
    by = ["arm", "seed", "half", "guidance", "ema"]
    means = rows[whole].groupby(by, as_index=False)[["value", "nfe"]].mean()
    return in_order(means, study.arms)
