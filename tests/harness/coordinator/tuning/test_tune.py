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

from experiments.coordinator.tuning.tune import conclude
from experiments.coordinator.tuning.tuned import TunedArm, tuned_defaults
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


@pytest.mark.slow
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


@pytest.mark.slow
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
        (
            json.dumps({"config": {"plugins": "own"}, "arms": [ARM]}),
            "was made with --plugins own;",
        ),
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


WILD = """
from experiments.config.study import study
from experiments.config.tuning import Choice

STUDY = study("smoke", name="w", arms=("none", "wild=none;train.lr=900;train.clip=1e9"), train={"threads": 1})
SPACE = {"train.weight_decay": Choice(0, 0.001)}
"""


@pytest.mark.slow
def test_an_arm_of_which_nothing_ends_is_named(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wild.py").write_text(WILD)
    result = call_study("tune", "wild.py", *QUICK[:-2], "--eval.n", "100", "--tune.rungs", "1")
    assert result.code == 3, result.err
    assert "SPACE has only 2 configurations of some arm: every arm gets so many, not 18" in result.out
    assert "no configuration came to its end of: wild" in result.err
    trials = trials_of(tmp_path, "w")
    assert [state for state, *_ in trials if state != "FAIL"] == ["COMPLETE"] * 2 + ["PRUNED"] * 2
    with caplog.at_level("WARNING"):
        arms = tuned_defaults("w", Path("studies")).arms
    assert [arm.partition("=")[0] for arm in arms if "tuned" not in arm] == ["none", "wild"]
    assert "arm wild: no configuration came to its end; it is compared as by default" in caplog.text
    (tmp_path / "studies" / "w" / "optuna.db").unlink()
    assert call_study("--sync", "w").code == 0
    assert trials_of(tmp_path, "w") == trials


@pytest.mark.parametrize(
    ("values", "code", "recommended"),
    [((None, None), 1, False), ((None, 5.0), 3, True), ((4.0, 5.0), 0, True)],
)
def test_the_exit_code_says_whether_anything_ended(tuned, capsys, values, code, recommended):
    found = [TunedArm(default=f"{i}=none", tuned=f"{i}=none", trial=0, value=v) for i, v in enumerate(values)]
    assert conclude(plan_of(tuned[0], "t"), found) == code
    told = capsys.readouterr()
    assert ("--from-tuned" in told.out) == recommended
    failed = [str(i) for i, value in enumerate(values) if value is None]
    assert told.err == (f"no configuration came to its end of: {', '.join(failed)}\n" if failed else "")
