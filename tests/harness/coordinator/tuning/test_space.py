"""The space that tuning searches: what it may hold, how it is drawn from, and what earlier versions wrote."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import optuna
import pytest
from studies import call_study

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
from experiments.coordinator.tuning.tune import announcement, plan_tuning

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


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


def test_an_arm_without_anything_to_tune_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = dry_tuning(tmp_path, '{"theta": Range(10, 100)}')
    assert result.code == 2
    assert (
        "nothing to tune: SPACE has no other configuration of arm learned than the default one" in result.err
    )


def test_every_arm_gets_as_many_configurations_as_the_arm_with_the_fewest_has(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = study("smoke", name="t", variants=("learned", "rope2d"), eval={"n": (100,)})
    space = {"train.schedule": Choice("constant", "cosine"), "theta": Choice(10, 100, 1000)}
    plan, spent, _ = plan_tuning(config, space)
    assert (spent.trials, json.loads(plan.facts["tune"])["trials"]) == (2, 2)
    told = announcement(plan, spent, 1, config.tune.trials)
    assert told.startswith("SPACE has only 2 configurations of some arm: every arm gets so many, not 18\n")
    _, spent, _ = plan_tuning(replace(config, variants=("rope2d",)), space)
    assert spent.trials == 6


def test_a_search_that_drew_some_twice_goes_on_as_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = study("smoke", name="t", variants=("rope2d",), eval={"n": (100,)}, tune=TuneConfig(trials=6))
    space = {"train.schedule": Choice("constant", "cosine")}
    plan, spent, _ = plan_tuning(config, space)
    assert (spent.trials, plan.facts["configurations"]) == (2, "each once")
    before = {key: text for key, text in plan.facts.items() if key != "configurations"}
    replace(plan, facts={**before, "tune": json.dumps(asdict(config.tune))}).save()
    plan, spent, _ = plan_tuning(config, space)
    assert spent.trials == 6
    assert "configurations" not in plan.facts
