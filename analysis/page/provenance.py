"""Where a report's numbers come from, and which of them do not compare."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from analysis.accepted import NO_CELL
from analysis.study import SOURCE, Study, comparable, endpoint_rows
from rope_dit.words import listed

_MOST = 20  # runs that are named one by one
_GROUP = [
    "extractor",
    "extractor_sha256",
    "reference_sha256",
    "n_real",
    "n",
    "ema",
    "tokens",
    "extrapolation",
]
_NAMES = {
    "extractor": "extractor",
    "extractor_sha256": "extractor's weights",
    "reference_sha256": "reference pictures",
    "n_real": "number of reference pictures",
    "n": "n",
    "ema": "EMA",
    "tokens": "grid of tokens",
    "extrapolation": "extrapolation",
}
MOST = 24
"""runs that are named one by one"""
_MIXED = {
    "device": "devices: speeds do not compare, and runs on different devices agree only up to rounding",
    "torch": "versions of torch: runs agree only up to rounding",
    "git_commit": "commits: the code may differ in what it does",
}


def score_groups(study: Study) -> pd.DataFrame:
    """Sets of scores that compare among themselves: the columns of _GROUP, rows, arms, and differs.

    `differs` says in what a set differs from that of the primary endpoint; '' for the set itself.
    """
    wanted = endpoint_group(study)
    found = []
    for key, rows in study.scores.groupby(_GROUP, sort=False, dropna=False):
        group: dict[str, Any] = dict(zip(_GROUP, key, strict=True))
        differs = [_NAMES[name] for name in _GROUP if wanted and not _same(group[name], wanted[name])]
        counts = {"rows": len(rows), "arms": rows["arm"].nunique()}
        found.append({**group, **counts, "differs": listed(differs) if differs else ""})
    frame = pd.DataFrame(found, columns=[*_GROUP, "rows", "arms", "differs"])
    return frame.sort_values("differs", key=lambda text: text != "", kind="stable", ignore_index=True)


def _same(value: Any, wanted: object) -> bool:
    """Whether they are equal; n is missing in scores of no pictures."""
    return not pd.isna(value) and bool(value == wanted)


def endpoint_group(study: Study) -> dict[str, object]:
    """What the scores at the primary endpoint agree in; empty where there are none."""
    rows = comparable(endpoint_rows(study.scores, study.definition))
    return {name: rows[name].iloc[0] for name in _GROUP} if len(rows) else {}


def machines(study: Study) -> pd.DataFrame:
    """Devices, versions and commits with the number of runs made by each."""
    names = ["device", "torch", "git_commit", "host"]
    return study.runs.groupby(names, sort=False).size().reset_index(name="runs")


def cautions(study: Study) -> list[str]:
    """What a reader must know before comparing the numbers, a sentence each."""
    return [
        *_doubted(study),
        *_unsealed(study),
        *_fixed_noise(study),
        *_mixed_scores(study),
        *_mixed_runs(study),
        *_replaced(study),
        *_unwritten(study),
        *_others(study),
        *study.elsewhere,
    ]


def _doubted(study: Study) -> Iterator[str]:
    for metric, rows in study.doubted.groupby("metric", sort=False):
        runs = rows.drop_duplicates("run_id")
        cells = [f"{row.arm}, seed {row.seed} (run {row.run_id})" for row in runs.itertuples()]
        more = [f"{len(cells) - 5} more runs"] if len(cells) > 5 else []
        said = "; ".join(sorted(set(rows["why"]))[:3])
        yield f"{metric} of {listed([*cells[:5], *more])} is left out: {said}."


def _unsealed(study: Study) -> Iterator[str]:
    if study.unsealed:
        yield (
            f"Of {len(study.runs)} runs {study.unsealed} have a table of scores without SHA-256, as earlier "
            "versions wrote it: nothing tells if it was changed."
        )


def _fixed_noise(study: Study) -> Iterator[str]:
    if study.definition.endpoint.fixed_noise:
        yield (
            "Every training seed was scored with the same noise and classes: the intervals do not contain "
            "what these add to all seeds alike, and more training seeds do not remove it."
        )


def _mixed_scores(study: Study) -> Iterator[str]:
    rows = endpoint_rows(study.scores, study.definition)
    left = rows.drop(comparable(rows).index)
    for (arm, seed), own in left.groupby(["arm", "seed"]):
        usual = comparable(rows).iloc[0]
        what = [_NAMES[name] for name in SOURCE if own[name].iloc[0] != usual[name]]
        yield f"{arm}, seed {seed} is left out: {listed(what)} differ from those of most runs."


def _mixed_runs(study: Study) -> Iterator[str]:
    for column, why in _MIXED.items():
        if (count := study.runs[column].nunique()) > 1:
            yield f"The runs were made with {count} {why}."
    dirty = int(study.runs["git_commit"].str.contains("+changes", regex=False).sum())
    if dirty:
        yield f"{dirty} runs were made from a source tree with uncommitted changes."


def _replaced(study: Study) -> Iterator[str]:
    for one in study.definition.replaced:
        day = datetime.fromtimestamp(one.time, UTC)
        seeds = f"{len(one.scored)} scored seed{'s were' if len(one.scored) != 1 else ' was'} left out"
        yield f"{one.arm} was replaced on {day:%d %B %Y}: {one.why}; {seeds}."


def _unwritten(study: Study) -> Iterator[str]:
    arms = [arm for arm in study.arms if not study.definition.identity_of(arm, 0)]
    if arms:
        who = "its arms are" if len(arms) == len(study.arms) else listed(arms) + " are"
        yield (
            f"An earlier version began this study and did not write down what {who}: of these the newest run "
            "of each seed counts, whatever it was made with."
        )


def _others(study: Study) -> Iterator[str]:
    apart = study.others[study.others["why"] == NO_CELL] if len(study.others) else study.others
    if len(apart):
        yield f"{len(apart)} more runs lie in this experiment and are of no cell of the study."
    named = study.others.drop(apart.index)
    for run in named.head(MOST).itertuples():
        yield f"Run {run.run_id} of {run.arm}, seed {run.seed}, is not used: {run.why}."
    if len(named) > MOST:
        yield f"{len(named) - MOST} more runs of the study's cells are not used."
