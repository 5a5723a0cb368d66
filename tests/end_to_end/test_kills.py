"""kill -9 at random moments of training, sampling and scoring: the outcome is that of an undisturbed run.

Each case is a process of its own (a fork of one that has imported everything), and each kill a real SIGKILL.
"""

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
from commands import fork, timeless, wait

from experiments.cli.main import OK, StopFlag
from experiments.run import command

ARGS = ["--preset", "smoke", "--train.steps", "40", "--train.save-seconds", "0.02", "--train.threads", "1",
        "--train.log-every", "4", "--eval.every", "16", "--eval.sampling-seeds", "2"]  # fmt: skip
TIMED = ("train/images_per_second", "system/peak_memory_mib")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A folder with a tracking store, and what an undisturbed run leaves there."""
    import mlflow  # noqa: F401  imported before the forks, which then start at once

    import experiments.runner.dry_run
    import experiments.runner.execute  # noqa: F401

    folder = tmp_path_factory.mktemp("kills")
    assert wait(start(folder, "reference")) == OK
    return folder, outcome(folder / "reference")


def start(folder: Path, name: str) -> int:
    """Start the run in a process of its own; the same call goes on with what an earlier one left."""

    def work() -> int:
        os.chdir(folder)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        for stream, file in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{name}.{file}", os.O_CREAT | os.O_WRONLY | os.O_APPEND), stream)
        with StopFlag().listen() as stop:
            return command([*ARGS, "--out", name], stop)

    return fork(work)


def outcome(run: Path) -> dict[str, object]:
    """All that must not depend on kills; the name of a checkpoint holds the hash of its content."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {
        "checkpoint": max(path.name for path in (run / "checkpoints").iterdir()),
        "metrics": [(r["step"], {k: v for k, v in r["values"].items() if k not in TIMED}) for r in rows],
        "scores": sorted(timeless(run), key=str),
        "pictures": {path.name: path.read_bytes() for path in sorted((run / "pictures").iterdir())},
        "left over": [p.name for p in run.rglob("*") if p.name.startswith(".tmp") or "samples" in p.parts],
    }


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def progress(run: Path, phase: str) -> int:
    """A number that grows while a run is in this phase."""
    if phase == "training":
        return lines(run / "metrics.jsonl")
    if phase == "scoring":
        return lines(run / "scores.csv") + len(list(run.glob("pictures/*.png")))
    return len(list(run.glob("samples/*.safetensors"))) + 4 * len(list(run.glob("pictures/*.png")))


def kill_in(phase: str, pid: int, run: Path, rng: random.Random) -> bool:
    """Kill the process once the phase has advanced by a random amount; False if it ended before."""
    goal = progress(run, phase) + rng.randint(1, 4)
    while progress(run, phase) < goal:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return False
        time.sleep(0.0005)
    time.sleep(rng.uniform(0, 0.03))
    os.kill(pid, signal.SIGKILL)
    return wait(pid) == -signal.SIGKILL


def torture(folder: Path, expected: dict[str, object], kills_wanted: int, seed: int) -> dict[str, int]:
    """Kill runs until there have been so many kills; compare each finished run. Returns kills by phase."""
    rng, kills, name = random.Random(seed), {"training": 0, "sampling": 0, "scoring": 0}, 0
    while sum(kills.values()) < kills_wanted:
        name += 1
        run = folder / f"killed-{seed}-{name}"
        for _ in range(12):
            phase = min(kills, key=lambda p: (kills[p], rng.random()))
            pid = start(folder, run.name)
            if not kill_in(phase, pid, run, rng):
                break
            kills[phase] += 1
        assert wait(start(folder, run.name)) == OK, (folder / f"{run.name}.err").read_text()
        assert outcome(run) == expected
        check_tracking(folder, run)
    return kills


def check_tracking(folder: Path, run: Path) -> None:
    """Each (key, step) stands once in MLflow, with the value of the run folder, and the run is FINISHED."""
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("rope-dit")
    found = client.search_runs([experiment.experiment_id], f"tags.`mlflow.runName` = '{run.name}'")
    assert [r.info.status for r in found] == ["FINISHED"]
    for row in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()):
        for key, value in row["values"].items():
            history = [
                m.value for m in client.get_metric_history(found[0].info.run_id, key) if m.step == row["step"]
            ]
            assert history == [value] or (key in TIMED and len(history) == 1), (key, row["step"])


@pytest.mark.slow
def test_a_few_kills_change_nothing(workspace):
    assert min(torture(*workspace, kills_wanted=6, seed=0).values()) > 0


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_many_kills_change_nothing(workspace):
    assert min(torture(*workspace, kills_wanted=60, seed=1).values()) >= 10


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_saves_and_the_same_command_goes_on(workspace, number):
    folder, expected = workspace
    run = folder / f"signalled-{number.name}"
    for phase, goal in (("training", 2), ("sampling", 1)):
        pid = start(folder, run.name)
        while progress(run, phase) < goal:
            assert os.waitpid(pid, os.WNOHANG)[0] == 0, "ended before the signal"
            time.sleep(0.001)
        os.kill(pid, number)
        assert wait(pid) == 1  # Stopped; the command line, which makes 130 or 143 of it, is not in play here
    assert wait(start(folder, run.name)) == OK
    assert outcome(run) == expected
