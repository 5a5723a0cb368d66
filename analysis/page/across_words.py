"""Sentences and tables of a comparison of studies, made from its numbers."""

import math
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import pandas as pd

from analysis.judging.across import Across
from analysis.numbers import (
    NONE,
    bounds,
    decimals_of,
    fixed,
    half_width,
    metric_title,
    plus_minus,
    significant,
)
from analysis.page import words
from analysis.page.text_tables import Column, TextTable
from analysis.stats import Interval
from analysis.stats.between import FEWEST_SEEDS
from rope_dit.words import listed

MIND = (
    "A verdict is one of its data set: rankings were found to correlate badly between data sets "
    "(arXiv:2606.24888). What is computed between studies is exploratory, with intervals and no verdicts."
)
UNITS = {"gap": "shares of the distance from the real floor", "spread": "retraining spreads"}
"""of gains, in words"""


def headlines(found: Across) -> list[str]:
    """The verdict of each study in a sentence."""
    return [f"{side.study.name}: {words.headline(side.study, side.compared)}" for side in found.sides]


def rankings(found: Across) -> list[str]:
    """Whether each pair of studies ranks the arms alike; proof is an interval that excludes 0."""
    return [_ranking(row) for row in found.taus.to_dict("records")]


def _ranking(row: Mapping[Hashable, Any]) -> str:
    pair = f"{row['first']} and {row['second']}"
    if math.isnan(row["tau"]):
        return f"{pair} have too few arms in common, {row['arms']}, to be ranked."
    said = f"{pair} rank their {row['arms']} common arms with Kendall's tau {fixed(row['tau'], 2)}"
    if math.isnan(row["low"]):
        return f"{said}; one seed gives no interval and no proof."
    span = f"(95 % interval {fixed(row['low'], 2)} to {fixed(row['high'], 2)})"
    if row["low"] > 0:
        return f"{said} {span}: more alike than by chance."
    if row["high"] < 0:
        return f"{said} {span}: more opposite than by chance."
    return f"{said} {span}, which tells neither a common ranking nor an opposite one."


def interactions(found: Across) -> list[str]:
    """Which arms' gains differ between studies, and how many such intervals chance alone would give."""
    table = found.interactions
    baseline = found.names[found.baseline]
    if table.empty:
        return [
            f"No gain over {baseline} can be set beside that of another study: that takes two studies that "
            f"are whole and have learned, with {baseline} and another common arm, a real floor, and "
            f"{FEWEST_SEEDS} seeds for a spread."
        ]
    return [line for unit, own in table.groupby("unit", sort=False) for line in _of_unit(str(unit), own)]


def _of_unit(unit: str, table: pd.DataFrame) -> Iterator[str]:
    """Sentences on the gains that are counted in one unit."""
    sure = table[(table["low"] > 0) | (table["high"] < 0)]
    for row in sure.to_dict("records"):
        gains = f"{significant(row['first_gain'], 2)} against {significant(row['second_gain'], 2)}"
        yield (
            f"{row['arm']} gains {'more' if row['difference'] > 0 else 'less'} over {row['against']} on "
            f"{row['first']} than on {row['second']}: {gains} {UNITS[unit]} (difference "
            f"{significant(row['difference'], 2)}, 95 % interval {significant(row['low'], 2)} to "
            f"{significant(row['high'], 2)})."
        )
    known = table[table["low"].notna()]
    some = f"{len(sure)} of {len(known)} intervals exclude 0" if len(sure) else "no interval excludes 0"
    chance = f"chance alone would let about {significant(0.05 * len(known), 2)}"
    yield f"In {UNITS[unit]} {some} ({chance}); one that holds 0 does not say that gains are equal."


def arms_table(found: Across) -> TextTable:
    """Arms x studies: endpoint, difference from the baseline, verdict."""
    columns = [Column("Arm", number=False)]
    for side in found.sides:
        end, name = side.study.definition.endpoint, side.study.name
        title = f"{name}: {metric_title(end.metric, end.extractor, end.n)}"
        columns += [Column(title, end.better), Column("Difference (95 %)"), Column("Verdict", number=False)]
    cells = {(row["arm"], row["study"]): row for row in found.arms.to_dict("records")}
    rows = [
        [name, *(text for side in found.sides for text in _cells(cells.get((name, side.study.name))))]
        for name in found.names.values()
    ]
    return TextTable(columns, rows, list(found.names.values()))


def _cells(row: Mapping[Hashable, Any] | None) -> list[str]:
    if row is None:
        return ["not in it", NONE, NONE]
    mean = plus_minus(row["mean"], (row["high"] - row["low"]) / 2)
    if not row["against"]:
        return [mean, "baseline", NONE]
    apart = plus_minus(row["difference"], (row["difference_high"] - row["difference_low"]) / 2)
    return [mean, apart, row["verdict"] or NONE]


def taus_table(found: Across) -> TextTable:
    """Kendall's tau between studies."""
    columns = [Column("Study", number=False), Column("and", number=False), Column("Common arms"),
               Column("Kendall's tau"), Column("95 % interval")]  # fmt: skip
    rows = [
        [row["first"], row["second"], str(row["arms"]), fixed(row["tau"], 2), _span(row)]
        for row in found.taus.to_dict("records")
    ]
    return TextTable(columns, rows)


def interactions_table(found: Across) -> TextTable:
    """Gains over the baseline in two studies, and their difference."""
    columns = [
        Column("Arm", number=False), Column("Gain in", number=False), Column("on", number=False),
        Column("Gain", "higher"), Column("on", number=False), Column("Gain", "higher"),
        Column("Difference of gains"), Column("95 % interval"),
    ]  # fmt: skip
    rows = [
        [
            row["arm"], UNITS[row["unit"]], row["first"], significant(row["first_gain"], 3), row["second"],
            significant(row["second_gain"], 3), *_apart(row),
        ]
        for row in found.interactions.to_dict("records")
    ]  # fmt: skip
    return TextTable(columns, rows, list(found.interactions["arm"]))


def facts(found: Across) -> list[str]:
    """What each study's verdicts are of: data, endpoint, seeds, baseline and margin."""
    return [_fact(side.study.definition) for side in found.sides]


def _fact(definition: Any) -> str:
    end = definition.endpoint
    title = metric_title(end.metric, end.extractor, end.n)
    return (
        f"{definition.name}: data {definition.data}, {title} ({end.better} is better) at n = {end.n:,}, "
        f"step {end.train_step:,}, {end.sampler}; "
        f"{len(definition.seeds)} seeds, baseline {definition.baseline}, margin {definition.margin_text}"
    )


def caption(found: Across) -> str:
    """What the figure shows."""
    return (
        f"Means over seeds with 95 % t intervals of {listed(side.study.name for side in found.sides)}, each "
        "on a scale of its own; the broken line goes through the study's baseline."
    )


def _apart(row: Mapping[Hashable, Any]) -> list[str]:
    """A difference of gains with its interval, to the digits that are known."""
    found = Interval(row["difference"], row["low"], row["high"], 0)
    return [fixed(found.value, decimals_of(half_width(found), found.value)), bounds(found)]


def _span(row: Mapping[Hashable, Any]) -> str:
    low, high = row["low"], row["high"]
    return NONE if math.isnan(low) else f"{fixed(low, 2)} to {fixed(high, 2)}"
