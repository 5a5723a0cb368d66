"""Does 2D RoPE keep spatial consistency better than learned positions? All that a study measured of it.

One measurement is a metric at a grid of tokens. Its value is a mean over the samplings of a network, and
what is compared are networks: the unit of intervals is the training seed, as everywhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis import stats
from analysis.judging.margin import nothing_learned
from analysis.numbers import half_width, metric_title
from analysis.study import Study, averaged, comparable, endpoint_rows, in_order
from experiments.records.definition import ArmRecord
from experiments.records.score import NOTHING

TRAINED = "trained"
NAMES = ["metric", "title", "tokens", "extrapolation", "better"]
"""columns that say which measurement a value is of"""
COLUMNS = [
    *(*NAMES, "endpoint", "arm", "seeds", "mean", "low", "high", "half"),
    *("reference", "paired", "pairs", "difference", "difference_low", "difference_high", "unit"),
]


@dataclass(frozen=True)
class Measure:
    """What one value of a metric says about the question.

    Attributes:
        metric: its name in scores.
        title: for readers.
        better: 'lower' or 'higher'.
        real: what real pictures get by definition, where the distance from them is what counts; else None.
        good: whether better values mean better pictures or a better velocity, and not just another network.
    """

    metric: str
    title: str
    better: str
    real: float | None = None
    good: bool = True


MEASURES = (
    Measure("layout_accuracy", "Layout accuracy", "higher"),
    Measure("layout_found", "Layout found", "higher"),
    Measure("seam", "Seam, off from real", "lower", real=0.0),
    Measure("shift_error_interior", "Shift error, interior", "lower", good=False),
    Measure("shift_error_border", "Shift error, border", "lower", good=False),
    Measure("held_out_loss", "Held-out loss", "lower"),
    Measure("bits_per_dim", "Bits per dimension", "lower"),
)
"""in the order of a report"""
_BY_METRIC = {one.metric: one for one in MEASURES}
_TENTHS = [f"held_out_loss_t{i}" for i in range(10)]


def subjects(study: Study) -> tuple[str, str] | None:
    """The arms that the question is about, of 2D RoPE and of learned positions; None where one is missing.

    Of several with a variant the first without settings of its own, else the first.
    """
    found = [_first(study.definition.arms, name) for name in ("rope2d", "learned")]
    return None if None in found else (str(found[0]), str(found[1]))


def _first(arms: Sequence[ArmRecord], variant: str) -> str | None:
    own = [arm for arm in arms if arm.spec.partition(":")[0] == variant and "+" not in arm.spec]
    plain = [arm for arm in own if not arm.overrides]
    return next((arm.label for arm in (*plain, *own)), None)


def networks(study: Study) -> pd.DataFrame:
    """Each measurement of each network, those of its usual pictures, of its velocity and at other grids.

    Returns:
        Columns NAMES, arm, seed, value; nothing of runs that failed or diverged. The value is the distance
        from real pictures where that is what counts. `tokens` is the trained grid or such as '12x12'.
    """
    rows = pd.concat([*_measured(study)], ignore_index=True)
    lost = study.cells.loc[study.cells["state"].isin(["failed", "diverged"]), "run_id"]
    rows = rows[~rows["run_id"].isin(lost)]
    real = rows["metric"].map({one.metric: one.real for one in MEASURES}).astype("float64")
    off = (rows["value"] - rows["real_floor"].fillna(real)).abs()
    titles = {
        name: _title(name, extractor)
        for name, extractor in zip(rows["metric"], rows["extractor"], strict=True)
    }
    rows = rows.assign(value=off.where(real.notna(), rows["value"]), title=rows["metric"].map(titles))
    order = [one.metric for one in MEASURES]
    places = rows["metric"].map(lambda name: order.index(name) if name in order else len(order))
    grids = rows["tokens"].where(rows["tokens"] != TRAINED, "")
    keys = pd.DataFrame(
        {"grid": grids, "by": rows["extrapolation"], "place": places, "metric": rows["metric"]}
    )
    rows = rows.loc[keys.sort_values([*keys.columns], kind="stable").index]
    return rows[[*NAMES, "arm", "seed", "value"]].reset_index(drop=True)


def loss_by_t(study: Study) -> pd.DataFrame:
    """Held-out loss of each network by tenth of t: arm, seed, t (the middle of its tenth), value."""
    rows = _of_velocity(study, _TENTHS)
    t = (rows["metric"].str.removeprefix("held_out_loss_t").astype("int64") + 0.5) / len(_TENTHS)
    return in_order(rows.assign(t=t), study.arms)[["arm", "seed", "t", "value"]]


def evidence(study: Study) -> pd.DataFrame:
    """Every measurement of the question by arm, and each arm's difference from the study's baseline.

    None where the study has not both arms of the question, or none of MEASURES. Where the baseline is
    another arm, the difference of 2D RoPE from learned positions is a row more.

    Columns:
        NAMES: which measurement; endpoint: whether it is the study's primary endpoint.
        arm, seeds, mean, low, high, half: its mean over seeds with the 95 % t interval.
        reference, paired, pairs: arm that it is compared with ('' for the baseline itself), whether seed by
            seed, and how many seeds.
        difference, difference_low, difference_high: arm minus reference, 95 %; not corrected for anything.
        unit: standard deviation of the baseline over its seeds.
    """
    asked, frame = subjects(study), networks(study)
    if asked is None or not frame["metric"].isin([*_BY_METRIC]).any():
        return pd.DataFrame(columns=COLUMNS)
    baseline = study.definition.baseline
    pairs = [(arm, baseline) for arm in study.arms if arm != baseline]
    pairs += [asked] if asked not in pairs else []
    rules = stats.Rules(paired=[pair for pair in pairs if study.is_paired(*pair)], margins={})
    groups = frame.groupby(NAMES, sort=False)
    rows = [{**dict(zip(NAMES, key, strict=True)), **row, "endpoint": _is_endpoint(study, key[0], key[2])}
            for key, own in groups for row in _rows(own, study.arms, pairs, rules, baseline)]  # fmt: skip
    return pd.DataFrame(rows)[COLUMNS]


def called(found: pd.DataFrame, arm: str, reference: str) -> pd.DataFrame:
    """One row a measurement: NAMES, good, and side: where the arm is put beside the reference.

    Args:
        found: what `evidence` gave.
        arm, reference: whose difference counts.

    Returns:
        `side` is above, below, open (the 95 % interval holds 0) or unknown (there is no interval).
    """
    turned = found[(found["arm"] == reference) & (found["reference"] == arm)]
    low, high = -turned["difference_high"], -turned["difference_low"]
    turned = turned.assign(difference_low=low, difference_high=high)
    rows = found[(found["arm"] == arm) & (found["reference"] == reference)]
    rows = rows if len(rows) else turned
    sign = np.where(rows["better"] == "higher", 1.0, -1.0)
    ends = np.sort(rows[["difference_low", "difference_high"]].to_numpy(dtype=float) * sign[:, None], axis=1)
    known = [np.isnan(ends).any(1), ends[:, 0] > 0, ends[:, 1] < 0]
    side = np.select(known, ["unknown", "above", "below"], "open")
    good = [_BY_METRIC[name].good if name in _BY_METRIC else True for name in rows["metric"]]
    return rows[NAMES].assign(good=good, side=side).reset_index(drop=True)


def may_conclude(study: Study) -> bool:
    """Whether a sentence may be made of the numbers: the study is whole, as sealed, and learned something."""
    return not (study.partial or study.withheld or nothing_learned(study))


def _measured(study: Study) -> Iterator[pd.DataFrame]:
    """Rows of scores: at the endpoint in all but the metric; of the velocity; at other grids of tokens."""
    end, free = study.definition.endpoint, ("metric", "extractor")
    rows = comparable(endpoint_rows(study.scores, study.definition, *free))
    known = rows["metric"].isin([*_BY_METRIC, end.metric])
    yield averaged(rows[known], end.samplings)
    yield _of_velocity(study, [*_BY_METRIC])
    rows = endpoint_rows(study.scores, study.definition, *free, "tokens", "extrapolation", samplings=1)
    rows = comparable(rows[rows["tokens"] != TRAINED])
    usual = rows["metric"].isin([*_BY_METRIC, end.metric]) | rows["metric"].str.match("f(i)?d($|_)")
    yield averaged(rows[usual], 1)


def _of_velocity(study: Study, metrics: Sequence[str]) -> pd.DataFrame:
    """Rows of what is measured without sampling, of the endpoint's weights; one a network and metric."""
    end, scores = study.definition.endpoint, study.scores
    same = (scores["sampler"] == NOTHING) & (scores["train_step"] == end.train_step)
    rows = scores[same & (scores["ema"] == end.ema) & scores["metric"].isin([*metrics])]
    return rows.drop_duplicates(["run_id", "metric"], keep="last")


def _rows(
    own: pd.DataFrame,
    arms: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    rules: stats.Rules,
    baseline: str,
) -> Iterator[dict[str, object]]:
    """Rows of one measurement: each arm that has it, and what is compared besides."""
    differences = {c.labels: c for c in stats.compare(own, (), rules, pairs)}
    values = {arm: own.loc[own["arm"] == arm, "value"].tolist() for arm in arms}
    of_baseline = values[baseline]
    unit = float(np.std(of_baseline, ddof=1)) if len(of_baseline) > 1 else np.nan
    for arm, reference in [*((arm, baseline) for arm in arms), *(p for p in pairs if p[1] != baseline)]:
        if not values[arm]:
            continue
        mean = stats.mean_interval(values[arm])
        row = {"arm": arm, "seeds": mean.n, "mean": mean.value, "low": mean.low, "high": mean.high,
               "half": half_width(mean), "unit": unit}  # fmt: skip
        c = differences.get((arm, reference))
        found = c.difference if c else stats.Interval(np.nan, np.nan, np.nan, 0)
        against = {"reference": reference if c else "", "paired": bool(c and c.paired), "pairs": found.n}
        yield row | against | {"difference": found.value, "difference_low": found.low,
                               "difference_high": found.high}  # fmt: skip


def _is_endpoint(study: Study, metric: object, tokens: object) -> bool:
    end = study.definition.endpoint
    return metric == end.metric and tokens == end.tokens


def _title(metric: str, extractor: str) -> str:
    return _BY_METRIC[metric].title if metric in _BY_METRIC else metric_title(metric, extractor)
