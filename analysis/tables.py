"""Tables of a report, as tidy frames: the same that its CSV files hold."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis import stats
from analysis.numbers import half_width, value_of
from analysis.study import Study, averaged, comparable, endpoint_rows, endpoint_scores, in_order
from experiments.records.score import MOST_SAMPLINGS, NOTHING

_FIRST = ("precision", "recall", "kid")  # the metrics beside the endpoint, in this order; others follow
_INTERVALS, _NEEDED = ("difference", "equivalence", "gain", "later"), ("for_equivalence", "for_difference")
_SPEED, _MEMORY = "train/images_per_second", "system/peak_memory_mib"


def values(study: Study) -> pd.DataFrame:
    """Every seed's score at the primary endpoint: arm, seed, state, value, real_floor, message, run_id."""
    scored = study.cells.merge(study.endpoint(), on=["arm", "seed"], how="left")
    return scored[["arm", "seed", "state", "value", "real_floor", "message", "run_id"]]


def comparison_table(compared: list[stats.Comparison]) -> pd.DataFrame:
    """The comparisons as a frame: a row each.

    Intervals have a column each for value, `_low` and `_high`, and so have needed seeds; lost seeds are text,
    such as 'failed 2'.
    """
    first = ("arm", "reference", "verdict")
    rows = [
        {key: value for name in (*first, *vars(c)) for key, value in _columns(name, getattr(c, name))}
        for c in compared
    ]
    return pd.DataFrame(rows)


def _columns(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Columns of one field of a comparison."""
    if name in _INTERVALS or name in _NEEDED:
        middle = "value" if name in _INTERVALS else "seeds"
        for end, key in ((middle, name), ("low", f"{name}_low"), ("high", f"{name}_high")):
            yield key, getattr(value, end, None)
    elif isinstance(value, Mapping):
        yield name, ", ".join(f"{state} {count}" for state, count in value.items() if count)
    else:
        yield name, value


def main_table(study: Study, curves: pd.DataFrame) -> pd.DataFrame:
    """One row an arm: its score, other metrics and costs.

    Columns:
        arm, spec; seeds (scored), planned, diverged, failed.
        mean, low, high, half: of the primary endpoint over seeds, with its 95 % t interval; real_floor.
        held_out, held_out_half: the endpoint against held-out pictures; held_out_floor: what training
        pictures score against them; nan where a seed has none.
        NAME, NAME_half: every other metric of the same pictures, mean over seeds and half-width.
        parameters, parameters_variant; images_per_second: of training, median of a run, mean over seeds;
        peak_memory_mib: largest; run_seconds: start of training to the endpoint's score, median over seeds;
        sampling_seconds: for 1,000 pictures of the endpoint's sampler; nfe; gflops: of one such picture;
        gflops_forward: of one evaluation of the network on one; step_time: seconds of a training step over
        those of the arm that `step_time_against` names (`cost_reference`).
    """
    others = _other_metrics(study)
    # a mean of the rest would hide them
    wrong = endpoint_rows(study.doubted, study.definition, "metric", "extractor")
    rows = []
    for arm in study.definition.arms:
        row = {"arm": arm.label, "spec": arm.text, **_score(study, arm.label), **_held_out(study, arm.label)}
        for metric, scores in others.groupby("metric", sort=False):
            own = scores.loc[scores["arm"] == arm.label, "value"]
            doubtful = (wrong["arm"] == arm.label) & (wrong["metric"] == metric)
            row |= _with_half(str(metric), own.iloc[:0] if doubtful.any() else own)
        rows.append(row | _cost(study, arm.label, curves))
    found = pd.DataFrame(rows)
    against = cost_reference(study)
    slow = found.loc[found["arm"] == against, "images_per_second"].iloc[0]
    return found.assign(step_time=slow / found["images_per_second"], step_time_against=against)


def cost_reference(study: Study) -> str:
    """The arm that costs are held against: the first with the variant `none` and no settings of its own.

    The study's baseline where there is none.
    """
    plain = [arm.label for arm in study.definition.arms if arm.spec == "none" and not arm.overrides]
    return next(iter(plain), study.definition.baseline)


def is_distance(study: Study) -> bool:
    """Whether the endpoint is a Frechet distance, which is measured from held-out pictures too."""
    end = study.definition.endpoint
    return value_of(end.metric, end.extractor) in ("fd", "fid")


def other_metrics(study: Study) -> dict[str, str]:
    """Metrics beside the endpoint's own with the direction that is better, in the main table's order."""
    rows = _other_metrics(study).drop_duplicates("metric")
    return dict(zip(rows["metric"], rows["better"], strict=True))


def sampler_table(study: Study) -> pd.DataFrame:
    """Final scores under samplers of equal NFE: nfe, sampler, arm, mean, low, high, half, seeds.

    Only NFEs at which two samplers or more were scored; an adaptive sampler's are rounded.
    """
    rows = final_scores(study).assign(nfe=lambda f: f["nfe"].round().astype("int64"))
    shared = rows.groupby("nfe")["sampler"].nunique().loc[lambda count: count > 1].index
    found = []
    for (nfe, sampler, arm), own in rows[rows["nfe"].isin(shared)].groupby(["nfe", "sampler", "arm"]):
        found.append({"nfe": nfe, "sampler": sampler, "arm": arm, **_interval(own["value"])})
    columns = ["nfe", "sampler", "arm", "mean", "low", "high", "half", "seeds"]
    return pd.DataFrame(found, columns=columns)


def stability_table(study: Study) -> pd.DataFrame:
    """Is the arms' ranking at the endpoint that of other ways to score the same networks? A row a way.

    Columns:
        what: in what it is another: metric, encoder (and so metric), sampler, n or step (and so n).
        other: that metric, sampler, n or step, as text.
        nfe: network evaluations an image, mean over networks.
        tau, low, high: Kendall's tau between both, see `stats.kendall_tau`; nan where the arms tie.
    """
    here = _with_way(study.endpoint(), "", study.definition.endpoint.better)
    rows = []
    for what, other, found in _ways(study):
        own = found.merge(here[["arm", "seed"]], on=["arm", "seed"])  # of networks that the endpoint has
        if own.empty:
            continue
        both = pd.concat([here, _with_way(own, other, own["better"].iloc[0])])
        tau = stats.kendall_tau(both, "way", np.random.default_rng(0)).iloc[0]
        rows.append((what, other, float(own["nfe"].mean()), tau["tau"], tau["low"], tau["high"]))
    return pd.DataFrame(rows, columns=["what", "other", "nfe", "tau", "low", "high"])


def _ways(study: Study) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Scores that differ from the endpoint in one thing: what it is, its name, a row a network."""
    scores, definition = study.scores, study.definition
    end = definition.endpoint
    for metric, own in _other_metrics(study).groupby("metric", sort=False):
        same = own["extractor"].iloc[0] in (end.extractor, NOTHING)
        yield "metric" if same else "encoder", str(metric), own
    for sampler, own in final_scores(study).groupby("sampler"):
        if sampler != end.sampler:
            yield "sampler", str(sampler), own
    for n, own in size_scores(study).groupby("n"):
        if n != end.n:
            yield "n", f"n = {n:,}", own
    on_the_way = endpoint_scores(scores, definition, "train_step", "n", samplings=1)
    for (step, size), own in on_the_way.groupby(["train_step", "n"]):
        if step != end.train_step:
            yield "step", f"step {step:,}, n = {size:,}", own


def _with_way(rows: pd.DataFrame, way: str, better: str) -> pd.DataFrame:
    """Arm, seed, value of which lower are better, and the way in which it was scored."""
    value = rows["value"] if better == "lower" else -rows["value"]
    return rows[["arm", "seed"]].assign(value=value, way=way)


def spread_table(study: Study) -> pd.DataFrame:
    """Retraining spread and resampling spread of each arm at the endpoint, as `stats.spreads` gives them.

    Of all samplings that there are, those that were added after the study's first start too.
    """
    rows = comparable(endpoint_rows(study.scores, study.definition, samplings=MOST_SAMPLINGS))
    return stats.spreads(in_order(rows, study.arms)[["arm", "seed", "sampling_seed", "value"]])


def infinity_table(study: Study) -> pd.DataFrame:
    """Score against n: arm, n, mean, low, high, half, seeds, error; rows with n = inf are the regression's.

    The line is fitted to each seed by itself; its interval and standard `error` are over seeds, as all others
    are.
    """
    rows = size_scores(study)
    if rows["n"].nunique() < 2:
        return pd.DataFrame(columns=["arm", "n", "mean", "low", "high", "half", "seeds", "error"])
    found = []
    for arm in study.arms:
        own = rows[rows["arm"] == arm]
        sizes = sorted(set(own["n"]))
        found += [{"arm": arm, "n": n, **_with_error(own.loc[own["n"] == n, "value"])} for n in sizes]
        limits = pd.Series(list(_limits(own)), dtype="float64")
        if len(limits):
            found.append({"arm": arm, "n": np.inf, **_with_error(limits)})
    return pd.DataFrame(found).astype({"n": "float64"})


def average_table(study: Study) -> pd.DataFrame:
    """The endpoint by average of the weights: average, arm, mean, low, high, half, seeds; none where one is.

    The endpoint's own average comes first.
    """
    rows = endpoint_scores(study.scores, study.definition, "ema")
    names = sorted(set(rows["ema"]), key=lambda name: (name != study.definition.endpoint.ema, name))
    found = []
    for name in names if len(names) > 1 else ():
        for arm in study.arms:
            own = rows.loc[(rows["ema"] == name) & (rows["arm"] == arm), "value"]
            found.append({"average": name, "arm": arm, **_interval(own)})
    return pd.DataFrame(found, columns=["average", "arm", "mean", "low", "high", "half", "seeds"])


def final_scores(study: Study) -> pd.DataFrame:
    """Scores of the endpoint's metric, n and guidance at the last step, by sampler; means of samplings."""
    return endpoint_scores(study.scores, study.definition, "sampler")


def size_scores(study: Study) -> pd.DataFrame:
    """Scores at the endpoint in all but n; means of samplings."""
    return endpoint_scores(study.scores, study.definition, "n")


def curve_scores(study: Study) -> pd.DataFrame:
    """Scores of the endpoint's metric and sampler over training, at the n with the most steps.

    Of the first sampling of each network, for on the way there is no other.
    """
    rows = endpoint_scores(study.scores, study.definition, "train_step", "n", samplings=1)
    if rows.empty:
        return rows
    steps = rows.groupby("n")["train_step"].nunique()
    usual = study.definition.endpoint.n
    best: pd.DataFrame = rows[rows["n"] == max(steps.index, key=lambda n: (steps[n], n == usual))]
    return best


def _with_error(values: "pd.Series[float]") -> dict[str, float]:
    """Interval of the mean, and its standard error over seeds; nan of one."""
    return {**_interval(values), "error": float(values.std(ddof=1) / np.sqrt(len(values)))}


def _limits(own: pd.DataFrame) -> Iterator[float]:
    for _, seed in own.groupby("seed"):
        if seed["n"].nunique() > 1:
            yield stats.at_infinity(list(seed["n"]), list(seed["value"])).value


def _other_metrics(study: Study) -> pd.DataFrame:
    rows = endpoint_scores(study.scores, study.definition, "metric", "extractor")
    extractor = study.definition.endpoint.extractor
    places = rows["metric"].map(lambda name: (_place(value_of(name, extractor)), name))
    places = places.sort_values(kind="stable")
    rows = rows.loc[places.index]
    others: pd.DataFrame = rows[rows["metric"] != study.definition.endpoint.metric]
    return others


def _place(value: str) -> int:
    return _FIRST.index(value) if value in _FIRST else len(_FIRST)


def _score(study: Study, arm: str) -> dict[str, float]:
    cells = study.cells[study.cells["arm"] == arm]
    scored = study.endpoint()
    scored = scored[scored["arm"] == arm]
    return {
        "planned": len(cells),
        "diverged": int((cells["state"] == "diverged").sum()),
        "failed": int((cells["state"] == "failed").sum()),
        **_interval(scored["value"]),
        "real_floor": float(scored["real_floor"].mean()),
    }


def _held_out(study: Study, arm: str) -> dict[str, float]:
    rows = comparable(endpoint_rows(study.scores, study.definition))
    own = rows[rows["arm"] == arm].groupby("seed")[["held_out", "held_out_floor"]].mean()
    known = own if own.notna().all(axis=None) else own.iloc[:0]  # a mean of the rest would hide them
    return {**_with_half("held_out", known["held_out"]), "held_out_floor": known["held_out_floor"].mean()}


def _cost(study: Study, arm: str, curves: pd.DataFrame) -> dict[str, float]:
    runs = study.runs[study.runs["arm"] == arm]
    rows = averaged(endpoint_rows(study.scores, study.definition), study.definition.endpoint.samplings)
    rows = rows[rows["arm"] == arm]
    own = curves[curves["run_id"].isin(runs["run_id"])]
    speed = own[own["key"] == _SPEED].groupby("run_id")["value"].median()
    timed = rows.merge(runs[["run_id", "started"]], on="run_id")
    flops = float(runs["flops_per_image"].max()) if len(runs) else np.nan
    nfe = float(rows["nfe"].mean())
    return {
        "parameters": float(runs["parameters"].max()) if len(runs) else np.nan,
        "parameters_variant": float(runs["parameters_variant"].max()) if len(runs) else np.nan,
        "images_per_second": float(speed.mean()),
        "peak_memory_mib": float(own.loc[own["key"] == _MEMORY, "value"].max()),
        "run_seconds": float((timed["time"] - timed["started"]).dt.total_seconds().median()),
        "sampling_seconds": float((rows["sampling_seconds"] * 1000 / rows["n"].astype("float64")).mean()),
        "nfe": nfe,
        "gflops": flops * nfe / 1e9,
        "gflops_forward": flops / 1e9,
    }


def _interval(scores: "pd.Series[float]") -> dict[str, float]:
    if scores.empty:
        return {"mean": np.nan, "low": np.nan, "high": np.nan, "half": np.nan, "seeds": 0}
    found = stats.mean_interval(list(scores))
    ends = {"low": found.low, "high": found.high, "half": half_width(found)}
    return {"mean": found.value, **ends, "seeds": found.n}


def _with_half(name: str, scores: "pd.Series[float]") -> dict[str, float]:
    found = _interval(scores)
    return {name: found["mean"], f"{name}_half": found["half"]}
