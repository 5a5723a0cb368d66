"""Tuning: equal budgets, the same search after any interruption, and its confirmation on fresh seeds."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from studies import QUICK, call_study, plan_of, trials_of

from experiments.config.study import study, study_file
from experiments.config.tuning import Choice, Range, TuneConfig
from experiments.coordinator.arm import parse_arms
from experiments.coordinator.plan import Plan
from experiments.coordinator.tuning.search import rungs
from experiments.coordinator.tuning.space import (
    configured,
    default_params,
    distribution,
    own_space,
    read_space,
    three_digits,
    value_text,
)
from experiments.coordinator.tuning.tune import plan_tuning
from experiments.records.seal import sealed

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
    (tmp_path / "studies" / "t" / "tuned.json").write_text(json.dumps(sealed({**saved, "arms": found})))
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


ARM = {"default": "a=none", "tuned": "a-tuned=none;train.lr=1", "trial": 1, "value": 5.0}


@pytest.mark.parametrize(
    ("saved", "says"),
    [
        ("{", "is damaged (JSONDecodeError("),
        ("", "is damaged (JSONDecodeError("),
        ("\xff", "is damaged ("),
        ("null", "are damaged: got None for a Tuned"),
        ("[]", "are damaged: got [] for a Tuned"),
        ("{}", "are damaged: Tuned lacks 'config'"),
        (json.dumps({"config": 3, "arms": [ARM]}), "Tuned.config got 3, expected values by name"),
        (json.dumps({"config": {}}), "are damaged: Tuned lacks 'arms'"),
        (json.dumps({"config": {}, "arms": 7}), "Tuned.arms got 7, expected several, each a TunedArm"),
        (
            json.dumps({"config": {}, "arms": [{**ARM, "default": None}]}),
            "TunedArm.default got None, expected a",
        ),
        (json.dumps({"config": {}, "arms": [{"default": "none"}]}), "are damaged: TunedArm lacks 'tuned'"),
        (json.dumps({"config": {"plugins": "own"}, "arms": [ARM]}), "was made with --plugins own; give"),
        (json.dumps({"config": {}, "arms": [ARM], "sha256": "0"}), "was changed after it was written"),
        (json.dumps({"config": {}, "arms": []}), "no configuration of any arm came to its end"),
        (
            json.dumps({"config": {}, "arms": [{**ARM, "value": None}]}),
            "no configuration of any arm came to it",
        ),
        (json.dumps({"config": {"wings": 2}, "arms": [ARM]}), "StudyConfig has no 'wings'"),
        (json.dumps({"config": {}, "arms": [{**ARM, "tuned": "nonsense"}]}), "unknown variant 'nonsense'"),
    ],
)
def test_a_damaged_record_of_what_was_found_is_refused(tmp_path, monkeypatch, saved, says):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.chdir(tmp_path)
    file = Path("studies/t/tuned.json")
    file.parent.mkdir(parents=True)
    file.write_bytes(saved.encode("latin1"))
    result = call_study("ablate", "--from-tuned", "t")
    assert (result.code, result.err.count("\n")) == (2, 1), result.err
    assert result.err.startswith(f"error: {file}")
    assert says in result.err


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
from experiments.config.tuning import Choice, Range

STUDY = study("smoke", name="t", variants=("learned", "rope2d"))
SPACE = %s
"""
GOOD = [
    '{"train.schedule": Choice("constant", "wsd:decay=0.5")}',
    '{"train.warmup_steps": Range(1, 8), "train.t-density": Choice("uniform", "logit_normal")}',
    '{"theta": Range(10, 1e4, log=True), "model.dim": Choice(16, 32), "model.qk_norm": Choice(True, False)}',
]
BAD = [
    ('{"train.schedule": Choice("constant", "wsdd")}', "unknown schedule 'wsdd'. Did you mean 'wsd'?"),
    ('{"train.nosuch": Range(.1, 1)}', "SPACE got 'train.nosuch', expected a setting such as train.lr, or"),
    ('{"train.warmup_step": Range(1, 9)}', "Did you mean 'train.warmup_steps'?"),
    ('{"train.steps": Range(10, 20)}', "SPACE train.steps=10: "),
    ('{"train.warmup_steps": Range(.5, 9)}', "SPACE train.warmup_steps: Range got (0.5, 9), expected two"),
    ('{"train.warmup_steps": Range(1, 99)}', "SPACE train.warmup_steps=50: arm learned: train.warmup"),
    ('{"train.warmup_steps": Choice(1, 4.5)}', "--train.warmup-steps got '4.5', expected a whole number"),
    ('{"train.lr": Choice("a", "b")}', "SPACE train.lr=a: arm learned: --train.lr got 'a', expected"),
    ('{"train.beta2": Range(.9, .9999)}', "train.beta2 got 1.0, expected a number from 0 to below 1"),
    ('{"train.objective": Range(0, 1)}', "SPACE train.objective=0: "),
    ('{"train.optimizer": Choice("adamw", "muon:lr=0")}', "SPACE train.optimizer=muon:lr=0: "),
    ('{"train.batch": Range(8, 5000)}', "SPACE train.batch=2504: train.batch got 2504, expected at most the"),
    ('{"model.patch": Choice(2, 3)}', "SPACE model.patch=3: "),
    ('{"model.num_heads": Choice(2, 16)}', "SPACE model.num_heads=16: rope2d needs"),
    ('{"thta": Range(1, 9)}', "SPACE got 'thta', expected a setting such as train.lr, or an option of a"),
    ('{"thta": Range(1, 9)}', "variant. Did you mean 'theta'? Mend it, or leave it out."),
    ('{"theta": Choice("a", "b")}', "SPACE theta=a: rope2d: option 'theta' got 'a', expected a"),
    ('{"theta": Range(-1, 10)}', "SPACE theta=-1: "),
    ('{"train.lr": (1e-4, 1e-2)}', "SPACE train.lr got (0.0001, 0.01), expected a Range or a Choice."),
    ('["train.lr"]', "SPACE got ['train.lr'], expected a dict by settings"),
]  # fmt: skip


def dry_tuning(folder: Path, space: str):
    (folder / "mine.py").write_text(FILE % space)
    return call_study("tune", "mine.py", "--eval.n", "100", "--dry-run")


@pytest.mark.parametrize("space", GOOD)
def test_a_space_that_fits_is_searched(tmp_path, monkeypatch, space):
    monkeypatch.chdir(tmp_path)
    result = dry_tuning(tmp_path, space)
    assert (result.code, result.err) == (0, "")


def test_arms_may_be_narrowed_to_some_without_an_option(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(FILE % '{"theta": Range(1, 9), "train.lr": Range(1e-4, 1e-2)}')
    assert call_study("tune", "mine.py", "--eval.n", "100", "--variants", "learned", "--dry-run").code == 0


@pytest.mark.parametrize(("space", "says"), BAD)
def test_a_space_is_tried_before_the_search(tmp_path, monkeypatch, space, says):
    monkeypatch.chdir(tmp_path)
    result = dry_tuning(tmp_path, space)
    assert (result.code, result.err.count("\n")) == (2, 1), result.err
    assert says in result.err
    assert [*tmp_path.iterdir()] == [tmp_path / "mine.py"]


def test_whole_numbers_are_searched_by_whole_numbers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = study("smoke", name="t", variants=("rope2d",))
    space = {"train.warmup_steps": Range(1, 18, log=True), "train.lr": Range(1, 2)}
    plan, _, _ = plan_tuning(config, space)
    found = read_space(plan.facts["space"])
    assert found == {"train.warmup_steps": Range(1, 18, log=True, whole=True), "train.lr": Range(1, 2)}
    arm = plan.arms["rope2d"]
    assert default_params(arm, found, plan) == {"train.warmup_steps": 2, "train.lr": 1}
    drawn = [value_text(v) for v in draws_of(found["train.warmup_steps"], 30)]
    assert len({*drawn}) > 4
    for text in drawn:
        assert 1 <= configured(arm, "train.warmup_steps", text).config(plan.base).train.warmup_steps <= 18


def draws_of(what: Range, count: int) -> list:
    """What TPE suggests of it."""
    one = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    found = []
    for _ in range(count):
        trial = one.ask({"x": distribution(what)})
        found.append(trial.params["x"])
        one.tell(trial, trial.params["x"])
    return found


def test_a_search_of_before_whole_numbers_goes_on_as_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = study("digits", name="t", variants=("rope2d",), eval={"n": (100,)})
    space = {"train.warmup_steps": Range(100, 900)}
    plan, _, _ = plan_tuning(config, space)
    before = '{"train.warmup_steps": {"low": 100, "high": 900, "log": false}}'
    assert plan.facts["space"] != before
    replace(plan, facts={**plan.facts, "space": before}).save()
    assert plan_tuning(config, space)[0].facts["space"] == before


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
