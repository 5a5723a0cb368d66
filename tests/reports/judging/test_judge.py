"""Verdicts of a study over its looks: what was reached stays, what was seen of other runs does not count."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis import stats, tables
from analysis.figures.examples.study import example
from analysis.judging import looks
from analysis.judging.judge import judge
from analysis.page import words
from experiments.records.definition import Look, Replacement

SEEDS = 12
DAY = 86400.0


def studied(values, seen=(), **changes):
    """A study of two arms whose seeds have these values, looked at before with some numbers of seeds."""
    study = example(arms=("learned", "rope2d"), seeds=SEEDS).study
    end = study.definition.endpoint
    scores = study.scores.copy()
    of_endpoint = (scores["n"] == end.n) & (scores["train_step"] == end.train_step)
    for (arm, seed), value in values.items():
        here = of_endpoint & (scores["arm"] == arm) & (scores["seed"] == seed)
        scores.loc[here & (scores["sampler"] == end.sampler), "value"] = value
    before = tuple(Look(DAY * (i + 1), n, ("learned", "rope2d"), 2 * n) for i, n in enumerate(seen))
    return replace(study, scores=scores, definition=replace(study.definition, looks=before, **changes))


def values(shifts):
    """Both arms' values; rope2d is lower by one shift a seed."""
    base = {("learned", seed): 30 + math.sin(7 * seed) for seed in range(SEEDS)}
    lower = {("rope2d", seed): base["learned", seed] - shift for seed, shift in enumerate(shifts)}
    return base | lower


CLEAR = [5 + 0.1 * math.cos(3 * seed) for seed in range(7)]
AFTER = [-60.0, -55.0, -70.0, -50.0, -62.0]  # seeds that turn it round


def test_a_verdict_that_was_reached_at_a_look_stays_and_the_difference_of_now_stands_beside_it():
    [c] = judge(studied(values(CLEAR + AFTER), seen=(7,), planned_seeds=7))
    assert (c.verdict, c.look, c.n, c.level) == ("better", 1, 7, 0.05)
    assert c.later.n == SEEDS
    assert c.later.value > 0
    [alone] = judge(studied(values(CLEAR + AFTER), planned_seeds=SEEDS))
    assert (alone.verdict, alone.look, alone.later) == ("inconclusive", 1, None)


def test_the_look_of_now_is_counted_once():
    study = studied(values(CLEAR + AFTER), seen=(7, SEEDS), planned_seeds=7)
    assert [look.seeds for look in looks.counted(study)] == [7, SEEDS]
    assert [look.seeds for look in looks.counted(studied(values(CLEAR), seen=(7,)))] == [7, SEEDS]


def test_looks_that_were_planned_share_alpha_and_others_come_on_top():
    even = values([3.0 * (-1) ** seed for seed in range(SEEDS)])
    [planned] = judge(studied(even, seen=(4, 8), planned_seeds=SEEDS, planned_looks=(4, 8, SEEDS)))
    assert planned.level == stats.levels([4, 8, SEEDS], SEEDS)[-1] > 0.04
    [grown] = judge(studied(even, seen=(7,), planned_seeds=7))
    assert (grown.level, grown.look) == (0.005, 2)
    said = words.looks(studied(even, seen=(7,), planned_seeds=7), [grown])
    assert said.startswith("This is look 2. Looks that were not planned are strict")
    assert "0.05 with 7 seeds and 0.005 with 12 seeds" in said
    assert words.looks(studied(even, planned_seeds=SEEDS), judge(studied(even, planned_seeds=SEEDS))) == ""


def test_more_arms_at_the_same_seeds_are_a_look_too():
    study = studied(values(CLEAR + AFTER), planned_seeds=SEEDS)
    before = Look(DAY, SEEDS, ("learned",), SEEDS)
    grown = replace(study, definition=replace(study.definition, looks=(before,)))
    assert [c.level for c in judge(grown)] == [0.005]


def test_what_was_seen_of_an_arm_that_was_trained_again_does_not_count():
    again = Replacement("rope2d", 2 * DAY, ("plug-in changed",), ("x",), tuple(range(7)))
    study = studied(values(CLEAR + AFTER), seen=(7,), planned_seeds=7, replaced=(again,))
    [c] = judge(study)
    assert (c.verdict, c.look) == ("inconclusive", 2)
    assert looks.as_of(study, looks.counted(study)[0]).arms == ["learned"]


@pytest.mark.parametrize(("hours", "verdict"), [(-1.0, "better"), (1.0, "inconclusive")])
def test_a_score_that_came_after_a_look_was_missing_then(hours, verdict):
    study = studied(values(CLEAR + AFTER), seen=(7,), planned_seeds=7)
    scores = study.scores.copy()
    mine = (scores["arm"] == "rope2d") & (scores["seed"] == 3)
    scores.loc[mine, "time"] = pd.Timestamp(DAY + 3600 * hours, unit="s", tz="UTC")
    late = replace(study, scores=scores)
    assert [c.verdict for c in judge(late)] == [verdict]


def test_nothing_is_judged_that_is_partial_or_withheld():
    study = studied(values(CLEAR + AFTER), planned_seeds=SEEDS)
    assert judge(replace(study, withheld="the study is not what was sealed")) == []
    assert (
        judge(replace(study, cells=study.cells.assign(state=["running", *["done"] * (2 * SEEDS - 1)]))) == []
    )


def test_comparisons_that_are_explored_have_no_verdict():
    study = studied(values(CLEAR + AFTER), planned_seeds=SEEDS)
    pairs = study.definition.comparisons
    [c] = judge(replace(study, definition=replace(study.definition, comparisons=(), explored=pairs)))
    assert c.verdict == "exploratory"


def test_the_table_of_comparisons_is_flat():
    study = studied(values(CLEAR + AFTER), seen=(7,), planned_seeds=7)
    table = tables.comparison_table(judge(study))
    row = table.iloc[0]
    assert list(table.columns[:3]) == ["arm", "reference", "verdict"]
    assert row["difference_low"] < row["difference"] < row["difference_high"] < 0 < row["later"]
    assert all(value is None or np.isscalar(value) for value in row)
    lost = replace(judge(study)[0], lost={"diverged": 0, "failed": 2})
    assert tables.comparison_table([lost])["lost"][0] == "failed 2"
