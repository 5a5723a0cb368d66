"""Sentences of a report, made from its numbers."""

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from analysis import stats, tables
from analysis.judging import looks as study_looks
from analysis.judging.margin import nothing_learned, withheld
from analysis.numbers import fixed, metric_title, significant
from analysis.page.verdict_sentences import verdict_sentence
from analysis.stats import Comparison, Interval
from analysis.study import Study, endpoint_rows, endpoint_scores
from rope_dit.words import listed

_ORDER = ("better", "worse", "equivalent", "inconclusive", "same model")
_FEW = 4  # comparisons that a sentence names one by one
_PUBLISHED_RATIO, _PUBLISHED_CV = "3.2", "1.3 %"  # arXiv:2606.20536


def headline(study: Study, compared: Sequence[Comparison]) -> str:
    """The verdict in one sentence."""
    if why := withheld(study):
        return f"Withheld: {why}. Nothing is concluded from it."
    if study.partial:
        return f"Partial: {unfinished(study)}. Nothing is concluded before the study is whole."
    if said := nothing_learned(study):
        return said
    if not compared:
        return "Nothing is compared: the study has one arm."
    references = list(dict.fromkeys(c.reference for c in compared))
    found = " ".join(_against(r, [c for c in compared if c.reference == r]) for r in references)
    return f"On {study.definition.data} and its split: {found}"


def verdicts(study: Study, compared: Sequence[Comparison]) -> list[str]:
    """A sentence with numbers for each comparison."""
    end = study.definition.endpoint
    title = metric_title(end.metric, end.extractor, end.n)
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
    return [f"{c.arm}, seed {c.seed}: {c.became} ({c.message})" for c in _not_done(study).itertuples()]


def lost_heading(study: Study) -> str:
    """How many cells are not done, and what became of them; empty where all are."""
    cells = _not_done(study)
    if cells.empty:
        return ""
    counts = cells["became"].value_counts(sort=False)
    said = listed(f"{count} {became}" for became, count in counts.items())
    are = "is" if len(cells) == 1 else "are"
    return f"Of {len(study.cells)} cells {len(cells)} {are} not done: {said}."


def _not_done(study: Study) -> pd.DataFrame:
    """Cells that are not done, with what became of each: its state, and whether a failed one has a score."""
    cells = study.cells[study.cells["state"] != "done"]
    with_score = endpoint_scores(study.scores, study.definition)["run_id"]
    scored = cells["run_id"].isin(with_score) & (cells["state"] == "failed")
    return cells.assign(became=cells["state"].mask(scored, "failed after it was scored"))


def floor(study: Study) -> str:
    """A sentence on the real floor: of how many pictures it is, where that was written down."""
    rows = endpoint_rows(study.scores, study.definition)
    n, floors = study.definition.endpoint.n, rows["floor_n"].dropna().unique()
    if not len(floors):
        return "The real floor is what real pictures score at this n, an estimate."
    if rows["real_floor"].isna().all():
        return "What real pictures would score at this n could not be told."
    few = listed([f"{some:,}" for some in sorted(floors)])
    if {*floors} == {n}:
        return "The real floor is what as many held-out pictures score."
    if tables.is_distance(study):
        return f"The real floor is what real pictures score at this n, concluded from {few} held-out ones."
    return f"The real floor is what real pictures score, of {few} held-out ones."


def below_floor(study: Study, main: pd.DataFrame) -> list[str]:
    """A sentence for each arm whose distance is less than real pictures have, as copies' would be."""
    if not tables.is_distance(study):
        return []
    end = study.definition.endpoint
    title = metric_title(end.metric, end.extractor, end.n)
    return [_below(row, title) for row in main.to_dict("records") if row["mean"] < row["real_floor"]]


def _below(row: Mapping[Hashable, Any], title: str) -> str:
    mean, floor, held_out, held_out_floor = (
        significant(row[name], 3) for name in ("mean", "real_floor", "held_out", "held_out_floor")
    )
    beside = "its distance from held-out pictures was not measured"
    if math.isfinite(row["held_out"]):
        beside = (
            f"from held-out pictures it is {held_out} away, and training pictures themselves are "
            f"{held_out_floor}"
        )
    return (
        f"{title} of {row['arm']} ({mean}) lies below the real floor ({floor}): its pictures may be copies "
        f"of training pictures; {beside}."
    )


def looks(study: Study, compared: Sequence[Comparison]) -> str:
    """Which look this is, and how strict each is; empty where one look spends all."""
    counted, planned = [look.seeds for look in study_looks.counted(study)], study_looks.planned_seeds(study)
    if not compared or counted == [planned]:
        return ""
    levels = stats.levels(counted, planned)
    strict = listed(f"{level:.2g} with {n} seeds" for n, level in zip(counted, levels, strict=True))
    said = f"This is look {len(counted)}."
    if plans := study.definition.planned_looks:
        said += f" Planned were looks at {listed(map(str, plans))} seeds, which share an alpha of 0.05."
    if counted[-1] > planned or len({*counted}) < len(counted):
        said += " Looks that were not planned are strict, for they come on top."
    return f"{said} Adjusted p-values must lie below {strict}; a verdict that was reached stays."


def pairing(study: Study, compared: Sequence[Comparison]) -> str:
    """Which comparisons are paired, and what pairing gained."""
    pairs = study.definition.comparisons
    apart = [(*pair, study.pairing_reason(*pair)) for pair in pairs if not study.is_paired(*pair)]
    said = [
        f"{arm} and {reference} are not paired ({why}): their difference is one of independent groups."
        for arm, reference, why in apart
    ]
    if len(apart) < len(pairs):
        who = "The other comparisons are" if apart else "All comparisons are" if pairs[1:] else "The arms are"
        said.append(f"{who} paired: in every seed both saw the same inputs and began with the same shared "
                    "weights.")  # fmt: skip
    return " ".join([*said, *_gains(compared)])


def _gains(compared: Sequence[Comparison]) -> Iterator[str]:
    """What pairing was worth to those comparisons that are paired and vary."""
    known = [(c, c.gain) for c in compared if c.gain and math.isfinite(c.gain.low)]
    sorted_out = {
        "Pairing was worth so many times as many seeds (95 % interval)": lambda gain: gain.low > 1,
        "Pairing gained nothing that these seeds can tell": lambda gain: gain.low <= 1 <= gain.high,
        "Pairing cost more than it gained": lambda gain: gain.high < 1,
    }
    for words, holds in sorted_out.items():
        if own := [pair for pair in known if holds(pair[1])]:
            yield f"{words}: {_worth(own)}."


def _worth(gains: Sequence[tuple[Comparison, Interval]]) -> str:
    """Gains by comparison; of many the least and the largest."""
    texts = [
        f"{significant(gain.value, 2)} ({significant(gain.low, 2)} to {significant(gain.high, 2)}) "
        f"for {c.arm} against {c.reference}"
        for c, gain in sorted(gains, key=lambda pair: pair[1].value)
    ]
    return listed(texts) if len(texts) <= _FEW else f"from {texts[0]} to {texts[-1]}"


def stability(table: pd.DataFrame) -> str:
    """Whether the arms rank elsewhere as they do at the endpoint; proof is an interval that excludes 0.

    >>> columns = ["what", "other", "nfe", "tau", "low", "high"]
    >>> stability(pd.DataFrame([["metric", "kid_digits", 50, 1.0, 0.18, 1.0]], columns=columns))
    'Scored in 1 other way (1 metric), the arms rank as at the endpoint beyond chance.'
    """
    known = table[table["tau"].notna()]
    if known.empty:
        return ""
    counts = known["what"].value_counts(sort=False)
    kinds = listed(f"{count} {_plural(str(what), int(count))}" for what, count in counts.items())
    ways = f"Scored in {len(known)} other {'way' if len(known) == 1 else 'ways'} ({kinds}), the arms rank"
    if not known["low"].notna().any():
        return f"{ways} {_extremes(known)}; one seed gives no interval and no proof."
    alike, apart = known[known["low"] > 0], known[known["high"] < 0]
    if len(alike) == len(known):
        return f"{ways} as at the endpoint beyond chance{' in all of them' if len(known) > 1 else ''}."
    said = f"as at the endpoint beyond chance in {len(alike) or 'none'} of them"
    if len(apart):
        said += f", and the other way round in {len(apart)} ({listed(apart['other'])})"
    least = known.sort_values("tau", kind="stable").iloc[0]
    span = f"95 % interval {fixed(least['low'], 2)} to {fixed(least['high'], 2)}"
    chance = ", which may be chance" if least["high"] >= 1 else ""
    return (
        f"{ways} {said}. The least alike is that by {least['other']}: Kendall's tau "
        f"{fixed(least['tau'], 2)} ({span}{chance}). Where an interval holds 0, the arms are too few, too "
        "close or scored with too few seeds to tell."
    )


def _extremes(known: pd.DataFrame) -> str:
    low, high = (fixed(end, 2) for end in (known["tau"].min(), known["tau"].max()))
    return f"with Kendall's tau {low} against the endpoint" + (f" to {high}" if high != low else "")


def _plural(what: str, count: int) -> str:
    """A kind of way, such as `other metric`, in words.

    >>> _plural("n", 2), _plural("metric", 1)
    ('numbers of pictures', 'metric')
    """
    one = {"n": "number of pictures", "step": "earlier step"}.get(what, what)
    return one if count == 1 else one.replace("number", "numbers") if what == "n" else f"{one}s"


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
