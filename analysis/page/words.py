"""Sentences of a report, made from its numbers."""

import math
from collections.abc import Sequence

import pandas as pd

from analysis.numbers import fixed, metric_title, significant
from analysis.page.verdict_sentences import verdict_sentence
from analysis.stats import Comparison
from analysis.study import Study
from rope_dit.words import listed

_ORDER = ("better", "worse", "equivalent", "inconclusive", "same model")
_PUBLISHED_RATIO, _PUBLISHED_CV = "3.2", "1.3 %"  # arXiv:2606.20536


def headline(study: Study, compared: Sequence[Comparison]) -> str:
    """The verdict in one sentence."""
    if study.withheld:
        return f"Withheld: {study.withheld}. Nothing is concluded from it."
    if study.partial:
        return f"Partial: {unfinished(study)}. Nothing is concluded before the study is whole."
    if not compared:
        return "Nothing is compared: the study has one arm."
    references = list(dict.fromkeys(c.reference for c in compared))
    return " ".join(_against(r, [c for c in compared if c.reference == r]) for r in references)


def verdicts(study: Study, compared: Sequence[Comparison]) -> list[str]:
    """A sentence with numbers for each comparison."""
    end = study.definition.endpoint
    title = metric_title(end.metric, end.extractor)
    return [verdict_sentence(c, title) for c in compared]


def unfinished(study: Study) -> str:
    """How many cells are still missing or running."""
    states = study.cells["state"].value_counts()
    parts = [
        f"{states[s]} {'are' if states[s] > 1 else 'is'} {s}" for s in ("missing", "running") if s in states
    ]
    return f"of {len(study.cells)} runs {' and '.join(parts)}"


def same_models(study: Study) -> list[str]:
    """A sentence for each pair of arms that are one model."""
    return [
        f"{a} and {b} are the same model: their pictures agree to the bit in every seed and sampler."
        for a, b in (sorted(pair, key=study.arms.index) for pair in study.same_models)
    ]


def lost(study: Study) -> list[str]:
    """A line for each cell that is not done."""
    cells = study.cells[study.cells["state"] != "done"]
    return [f"{c.arm}, seed {c.seed}: {c.state} ({c.message})" for c in cells.itertuples()]


def looks(study: Study, compared: Sequence[Comparison]) -> str:
    """What growing the study costs; empty at the first look."""
    if study.looks == 1 or not compared:
        return ""
    return (
        f"This is look {study.looks} at a study that grew: to be better or worse, the adjusted p must lie "
        f"below {compared[0].alpha:g}."
    )


def pairing(study: Study, compared: Sequence[Comparison]) -> str:
    """What pairing gained."""
    if not study.paired:
        return f"The runs are not paired: {study.pairing_reason}. Differences are between independent groups."
    gains = [c.variance_unpaired / c.variance_paired for c in compared if c.variance_paired > 0]
    said = f"The runs are paired: {study.pairing_reason}."
    if not gains:
        return said
    low, high = significant(min(gains), 2), significant(max(gains), 2)
    times = low if low == high else f"{low} to {high}"
    worth = "where that is not above 1, pairing gained nothing"
    if min(gains) > 1:
        worth = f"pairing was worth {times} times as many seeds"
    return f"{said} An unpaired difference would have {times} times the variance of the paired one: {worth}."


def ranking(table: pd.DataFrame) -> str:
    """Whether the arms rank alike under all samplers.

    >>> ranking(pd.DataFrame({"first": ["a"], "second": ["b"], "tau": [1.0], "low": [math.nan]}))
    "Both samplers rank the arms alike (Kendall's tau 1). With one seed there is no interval."
    """
    known = table[table["tau"].notna()]
    if known.empty:
        return ""
    least = known.sort_values("tau", kind="stable").iloc[0]
    if least["tau"] == 1:
        who = "Both samplers rank" if len(known) == 1 else f"All {len(known)} pairs of samplers rank"
        said = f"{who} the arms alike (Kendall's tau 1)."
    else:
        said = (
            "The ranking of the arms changes with the sampler: Kendall's tau falls to "
            f"{fixed(least['tau'], 2)}, between {least['first']} and {least['second']}."
        )
    low = known["low"].min()
    if not math.isfinite(low):
        return said + " With one seed there is no interval."
    return f"{said} The lowest end of its 95 % intervals (bootstrap over seeds) is {fixed(low, 2)}."


def spreads(table: pd.DataFrame) -> str:
    """Retraining spread against resampling spread."""
    parts = []
    if len(cv := table["cv"].dropna()):
        parts.append(
            f"Trained again from another seed, an arm's score spreads by {cv.median():.1%} of itself (median "
            f"of the arms; published for larger models: about {_PUBLISHED_CV})."
        )
    if len(ratio := table["ratio"].dropna()):
        parts.append(
            f"Retraining spread is {fixed(ratio.median(), 1)} times resampling spread (published: "
            f"about {_PUBLISHED_RATIO})."
        )
    return " ".join(parts)


def bias(table: pd.DataFrame, n: int, better: str) -> str:
    """Whether the ranking holds at infinitely many pictures."""
    ranked = table.sort_values("mean", ascending=better == "lower")
    here, there = (list(ranked.loc[ranked["n"] == size, "arm"]) for size in (n, math.inf))
    if len(there) < 2 or len(here) != len(there):
        return ""
    if here == there:
        return f"Extrapolated to infinitely many pictures, the arms keep the ranking of n = {n:,}."
    return (
        f"Extrapolated to infinitely many pictures, the arms rank {', '.join(there)}; at n = {n:,} they rank "
        f"{', '.join(here)}. Mind the intervals."
    )


def _against(reference: str, compared: Sequence[Comparison]) -> str:
    groups = {v: [c.arm for c in compared if c.verdict == v] for v in _ORDER}
    phrases = {
        "better": "better than",
        "worse": "worse than",
        "equivalent": "equivalent to",
        "inconclusive": "not told apart from",
        "same model": "the same model as",
    }
    parts = [
        f"{listed(arms)} {'is' if len(arms) == 1 else 'are'} {phrases[verdict]} {reference}"
        for verdict, arms in groups.items()
        if arms
    ]
    return "; ".join(parts) + "."
