"""The report's section on its question, in tables and sentences: does 2D RoPE keep things in their places?"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.judging.evidence import MEASURES, NAMES, TRAINED, called, may_conclude, subjects
from analysis.numbers import NONE, metric_title, plus_minus
from analysis.page.text_tables import Column, TextTable
from analysis.page.verdict_sentences import verdict_sentence
from analysis.stats import Comparison
from analysis.study import Study
from rope_dit.words import listed

_Row = Mapping[Hashable, Any]
_ARM = Column("Arm", number=False)
_SHIFTS = tuple(one.metric for one in MEASURES if not one.good)
_EXACT = 1e-6  # a shift error below which a velocity is equivariant but for rounding


def means(found: pd.DataFrame) -> TextTable:
    """Arms by measurement at the trained grid: mean over seeds with half-width."""
    own = found[found["tokens"] == TRAINED]
    return _by_arm(own, _mean)


def differences(found: pd.DataFrame, study: Study) -> TextTable:
    """Arms by measurement at the trained grid: difference from the reference with half-width."""
    own = found[(found["tokens"] == TRAINED) & (found["reference"] != "")]
    table = _by_arm(own, _difference)
    if own["reference"].nunique() < 2:
        return table
    references = list(dict.fromkeys(zip(own["arm"], own["reference"], strict=True)))
    rows = [[arm, against, *row[1:]] for (arm, against), row in zip(references, table.rows, strict=True)]
    columns = [_ARM, Column("against", number=False), *table.columns[1:]]
    return TextTable(columns, rows, [arm for arm, _ in references])


def other_grids(found: pd.DataFrame) -> TextTable:
    """Arms at grids of tokens that were not trained: each measurement, and how far from the baseline's."""
    own = found[found["tokens"] != TRAINED]
    measured = own.drop_duplicates("metric")[["metric", "title", "better"]].to_dict("records")
    columns = [_ARM, Column("Tokens", number=False), Column("Extrapolation", number=False)]
    for one in measured:
        columns += [Column(one["title"], one["better"]), Column("difference")]
    rows, arms = [], []
    usual = own[own["reference"].isin(["", *_baselines(found)])]
    for (tokens, extrapolation, arm), group in usual.groupby(["tokens", "extrapolation", "arm"], sort=False):
        values = {row["metric"]: row for row in group.to_dict("records")}
        cells = [
            text
            for one in measured
            for row in [values.get(one["metric"])]
            for text in ((_mean(row), _difference(row)) if row else (NONE, NONE))
        ]
        rows.append([str(arm), str(tokens), str(extrapolation), *cells])
        arms.append(str(arm))
    return TextTable(columns, rows, arms)


def verdict(study: Study, compared: Sequence[Comparison]) -> tuple[str, str] | None:
    """The confirmatory verdict on the two arms and its sentence; None where the study has none."""
    end, asked = study.definition.endpoint, subjects(study)
    for c in compared:
        if asked and {*c.labels} == {*asked} and c.verdict != "exploratory":
            return c.verdict, verdict_sentence(c, metric_title(end.metric, end.extractor))
    return None


def conclusion(study: Study, found: pd.DataFrame) -> str:
    """What the intervals say of 2D RoPE against learned positions, and no more; '' where they may not."""
    asked = subjects(study)
    if asked is None or found.empty or not may_conclude(study):
        return ""
    sides = called(found, *asked)
    known = sides[sides["side"] != "unknown"]
    if known.empty:
        return "No measurement has an interval of the difference, which takes two seeds: nothing can be told."
    here, there = (
        known[known["good"] & one] for one in (known["tokens"] == TRAINED, known["tokens"] != TRAINED)
    )
    parts = [*_sentences(here, *asked), *_elsewhere(there, *asked), *_shifts(known, *asked)]
    return " ".join([*parts, _limits(study, len(known))])


def remarks(study: Study, found: pd.DataFrame) -> list[str]:
    """What readers have to know of the measurements that are there."""
    there, said = {*found["metric"]}, []
    if there & {*_SHIFTS}:
        said.append(_of_shifts(found))
    if "seam" in there:
        said.append(
            "Seam: the share of pixel differences that lies across borders of patches, less that of real "
            "pictures; its size is what counts, for too smooth a border is as wrong as too rough a one."
        )
    if any(metric.startswith("held_out_loss") for metric in there):
        said.append(
            "Held-out loss is the velocity's, on the same pictures, times and noise for all arms. A loss "
            "is not quality: networks of equal loss may draw pictures that differ much."
        )
    if (found["tokens"] != TRAINED).any():
        said.append(
            "Other grids of tokens: scored once, at the first number of pictures; arms are compared under "
            "the same form of extrapolation, and those that cannot draw such pictures are left out."
        )
    return said


def _of_shifts(found: pd.DataFrame) -> str:
    shifts = found[found["metric"].isin(_SHIFTS)].groupby("arm", sort=False)["mean"].max()
    exact = [str(arm) for arm in shifts.index[shifts < _EXACT]]
    said = (
        "Shift error: how far the velocity of a cyclically shifted picture is from the shifted velocity, "
        "over the velocity's variance. A low one is not a good one: it says that shifts are respected, not "
        "that places are understood."
    )
    if not exact:
        return said
    return (
        f"{said} {listed(exact)} {'is' if len(exact) == 1 else 'are'} exactly equivariant, as every network "
        "is that cannot tell its tokens apart; whole objects do not follow from it."
    )


def _by_arm(own: pd.DataFrame, text: Callable[[_Row], str]) -> TextTable:
    measured = own.drop_duplicates(NAMES)
    heads = measured["title"] + measured["endpoint"].map({True: " (endpoint)", False: ""})
    columns = [_ARM, *(Column(*head) for head in zip(heads, measured["better"], strict=True))]
    rows, arms = [], []
    for (arm, _), group in own.groupby(["arm", "reference"], sort=False):
        cells = {row["metric"]: text(row) for row in group.to_dict("records")}
        rows.append([str(arm), *(cells.get(metric, NONE) for metric in measured["metric"])])
        arms.append(str(arm))
    return TextTable(columns, rows, arms)


def _baselines(found: pd.DataFrame) -> set[str]:
    return {*found.loc[found["reference"] == "", "arm"]}


def _mean(row: _Row) -> str:
    """Mean with half-width; what rounding leaves of an exactly equivariant velocity is 0."""
    if row["metric"] in _SHIFTS and row["high" if row["seeds"] > 1 else "mean"] < _EXACT:
        return "0"
    return plus_minus(row["mean"], row["half"])


def _difference(row: _Row) -> str:
    half = (row["difference_high"] - row["difference_low"]) / 2
    return plus_minus(row["difference"], half) if row["pairs"] else NONE


def _sentences(sides: pd.DataFrame, arm: str, reference: str) -> Iterator[str]:
    """Which measurements put the arm where, by name."""
    if sides.empty:
        return
    names = {side: list(own["title"]) for side, own in sides.groupby("side", sort=False)}
    above, below, unclear = (
        f"{len(own)} ({listed(own)})" if (own := names.get(side, [])) else "none"
        for side in ("above", "below", "open")
    )
    yield (
        f"Of the measurements at the trained grid {above} put {arm} above {reference}, {below} below it, and "
        f"{unclear} cannot tell the two apart."
    )


def _elsewhere(sides: pd.DataFrame, arm: str, reference: str) -> Iterator[str]:
    """The same of other grids, counted."""
    if sides.empty:
        return
    counts = sides["side"].value_counts()
    above, below, unclear = (int(counts.get(side, 0)) for side in ("above", "below", "open"))
    grids = listed(dict.fromkeys(sides["tokens"]))
    yield (
        f"At other grids of tokens ({grids}) {arm} is above {reference} in {above} of {len(sides)} "
        f"measurements, below it in {below}, and not told apart from it in {unclear}."
    )


def _shifts(sides: pd.DataFrame, arm: str, reference: str) -> Iterator[str]:
    """Shift errors, which say how networks differ, not which is better."""
    words = {"above": "lower", "below": "higher"}
    own = sides[sides["metric"].isin(_SHIFTS) & sides["side"].isin([*words])]
    for side, rows in own.groupby("side", sort=False):
        where = listed(metric.removeprefix("shift_error_") for metric in rows["metric"])
        yield (
            f"The shift error of {arm} is {words[str(side)]} than that of {reference} ({where}), which is "
            "neither better nor worse by itself."
        )


def _limits(study: Study, count: int) -> str:
    """What the sentence does not say."""
    size = study.runs["parameters"].max()
    end = study.definition.endpoint
    network = f"networks of at most {size:,.0f} parameters" if size > 0 else "this network"
    return (
        f"Each of these {count} intervals is a 95 % one by itself: they are not corrected for their number, "
        f"and hang together. They are about {study.definition.data}, {network} and {end.train_step:,} steps "
        "of training, and say nothing of others."
    )
