"""Tuning: equal budgets, the same search after any interruption, and its confirmation on fresh seeds."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from studies import QUICK, call_study, plan_of, trials_of

from experiments.config.study import study, study_file
from experiments.config.tuning import Choice, TuneConfig
from experiments.coordinator.arm import parse_arms
from experiments.coordinator.plan import Plan
from experiments.coordinator.tuning.search import rungs
from experiments.coordinator.tuning.space import (
    configured,
    default_params,
    own_space,
    read_space,
    three_digits,
)

ARGS = (
    "tune", "smoke", *QUICK[:-2], "--eval.n", "100", "--name", "t",
    "--tune.trials", "3", "--tune.width", "2", "--tune.rungs", "2", "--tune.eta", "2",
)  # fmt: skip

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A folder with a finished tuning study `t` of two arms; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("tune")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "")
        patch.chdir(folder)
        result = call_study(*ARGS)
    assert result.code == 0, result.err
    return folder, result


def result_of(folder: Path) -> list[dict]:
    return json.loads((folder / "studies" / "t" / "tuned.json").read_text())["arms"]


def test_every_arm_trains_equally_many_steps(tuned):
    found = result_of(tuned[0])
    assert [one["trials"] for one in found] == [3, 3]
    assert [one["steps"] for one in found] == [50, 50]  # of a lot of two, one stops at 10; a lot of one, none


def test_trials_are_told_with_their_rungs(tuned):
    trials = trials_of(tuned[0], "t")
    assert [trial[0] for trial in trials].count("COMPLETE") == 4
    assert {trial[0] for trial in trials} == {"COMPLETE", "PRUNED"}
    for state, _, value, curve in trials:
        assert list(curve) == ([10, 20] if state == "COMPLETE" else [10])
        if state == "COMPLETE":
            assert value == curve[20]
    spaces = [set(trial[1]) for trial in trials]
    assert spaces == [{"train.lr"}] * 3 + [{"train.lr", "theta"}] * 3


def test_the_best_that_came_to_its_end_is_found(tuned):
    trials = trials_of(tuned[0], "t")
    for one, own in zip(result_of(tuned[0]), (trials[:3], trials[3:]), strict=True):
        ended = [trial for trial in own if trial[0] == "COMPLETE"]
        assert one["value"] == min(trial[2] for trial in ended)
        assert own[one["trial"]][2] == one["value"]


def test_the_default_configuration_is_tried_too(tuned):
    assert result_of(tuned[0])[1]["candidates"][0] == "rope2d-t000=rope2d:theta=100"
    assert trials_of(tuned[0], "t")[3][1] == {"train.lr": 0.002, "theta": 100.0}


def test_what_tuning_found_is_confirmed_on_fresh_seeds(tuned, tmp_path, monkeypatch):
    shutil.copytree(tuned[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.chdir(tmp_path)
    found = result_of(tmp_path)
    found[0]["trial"], found[0]["tuned"] = 1, "learned-tuned=learned;train.lr=0.005"  # whatever chance chose
    found[1]["trial"] = 0
    saved = json.loads((tmp_path / "studies" / "t" / "tuned.json").read_text())
    (tmp_path / "studies" / "t" / "tuned.json").write_text(json.dumps({**saved, "arms": found}))
    result = call_study("ablate", "--from-tuned", "t", "--seeds", 1)
    assert result.code == 0, result.err
    plan = plan_of(tmp_path, "t-confirmed")
    assert list(plan.arms) == ["learned", "learned-tuned", "rope2d"]  # rope2d was best as it is
    assert plan.seeds == (0,)
    assert not set(plan.seeds) & set(plan_of(tmp_path, "t").seeds)
    assert plan.comparisons == (("learned-tuned", "learned"),)
    assert plan.arms["learned-tuned"].config(plan.base).train.lr == 0.005


def test_sync_makes_the_search_again(tuned, tmp_path, monkeypatch):
    shutil.copytree(tuned[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.chdir(tmp_path)
    trials = trials_of(tmp_path, "t")
    (tmp_path / "studies" / "t" / "optuna.db").unlink()
    assert call_study("--sync", "t").code == 0
    assert trials_of(tmp_path, "t") == trials


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("tune", "rope_bases"), "nothing to tune"),
        (("tune", "smoke", "--tune.trials", "1"), "tune.trials got 1"),
        (("ablate", "--from-tuned", "t2"), "is not there"),
    ],
)
def test_bad_input_is_refused(tmp_path, monkeypatch, args, says):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.chdir(tmp_path)
    result = call_study(*args)
    assert result.code == 2
    assert says in result.err
    assert os.listdir(tmp_path) == []


def plan_for(arm: str, **fields) -> Plan:
    config = study("smoke", **fields)
    arms = parse_arms([arm], config.run())
    return Plan(Path("x"), "tune", config.run(), arms, (1000,), arm, 0.02, (), {}, 1)


@pytest.mark.parametrize(
    ("steps", "eta", "count", "expected"), [(1600, 3, 3, [177, 533, 1600]), (2, 3, 3, [1, 2])]
)
def test_rungs_rise_to_the_last_step(steps, eta, count, expected):
    plan = plan_for("none", train={"steps": steps, "warmup_steps": 0})
    assert rungs(plan, TuneConfig(rungs=count, eta=eta)) == expected


def test_defaults_outside_the_space_move_to_its_edge():
    _, space = study_file("digits")
    plan = plan_for("rope2d")
    arm = plan.arms["rope2d"]
    params = default_params(arm, own_space(arm, space), plan)
    assert params == {"train.lr": 0.002, "train.weight_decay": 0.001, "theta": 100.0}


SPECS = {
    "train.schedule": Choice("constant", "cosine"),
    "train.objective": Choice("x", "velocity"),
    "train.optimizer": Choice("muon:lr=0.01", "adamw"),
}


def test_specs_are_chosen_from():
    plan = plan_for("rope2d")
    arm = plan.arms["rope2d"]
    assert default_params(arm, own_space(arm, SPECS), plan) == {
        "train.schedule": "cosine", "train.objective": "velocity", "train.optimizer": "adamw",
    }  # fmt: skip
    chosen = configured(arm, "train.optimizer", "muon:lr=0.01")
    assert chosen.config(plan.base).train.optimizer == "muon:lr=0.01,momentum=0.95"


def test_a_search_of_before_goes_on_under_the_names_it_had():
    """Optuna draws in the order of the names, so another name would be another search."""
    space = read_space('{"train.lr": {"low": 0.001, "high": 1, "log": true}, "train.t-density": '
                       '{"values": ["uniform", "logit_normal"]}}')  # fmt: skip
    plan = plan_for("rope2d")
    arm = plan.arms["rope2d"]
    params = default_params(arm, own_space(arm, space), plan)
    assert params == {"train.lr": 0.002, "train.t-density": "logit_normal"}
    chosen = configured(arm, "train.t-density", "uniform")
    assert chosen.overrides == (("train.density", "uniform"),)
    assert configured(arm, "train.t-density", "logit_normal").config(plan.base).train.density == (
        "logit_normal:mean=0,std=1"
    )


FILE = """
from experiments.config.study import study
from experiments.config.tuning import Choice

STUDY = study("smoke", name="t")
SPACE = {"train.schedule": Choice("constant", %r)}
"""


@pytest.mark.parametrize(
    ("schedule", "says"),
    [("wsd:decay=0.5", ""), ("wsdd", "unknown schedule 'wsdd'. Did you mean 'wsd'?")],
)
def test_a_space_of_specs_is_judged_before_the_search(tmp_path, monkeypatch, schedule, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(FILE % schedule)
    result = call_study("tune", "mine.py", "--eval.n", "100", "--dry-run")
    assert (result.code, says in result.err) == (2 if says else 0, True), result.err


def test_numbers_fit_a_spec():
    assert [three_digits(x) for x in (1543.2, 0.0012345, 2.5e9)] == ["1540", "0.00123", "2.5e9"]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_search_interrupted_five_times_finds_the_same(tuned, tmp_path):
    draw, killed = random.Random(3), 0
    env = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    command = [sys.executable, "-m", "experiments.study", *ARGS]
    while True:
        process = subprocess.Popen(command, cwd=tmp_path, env=env, start_new_session=True)
        try:
            code = process.wait(draw.uniform(6, 16) if killed < 5 else 600)
        except subprocess.TimeoutExpired:
            process.send_signal(draw.choice([signal.SIGKILL, signal.SIGTERM]))
            process.wait()
            killed += 1
            continue
        assert code == 0
        break
    assert killed == 5
    assert result_of(tmp_path) == result_of(tuned[0])
    assert trials_of(tmp_path, "t") == trials_of(tuned[0], "t")
