"""Samplings of a study: those of its first start make the endpoint; a study of before keeps its noise."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from commands import SMOKE, call, rows
from studies import call_study, plan_of, unsealed_json

from experiments.config.study import study
from experiments.coordinator.cell import Cell
from experiments.coordinator.plan import Plan
from experiments.coordinator.plan_ablation import plan_ablation
from experiments.coordinator.trials.optuna_trials import scores_by_step
from experiments.runner.reopen import read_config
from experiments.scoring.jobs import final_jobs


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)


def planned(samplings: int = 1, seeds: int = 2, **scoring: object) -> Plan:
    """A small study, as asked for now and as it stands."""
    scored = {"n": (100,), "sampling_seeds": samplings, **scoring}
    return plan_ablation(study("smoke", name="s", variants=("none", "learned"), seeds=seeds, eval=scored))[0]


def seeds_of(plan: Plan) -> dict[str, set[int]]:
    """Sampling seeds of each cell."""
    return {cell.name: {job.sampling_seed for job in final_jobs(cell.config)} for cell in plan.cells()}


def test_an_endpoint_averages_the_samplings_of_the_first_start():
    first = planned(2)
    assert (first.endpoint().samplings, first.endpoint().fixed_noise) == (2, False)
    assert list(first.endpoint().sampling_seeds(3)) == [3000, 3001]
    assert {tuple(seeds_of(first)[f"{arm}-s1"]) for arm in ("none", "learned")} == {(1000, 1001)}
    first.save()
    for more, expected in ((1, 2), (4, 4)):
        grown = planned(more)
        assert grown.endpoint() == grown.definition().endpoint == first.endpoint()
        assert grown.base.eval.sampling_seeds == expected
        assert seeds_of(grown)["none-s1"] == {1000 + i for i in range(expected)}
    grown.save()
    assert plan_of(Path(), "s").endpoint() == planned().endpoint() == first.endpoint()


def test_the_samplings_are_said_before_the_first_run():
    told = call_study("smoke", "--name", "s", "--eval.sampling-seeds", "3", "--dry-run")
    assert "step 20, mean of 3 samplings; margin" in told.out, told.err


def test_a_study_of_before_goes_on_with_the_noise_that_all_seeds_share():
    planned(2, fixed_noise=True).save()
    file = Path("studies/s/study.json")
    saved = unsealed_json(file)
    saved.pop("chain", None)
    assert (saved.pop("samplings"), saved["base"]["eval"].pop("fixed_noise")) == (2, True)
    file.write_text(json.dumps(saved))
    there, grown = plan_of(Path(), "s"), planned(seeds=3)
    assert (there.endpoint().samplings, there.endpoint().fixed_noise) == (1, True)
    assert grown.endpoint() == there.endpoint()
    assert seeds_of(grown) == {f"{arm}-s{seed}": {0, 1} for arm in ("none", "learned") for seed in range(3)}


def test_the_noise_of_a_study_is_frozen():
    planned(fixed_noise=False).save()
    refused = call_study("smoke", "--name", "s", "--eval.n", "100", "--eval.fixed-noise", "--dry-run")
    assert refused.code == 2
    assert "eval.fixed_noise: there False, now True" in refused.err


def test_a_study_whose_noise_is_fixed_keeps_it_where_nothing_is_said():
    planned(fixed_noise=True).save()
    assert planned().endpoint().fixed_noise


def test_optuna_is_told_the_mean_of_the_samplings():
    made = call("run", *SMOKE, "--seed", "1", "--eval.n", "10", "--eval.every", "10", "--eval.every-n", "20",
                "--eval.samplers", "euler:steps=1", "--eval.sampling-seeds", "2", "--out", "run")  # fmt: skip
    assert made.code == 0, made.err
    found = [row for row in rows(Path("run")) if row["metric"] == "fd_digits"]
    last = [float(row["value"]) for row in found if row["n"] == "10"]
    [rough] = [float(row["value"]) for row in found if row["n"] == "20" and row["train_step"] == "10"]
    end = replace(planned(2, samplers=("euler:steps=1",)).endpoint(), n=10)
    told = scores_by_step(Cell(read_config(Path("run")), "digits"), end)
    assert len({*last}) == 2
    assert told == {10: rough, 20: pytest.approx(sum(last) / 2)}
