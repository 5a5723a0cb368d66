"""The cost ledger: every arm's step time against the arm without positions, by hand."""

from dataclasses import replace
from itertools import product

import pandas as pd
import pytest

from analysis import tables
from analysis.figures.examples.study import example
from analysis.page import text_tables
from experiments.records.definition import ArmRecord

SPEED = {"learned": 100.0, "none": 120.0, "rope2d": 60.0}


def speeds(material) -> pd.DataFrame:
    """Points of training speed, of which one is slow: a median leaves it out."""
    runs = material.study.runs[["run_id", "arm", "seed"]].to_dict("records")
    rows = [
        {**run, "key": "train/images_per_second", "step": step, "value": SPEED[run["arm"]] * part,
         "time": pd.Timestamp(step, unit="s", tz="UTC")}
        for run, (step, part) in product(runs, [(1, 0.01), (2, 1.0), (3, 1.0)])
    ]  # fmt: skip
    return pd.concat([material.curves, pd.DataFrame(rows)], ignore_index=True)


def test_step_times_are_against_none():
    material = example()
    main = tables.main_table(material.study, speeds(material)).set_index("arm")
    assert {*main["step_time_against"]} == {"none"}
    assert dict(main["step_time"]) == pytest.approx({"learned": 1.2, "none": 1.0, "rope2d": 2.0})
    assert [*main["gflops_forward"]] == [0.002] * 3  # 2,000,000 each
    assert [*main["gflops"]] == pytest.approx([*(main["nfe"] * 0.002)])
    table = text_tables.costs(main.reset_index())
    titles = [column.title for column in table.columns]
    assert [row[titles.index("A step, none = 1")] for row in table.rows] == ["1.20", "1.00", "2.00"]
    assert {row[titles.index("FLOP a forward pass")] for row in table.rows} == {"2.00 M"}


@pytest.mark.parametrize(
    "arms",
    [
        (ArmRecord("rope2d", "rope2d", {}), ArmRecord("learned", "learned", {})),
        (ArmRecord("none", "none", {"train.lr": "1"}), ArmRecord("learned", "learned", {})),
    ],
)
def test_without_a_plain_none_they_are_against_the_baseline(arms):
    study = example().study
    assert tables.cost_reference(replace(study, definition=replace(study.definition, arms=arms))) == "learned"


def test_runs_without_speeds_have_no_step_time():
    material = example()
    main = tables.main_table(material.study, material.curves)
    assert main["step_time"].isna().all()
    assert "\u2013" in text_tables.costs(main).rows[0]
