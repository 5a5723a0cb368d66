"""Tables as readers see them: frames turned into rows of text, for the page, Markdown and LaTeX alike."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from analysis import tables
from analysis.numbers import (
    NONE,
    bounds,
    decimals_of,
    duration,
    fixed,
    flops,
    metric_title,
    p_value,
    plus_minus,
    significant,
    value_of,
)
from analysis.page import provenance
from analysis.stats import Comparison, Needed
from analysis.study import Study


@dataclass(frozen=True)
class Column:
    """Head of a column.

    Attributes:
        title: what stands there.
        better: 'lower' or 'higher', or '' where neither is.
        number: whether its cells are numbers, which stand right.
        wraps: whether its cells may take several lines.
    """

    title: str
    better: str = ""
    number: bool = True
    wraps: bool = False


@dataclass(frozen=True)
class TextTable:
    """A table of texts.

    Attributes:
        columns: their heads.
        rows: cells as text, a list a row.
        arms: arm of each row, whose colour stands before its first cell; empty where rows are no arms.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    arms: Sequence[str] = field(default_factory=tuple)


_ARM = Column("Arm", number=False)


def scores(study: Study, main: pd.DataFrame) -> TextTable:
    """The main table: the endpoint, distances from held-out pictures, each seed, and the other metrics."""
    end, others = study.definition.endpoint, tables.other_metrics(study)
    title = metric_title(end.metric, end.extractor, end.n)
    apart = [Column("From held-out (floor)", end.better)] if tables.is_distance(study) else []
    columns = [
        _ARM, Column("Seeds"), Column(title, end.better), Column("Real floor"),
        *apart, Column("Each seed", wraps=True), Column("Diverged"),
        *(
            Column(metric_title(value_of(name, end.extractor), "", end.n), better)
            for name, better in others.items()
        ),
    ]  # fmt: skip
    rows = []
    for row in main.to_dict("records"):
        decimals = decimals_of(row["half"], row["mean"])
        counted = f"{row['seeds']} of {row['planned']}"
        rows.append([
            row["arm"], counted, plus_minus(row["mean"], row["half"]),
            significant(row["real_floor"], 3),
            *(_held_out(row) for _ in apart),
            _each_seed(study, row["arm"], decimals + 1), f"{row['diverged']} of {row['planned']}",
            *(plus_minus(row[name], row[f"{name}_half"]) for name in others),
        ])  # fmt: skip
    return TextTable(columns, rows, list(main["arm"]))


def _held_out(row: Mapping[Hashable, Any]) -> str:
    """Distance from held-out pictures, and that of training pictures."""
    floor = significant(row["held_out_floor"], 3)
    return NONE if floor == NONE else f"{plus_minus(row['held_out'], row['held_out_half'])} ({floor})"


def costs(main: pd.DataFrame) -> TextTable:
    """What each arm costs."""
    against = main["step_time_against"].iloc[0]
    columns = [
        _ARM, Column("Specification", number=False, wraps=True),
        Column("Parameters"), Column("of the embedding"),
        Column("FLOP a forward pass", "lower"),
        Column("Training, images/s", "higher"), Column(f"A step, {against} = 1", "lower"),
        Column("Peak memory, MiB", "lower"), Column("A run", "lower"),
        Column("Sampling 1,000 images", "lower"), Column("NFE"), Column("FLOP an image", "lower"),
    ]  # fmt: skip
    rows = [
        [
            row["arm"], row["spec"], _whole(row["parameters"]), _whole(row["parameters_variant"]),
            flops(row["gflops_forward"]), significant(row["images_per_second"], 3),
            fixed(row["step_time"], 2), significant(row["peak_memory_mib"], 4),
            duration(row["run_seconds"]), duration(row["sampling_seconds"]), _count(row["nfe"]),
            flops(row["gflops"]),
        ]
        for row in main.to_dict("records")
    ]  # fmt: skip
    return TextTable(columns, rows, list(main["arm"]))


def comparisons(compared: Sequence[Comparison]) -> TextTable:
    """The numbers behind the verdicts."""
    levels = sorted({f"{100 * (1 - c.level):.4g}" for c in compared}, key=float)
    columns = [
        _ARM, Column("against", number=False), Column("Difference"),
        Column(f"{' or '.join(levels)} % interval"),
        Column("Median"), Column("Margin"), Column("p"), Column("Adjusted p"), Column("Skewness p"),
        Column("Sign-flip p (least)"), Column("Equivalence p"), Column("Seeds"),
        Column("Seeds to equivalence"), Column("Seeds to tell apart"), Column("Verdict", number=False),
    ]  # fmt: skip
    rows = []
    for c in compared:
        p = lambda p, c=c: p_value(p, c.level)  # noqa: E731
        decimals = decimals_of((c.difference.high - c.difference.low) / 2, c.difference.value)
        flips = NONE if math.isnan(c.sign_flip_p) else f"{p(c.sign_flip_p)} ({p(c.sign_flip_floor)})"
        rows.append([
            c.arm, c.reference, fixed(c.difference.value, decimals), bounds(c.difference),
            fixed(c.median, decimals), significant(c.margin, 2), p(c.p), p(c.p_difference),
            p(c.p_skewed), flips, p(c.p_inside), str(c.n), _needed(c.for_equivalence),
            _needed(c.for_difference), c.verdict,
        ])  # fmt: skip
    return TextTable(columns, rows, [c.arm for c in compared])


def _needed(needed: Needed | None) -> str:
    """Seeds, with their range."""
    if needed is None or needed.seeds is None:
        return NONE
    return f"{needed.seeds:,} ({needed.low:,} to {'more' if needed.high is None else f'{needed.high:,}'})"


def samplers(table: pd.DataFrame, study: Study) -> TextTable:
    """Arms by sampler, at equal NFE."""
    better = study.definition.endpoint.better
    columns = [Column("NFE"), Column("Sampler", number=False), *(Column(arm, better) for arm in study.arms)]
    rows = []
    for (nfe, sampler), own in table.groupby(["nfe", "sampler"]):
        cells = {row["arm"]: plus_minus(row["mean"], row["half"]) for row in own.to_dict("records")}
        rows.append([str(nfe), str(sampler), *(cells.get(arm, NONE) for arm in study.arms)])
    return TextTable(columns, rows)


def stability(table: pd.DataFrame) -> TextTable:
    """Kendall's tau between the endpoint and other ways to score the same networks."""
    columns = [Column("Another", number=False), Column("namely", number=False), Column("NFE"),
               Column("Kendall's tau"), Column("95 % interval")]  # fmt: skip
    rows = [
        [
            row["what"], row["other"], _count(row["nfe"]), fixed(row["tau"], 2),
            _span(row["low"], row["high"], 2),
        ]
        for row in table.to_dict("records")
    ]  # fmt: skip
    return TextTable(columns, rows)


def spreads(table: pd.DataFrame) -> TextTable:
    """Retraining spread and resampling spread."""
    columns = [_ARM, Column("Retraining spread"), Column("Resampling spread"), Column("Ratio"),
               Column("Coefficient of variation"), Column("Seeds"), Column("Sampling seeds")]  # fmt: skip
    rows = [
        [
            row["arm"], significant(row["retraining"], 3), significant(row["resampling"], 3),
            fixed(row["ratio"], 2), NONE if math.isnan(row["cv"]) else f"{row['cv']:.1%}",
            str(row["seeds"]), str(row["sampling_seeds"]),
        ]
        for row in table.to_dict("records")
    ]  # fmt: skip
    return TextTable(columns, rows, list(table["arm"]))


def sizes(table: pd.DataFrame, study: Study) -> TextTable:
    """Score by n, and at infinity with its standard error."""
    sizes = sorted(set(table["n"]))
    better = study.definition.endpoint.better
    heads = [Column("at infinity" if math.isinf(n) else f"n = {n:,.0f}", better) for n in sizes]
    heads += [Column("Standard error at infinity")] if sizes and math.isinf(sizes[-1]) else []
    rows = []
    for arm in (arm for arm in study.arms if (table["arm"] == arm).any()):
        own = table[table["arm"] == arm].set_index("n")
        cells = [plus_minus(own["mean"].get(n, math.nan), own["half"].get(n, math.nan)) for n in sizes]
        cells += [significant(own["error"].get(n, math.nan), 2) for n in sizes if math.isinf(n)]
        rows.append([arm, *cells])
    return TextTable([_ARM, *heads], rows, [row[0] for row in rows])


def averages(table: pd.DataFrame, study: Study) -> TextTable:
    """Arms by average of the weights."""
    better = study.definition.endpoint.better
    columns = [Column("Weights", number=False), *(Column(arm, better) for arm in study.arms)]
    rows = []
    for name, own in table.groupby("average", sort=False):
        scores = {row["arm"]: plus_minus(row["mean"], row["half"]) for row in own.to_dict("records")}
        rows.append([str(name), *(scores[arm] for arm in study.arms)])
    return TextTable(columns, rows)


def cells(study: Study) -> TextTable:
    """A line a cell: what became of it and which run it is."""
    names = ["Seed", "State", "Run", "Fingerprint", "Commit", "Started"]
    columns = [_ARM, *(Column(name, number=name == "Seed") for name in names)]
    runs = study.runs.set_index("run_id")
    rows = []
    for cell in study.cells.to_dict("records"):
        row = [cell["arm"], str(cell["seed"]), cell["state"], cell["run_id"] or NONE]
        if cell["run_id"]:
            run = runs.loc[cell["run_id"]]
            row += [
                run["fingerprint"][:12],
                _commit(run["git_commit"]),
                f"{run['started']:%Y-%m-%d %H:%M} UTC",
            ]
        rows.append(row + [NONE] * (len(columns) - len(row)))
    return TextTable(columns, rows, list(study.cells["arm"]))


def groups(study: Study) -> TextTable:
    """Which scores compare."""
    heads = ["Extractor", "its weights", "Reference", "Reference pictures", "n", "EMA", "Tokens"]
    heads += ["Scores", "Arms"]
    numbers = {"Reference pictures", "n", "Scores", "Arms"}
    columns = [*(Column(head, number=head in numbers) for head in heads), Column("Compares?", number=False)]
    rows = [
        [
            row["extractor"], row["extractor_sha256"][:12], row["reference_sha256"][:12],
            _whole(row["n_real"]), _whole(row["n"]), row["ema"], _tokens(row),
            f"{row['rows']:,}", str(row["arms"]),
            f"no: {row['differs']}" if row["differs"] else "as the endpoint",
        ]
        for row in provenance.score_groups(study).to_dict("records")
    ]  # fmt: skip
    return TextTable(columns, rows)


def _tokens(row: Mapping[Hashable, Any]) -> str:
    """Grid of tokens of scores, and what was done about it."""
    form = str(row["extrapolation"])
    return f"{row['tokens']}" + ("" if form == "none" else f", {form}")


def machines(study: Study) -> TextTable:
    """Which machines and versions made the runs."""
    columns = [Column(name, number=name == "Runs") for name in ("Device", "torch", "Commit", "Host", "Runs")]
    rows = [
        [row["device"], row["torch"], _commit(row["git_commit"]), row["host"], str(row["runs"])]
        for row in provenance.machines(study).to_dict("records")
    ]
    return TextTable(columns, rows)


def _each_seed(study: Study, arm: str, decimals: int) -> str:
    scored = tables.values(study)
    own = scored[scored["arm"] == arm]
    return "  ".join(
        row["state"] if math.isnan(row["value"]) else fixed(row["value"], decimals)
        for row in own.to_dict("records")
    )


def _commit(text: str) -> str:
    commit, _, changes = text.partition("+")
    return (commit[:12] or NONE) + (" + changes" if changes else "")


def _count(number: float) -> str:
    return NONE if math.isnan(number) else f"{number:.4g}"


def _whole(number: float) -> str:
    return NONE if pd.isna(number) or number < 0 else f"{number:,.0f}"


def _span(low: float, high: float, decimals: int) -> str:
    return NONE if math.isnan(low) else f"{fixed(low, decimals)} to {fixed(high, decimals)}"
