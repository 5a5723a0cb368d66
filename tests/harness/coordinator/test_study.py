"""A study from the command to what it leaves behind: grown, refused, made again, with runs that fail."""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from commands import METRIC, call, forget_plugins, timeless
from studies import QUICK, call_study, copied_study, made_study, plan_of, trials_of

from analysis import load
from experiments.config.launch import LaunchConfig
from experiments.config.presets import PRESETS
from experiments.coordinator.cell import Cell
from experiments.coordinator.cell_queue import CellQueue
from experiments.coordinator.launchers import Ended, Task
from experiments.coordinator.launchers.local import LocalLauncher
from experiments.records.definition import read_definition
from experiments.records.mlflow_store import connect
from experiments.scoring.extractors.classifier_file import WEIGHTS

SMALL = ("--preset", "smoke", *QUICK)
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a finished study `small` of two arms and two seeds; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("study")
    return folder, made_study(folder, "smoke", *QUICK, "--seeds", 2, "--name", "small", report=True)


@pytest.fixture
def copy(finished, tmp_path, monkeypatch):
    """A copy of the finished study to go on with."""
    return copied_study(finished[0], tmp_path, monkeypatch)


def scores_of(folder: Path, name: str = "small") -> dict[str, list[dict[str, str]]]:
    return {cell.name: timeless(cell.folder.path) for cell in plan_of(folder, name).cells()}


def changed(folder: Path) -> dict[Path, int]:
    return {
        f: f.stat().st_mtime_ns for f in folder.rglob("*") if f.is_file() and f.name not in ("lock", "owner")
    }


@pytest.mark.slow
def test_the_endpoint_and_the_estimate_are_said_first(finished):
    lines = finished[1].out.splitlines()
    assert lines[0] == "study small: 2 arms (learned, rope2d), seeds 0-1, baseline learned"
    assert lines[1].startswith(
        "primary endpoint: fd_digits (lower is better), sampler euler:grid=uniform,steps=1"
    )
    assert (
        "guidance 1, EMA 0.9, n = 100, step 20; margin 5 % of the baseline's distance from the real floor"
        in lines[1]
    )
    assert re.fullmatch(r"4 runs, 0 of them done; about \d+ minutes of work", lines[2])
    assert re.fullmatch(r"up to 1 at a time: about \d+ minutes at best", lines[3])


def test_its_runs_are_processes_of_their_own(tmp_path):
    args = ("smoke", *QUICK, "--variants", "none", "--seeds", 2, "--name", "two")
    made = made_study(tmp_path, *args, processes=True)
    plan = plan_of(tmp_path, "two")
    at_once = min(2, LocalLauncher(LaunchConfig(), plan.base.train.threads, "cpu").slots)
    assert f"\nup to {at_once} at a time: about " in made.out
    for cell in plan.cells():
        assert cell.state() == "done"
        assert (tmp_path / "studies/two/logs" / f"{cell.name}.txt").is_file()


def test_every_cell_is_there_once(finished):
    folder, _ = finished
    runs = load.runs("small", f"sqlite:///{folder}/mlflow.db")
    assert list(zip(runs["arm"], runs["seed"], strict=True)) == [
        ("learned", 0), ("learned", 1), ("rope2d", 0), ("rope2d", 1),
    ]  # fmt: skip
    assert set(runs["status"]) == {"FINISHED"}
    assert set(runs["study"]) == {"small"}
    command = runs["command"][0]
    assert command.startswith("python -m experiments.run --preset smoke --variant learned")
    assert runs["inputs_sha256"].nunique() == 2  # one a seed: the arms of a seed are paired


def test_optuna_has_each_cell_as_a_trial(finished):
    folder, _ = finished
    trials = trials_of(folder, "small")
    scores = load.scores("small", f"sqlite:///{folder}/mlflow.db")
    main = scores[(scores["metric"] == "fd_digits") & scores["sampler"].str.startswith("euler")]
    values = {(row.arm, row.seed): row.value for row in main.itertuples()}
    assert [trial[1] for trial in trials] == [
        {"arm": arm, "seed": seed} for seed in (0, 1) for arm in ("learned", "rope2d")
    ]
    for state, params, value, curve in trials:
        assert state == "COMPLETE"
        assert value == curve[20] == values[params["arm"], params["seed"]]


def test_the_store_knows_what_the_study_is(finished):
    folder, _ = finished
    definition = read_definition(connect(f"sqlite:///{folder}/mlflow.db"), "small")
    assert definition.endpoint.metric == "fd_digits"
    assert definition.comparisons == (("rope2d", "learned"),)
    assert [look.seeds for look in definition.looks] == [2]


def test_the_report_is_written(finished):
    folder, result = finished
    assert (folder / "reports" / "small" / "index.html").is_file()
    assert "reports/small" in result.out


def test_a_study_of_twenty_steps_says_that_nothing_was_learned_and_nothing_else(finished):
    report = finished[0] / "reports" / "small"
    text = (report / "report.md").read_text().replace("\\", "")
    assert re.search(r"No arm has learned anything: .* has 9\d % before it\. Nothing is concluded\.", text)
    assert (report / "comparisons.csv").read_text().strip() == ""
    assert not re.search("equivalent to|not told apart|inconclusive", text)


def test_the_same_command_again_does_nothing(copy):
    before = changed(copy / "studies" / "small" / "runs")
    result = call_study("smoke", *QUICK, "--seeds", 2, "--name", "small")
    assert result.code == 0, result.err
    assert "4 runs, 4 of them done" in result.out
    assert changed(copy / "studies" / "small" / "runs") == before
    assert len(plan_of(copy, "small").looks) == 1


@pytest.mark.slow
def test_a_study_grows_by_seeds_and_samplers_and_arms(copy):
    before = scores_of(copy)
    weights = {f: t for f, t in changed(copy / "studies").items() if f.parent.name == "checkpoints"}
    result = call_study(
        "smoke", "--eval.every", "0", "--samplers", "euler:steps=1", "rk4:steps=1", "--eval.n", "100",
        "--seeds", 3, "--name", "small", "--arms", "fast=rope2d;train.lr=0.01",
    )  # fmt: skip
    assert result.code == 0, result.err
    plan, after = plan_of(copy, "small"), scores_of(copy)
    assert (list(plan.arms), plan.seeds, plan.planned_seeds) == (["learned", "rope2d", "fast"], (0, 1, 2), 2)
    assert [look.seeds for look in plan.looks] == [2, 3]
    assert len(plan.base.eval.samplers) == 3  # the two there were, and the new one
    for name, rows in before.items():
        assert after[name][: len(rows)] == rows
    assert {len(rows) for rows in after.values()} == {3 * len(next(iter(before.values()))) // 2}
    assert {f: f.stat().st_mtime_ns for f in weights} == weights
    assert len(trials_of(copy, "small")) == 9


@pytest.mark.parametrize(
    ("args", "field"),
    [
        (("--train.lr", "1e-3"), "train.lr: there 0.002, now 0.001"),
        (("--margin", "0.1"), "margin: there 0.05, now 0.1"),
        (("--margin-unit", "absolute"), "margin unit: there gap, now absolute"),
        (("--baseline", "rope2d"), "baseline: there learned, now rope2d"),
        (
            ("--variants", "learned", "--arms", "rope2d=rope2d:theta=50"),
            "arm rope2d: there rope2d=rope2d:theta=100, now",
        ),
        (("--samplers", "heun:steps=1"), "endpoint sampler: there euler"),
        (("--eval.n", "200"), "endpoint n: there 100, now 200"),
    ],
)
def test_a_changed_identity_is_refused(copy, args, field):
    before = changed(copy)
    given = [*QUICK] if args[0] not in QUICK else [*QUICK[:4], *QUICK[QUICK.index("--eval.n") :]]
    if args[0] == "--eval.n":
        given = [*QUICK[: QUICK.index("--eval.n")]]
    result = call_study("smoke", *given, "--name", "small", *args)
    assert result.code == 2
    assert "holds another study" in result.err
    assert field in result.err
    assert changed(copy) == before


@pytest.mark.slow
def test_scores_of_another_extractor_do_not_count(copy):
    shutil.copy(WEIGHTS / "digits.safetensors", "mine.safetensors")
    folder = "studies/small/runs/rope2d-s0"
    result = call("evaluate", folder, "--samplers", "rk4:steps=1", "--extractor", "mine.safetensors")
    assert result.code == 0, result.err
    given = ("smoke", "--eval.every", "0", "--eval.n", "100", "--seeds", 2, "--name", "small", "--dry-run")
    assert "4 runs, 4 of them done" in call_study(*given, "--samplers", "euler:steps=1").out
    assert "4 runs, 0 of them done" in call_study(*given, "--samplers", "euler:steps=1", "rk4:steps=1").out
    result = call("evaluate", folder, "--samplers", "rk4:steps=1")
    assert result.code == 0, result.err
    assert "4 runs, 1 of them done" in call_study(*given, "--samplers", "euler:steps=1", "rk4:steps=1").out


def test_a_metric_that_came_later_is_still_to_be_scored(copy):
    Path("own").mkdir()
    Path("own/bias.py").write_text(METRIC)
    given = ("smoke", *QUICK, "--seeds", 2, "--name", "small", "--dry-run")
    try:
        assert "4 runs, 0 of them done" in call_study(*given, "--plugins", "own").out
    finally:
        forget_plugins()
    assert "4 runs, 4 of them done" in call_study(*given).out


def test_sync_makes_mlflow_and_optuna_again(copy):
    was = load.scores("small", f"sqlite:///{copy}/mlflow.db").drop(columns=["run_id"])
    points = load.curves("small", f"sqlite:///{copy}/mlflow.db").drop(columns=["run_id"])
    trials = trials_of(copy, "small")
    shutil.rmtree(copy / "mlartifacts")
    for file in (copy / "mlflow.db", copy / "studies" / "small" / "optuna.db"):
        file.unlink()
    result = call_study("--sync", "small")
    assert result.code == 0, result.err
    again = load.scores("small", f"sqlite:///{copy}/mlflow.db").drop(columns=["run_id"])
    assert again.equals(was)
    curves = load.curves("small", f"sqlite:///{copy}/mlflow.db").drop(columns=["run_id"])
    order = ["arm", "seed", "key", "step"]
    assert curves.sort_values(order, ignore_index=True).equals(points.sort_values(order, ignore_index=True))
    assert trials_of(copy, "small") == trials


def test_runs_that_diverge_do_not_stop_the_others(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.chdir(tmp_path)
    arms = ("none", "wild=none;train.lr=900;train.clip=1e9")
    args = (
        "--preset",
        "smoke",
        *QUICK,
        "--variants",
        arms[0],
        "--arms",
        arms[1],
        "--seeds",
        1,
        "--name",
        "d",
    )
    result = call_study(*args)
    assert result.code == 3, result.err
    assert "wild-s0 diverged: " in result.err
    assert "arm wild: 1 of 1 runs did not end well: diverged: " in result.err
    states = {cell.arm: cell.state() for cell in plan_of(tmp_path, "d").cells()}
    assert states == {"none": "done", "wild": "diverged"}
    assert sorted(trial[0] for trial in trials_of(tmp_path, "d")) == ["COMPLETE", "FAIL"]
    outcomes = load.runs("d", f"sqlite:///{tmp_path}/mlflow.db").set_index("arm")["outcome"].to_dict()
    assert outcomes == {"none": "finished", "wild": "diverged"}


BROKEN = """
from rope_dit.pos_embed.base import PosEmbed
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("mine")
class Mine(PosEmbed):
    "Never works."

    def add(self, site, x):
        raise RuntimeError("boom")
"""


@pytest.mark.parametrize(("variants", "code"), [(("none", "mine"), 3), (("mine", "none"), 2)])
def test_an_arm_that_never_begins_is_named_at_the_start_or_with_the_report(
    tmp_path, monkeypatch, variants, code
):
    """The first arm is timed before any run begins, and so is refused; of others the runs fail."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.chdir(tmp_path)
    Path("plug").mkdir()
    Path("plug/mine.py").write_text(BROKEN)
    arms = ("--variants", *variants, "--seeds", 1, "--plugins", "plug")
    result = call_study("--preset", "smoke", *QUICK, *arms, "--name", "d")
    assert result.code == code, result.err
    lines = [line for line in result.err.splitlines() if "(plug/mine.py:11): RuntimeError: boom." in line]
    assert lines[-1].startswith(
        "arm mine: 1 of 1 runs did not end well" if code == 3 else "error: variant 'mine'"
    )
    assert Path("reports/d/report.md").exists() == Path("studies").exists() == (code == 3)


def test_a_study_of_which_no_run_begins_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(CellQueue, "carry_out", lambda queue, cells: None)
    result = call_study("--preset", "smoke", *QUICK, "--variants", "none", "--seeds", 1, "--name", "d")
    last = result.err.splitlines()[-1]
    assert (result.code, last) == (1, "error: no run of the study has begun, so there is nothing to report.")


class Limited:
    """Launches jobs that are ended at their time limit, each after it has logged the next of these steps."""

    slots = 1

    def __init__(self, cell: Cell, steps: list[int]):
        self.cell, self.steps, self.ended = cell, steps, list[Ended]()

    def start(self, task: Task) -> None:
        self.cell.folder.path.mkdir(parents=True, exist_ok=True)
        row = json.dumps({"step": self.steps.pop(0), "time": 0.0, "values": {}})
        (self.cell.folder.path / "metrics.jsonl").write_text(row + "\n")
        self.ended.append(Ended(task.name, 143))

    def poll(self, seconds: float) -> list[Ended]:
        ended, self.ended = self.ended, []
        return ended


def test_a_killed_run_is_started_again_as_long_as_it_gets_on(tmp_path):
    cell = Cell.of(replace(PRESETS["smoke"], arm="a"), 0, tmp_path / "runs", "digits")
    launcher = Limited(cell, [4, 8, 12, 16, 16, 12, 16, 20])
    queue = CellQueue(tmp_path, launcher, lambda: False, 1)
    queue.carry_out([cell])
    assert queue.failures == {"a-s0": "failed: killed 3 times without getting on (exit code 143)"}
    assert launcher.steps == [20]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--variants", "rope2d", "rope2dd"), "Did you mean 'rope2d'"),
        (("--variants", "rope2d", "rope2d"), "is there twice"),
        (("--seeds", "0"), "seeds got 0"),
        (("--baseline", "rope3d"), "expected one of the arms learned, rope2d"),
        (("--eval.n", "20"), "expected more than the 64 features of digits"),
        (("--data", "folder:nowhere"), "nowhere"),
        (("--runs-per-gpu", "2"), "runs-per-gpu"),
        (("--sync", "nothing"), "no study 'nothing'"),
        (("--model.num-heads", "16"), "rope2d"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(tmp_path, monkeypatch, args, says):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.chdir(tmp_path)
    result = call_study("smoke", *args, processes=True)
    assert (result.code, result.err.count("error: ")) == (2, 1)
    assert says in result.err
    assert len(result.err.splitlines()[0]) <= 200
    assert os.listdir(tmp_path) == []
