"""The looks at a study, and the study as it was at each."""

import math
from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from analysis.reading.seals import SKEW_SECONDS
from analysis.study import Study, averaged, endpoint_rows
from experiments.records.definition import Look


def counted(study: Study) -> list[Look]:
    """All looks at a study, this one as the last; if it is counted already it stands there once."""
    now = present(study)
    before = study.definition.looks
    return [*(before[:-1] if before and before[-1].is_of(now) else before), now]


def present(study: Study) -> Look:
    """The look at a study as it is now, which sees all that there is."""
    definition = study.definition
    return Look(math.inf, len(definition.seeds), tuple(study.arms), study.scored, len(definition.replaced))


def planned_seeds(study: Study) -> int:
    """Seeds an arm at the last look that was planned; without a plan, those of the first start."""
    definition = study.definition
    return definition.planned_looks[-1] if definition.planned_looks else definition.planned_seeds


def as_of(study: Study, look: Look) -> Study:
    """The study as that look saw it: its first seeds and its arms, without what was scored later.

    Arms that were trained again since are left out, for what was seen of them is set aside.
    """
    definition = study.definition
    again = {one.arm for one in definition.replaced[look.replaced :]}
    arms = [arm for arm in study.arms if (not look.arms or arm in look.arms) and arm not in again]
    seeds = definition.seeds[: look.seeds]
    pairs = (definition.comparisons, definition.explored)
    comparisons, explored = (tuple(pair for pair in some if {*pair} <= {*arms}) for some in pairs)
    then = replace(
        definition, seeds=seeds, comparisons=comparisons, explored=explored,
        arms=tuple(one for one in definition.arms if one.label in arms),
    )  # fmt: skip
    runs, scores, cells, doubted = (
        frame[frame["arm"].isin(arms) & frame["seed"].isin(seeds)].reset_index(drop=True)
        for frame in (study.runs, study.scores, study.cells, study.doubted)
    )
    seen = scores[(scores["time"] - pd.Timestamp(0, tz="UTC")).dt.total_seconds() <= look.time + SKEW_SECONDS]
    states = pd.Series(
        [*_states(cells, seen, replace(study, definition=then))], index=cells.index, dtype="str"
    )
    return replace(
        study, definition=then, runs=runs, scores=seen, cells=cells.assign(state=states), doubted=doubted
    )


def _states(cells: pd.DataFrame, seen: pd.DataFrame, study: Study) -> Iterator[str]:
    """States of cells at a look: one whose score came later was missing."""
    rows = endpoint_rows(seen, study.definition)
    there = {*averaged(rows, study.definition.endpoint.samplings)["run_id"]}
    for cell in cells.to_dict("records"):
        late = cell["state"] == "done" and cell["run_id"] not in there
        yield "missing" if late else cell["state"]
