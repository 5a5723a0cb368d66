"""How runs say that they ended: finished, paused, diverged, error, stopped, or without a word."""

import os
import re
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from commands import (  # noqa: F401
    QUICK,
    SMOKE,
    call,
    copy_fixture,
    finished_fixture,
    process,
    snapshot,
    trained,
    until,
    wait,
    work_elsewhere,
)

from experiments.cli.main import StopFlag
from experiments.records.mlflow_store import connect, tracking_uri
from experiments.records.run_folder import Ending, RunFolder
from experiments.run import command
from experiments.runner.execute import execute
from experiments.runner.resolve import resolve_run
from rope_dit.errors import Stopped, UserError


def ending(folder: str | Path) -> Ending | None:
    return RunFolder(Path(folder)).ending


def tracked(folder: str) -> tuple[str, str]:
    """Status and outcome of a run in the store, which the test shares with others."""
    client, uid = connect(tracking_uri()), RunFolder(Path(folder)).record.id
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    (run,) = client.search_runs(ids, f"tags.run_uid = '{uid}'")
    return run.info.status, run.data.tags["outcome"]


def test_finished(finished):
    assert ending(finished) == Ending("FINISHED", "finished", "")


def test_a_finished_run_keeps_its_ending_while_it_is_asked_again(copy):
    before = (copy / "ending.json").stat().st_mtime_ns
    assert call("run", *SMOKE, "--out", "run").code == 0
    assert ending(copy) == Ending("FINISHED", "finished")
    assert (copy / "ending.json").stat().st_mtime_ns == before


def test_another_run_that_was_begun_there_meanwhile_is_left_alone(finished):
    settings = RunFolder(finished).record.settings
    resolved = resolve_run(replace(settings, out=Path("run"), seed=settings.seed + 1))  # nothing is there yet
    shutil.copytree(finished, "run", ignore=shutil.ignore_patterns("checkpoints"))
    before = snapshot(Path("run"))
    with resolved.folder.held(), pytest.raises(UserError, match="holds another run"):
        execute(resolved, StopFlag())
    after = snapshot(Path("run"))
    assert {name: after[name] for name in after if not name.endswith("/.")} == {  # the lock came and went
        name: before[name] for name in before if not name.endswith("/.")
    }


def test_diverged():
    result = call("run", *QUICK, "--train.lr", "1000", "--train.steps", "200", "--out", "run")
    assert result.code == 1
    found = ending("run")
    assert (found.status, found.outcome) == ("FAILED", "diverged")
    assert found.message == "Diverged: " + result.err.removeprefix("error: ").splitlines()[0]
    assert tracked("run") == ("FAILED", "diverged")


@pytest.mark.parametrize("every", [0, 1])
def test_pictures_that_are_not_finite_are_diverged_and_never_scored(every):
    """Each weight is finite, and so was each loss; rounded, the pictures would be black and score 47."""
    hot = ("--train.lr", "1000", "--train.warmup-steps", "0", "--train.steps", "3", "--out", "run")
    quick = [*QUICK]
    quick[quick.index("--eval.every") + 1] = str(every)
    result = call("run", *quick, *hot)
    assert result.code == 1
    says = r"error: diverged at step \d: 25 of 25 pictures are not finite \(euler-1, guidance 1\)"
    assert re.match(says, result.err), result.err
    assert ending("run") == Ending("FAILED", "diverged", "Diverged: " + result.err[7:].splitlines()[0])
    assert tracked("run") == ("FAILED", "diverged")
    step = int(result.err.partition("step ")[2].partition(":")[0])
    assert all(score.key.train_step < step for score in RunFolder(Path("run")).scores())
    assert not list(Path("run").glob(f"pictures/{step:08d}*"))
    if not every:  # it was trained to its end
        for words in (("evaluate", "run"), ("sample", "run", "--n", "3", "--out", "x.npz")):
            again = call(*words)
            assert (again.code, re.match(says, again.err) is not None) == (1, True), again.err
        assert not Path("x.npz").exists()


def test_an_error_is_told_and_its_cause_removed_goes_on(copy):
    for leftover in ("pictures", "scores.csv"):
        path = copy / leftover
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (copy / "pictures").write_text("no folder")
    result = call("run", *SMOKE, "--out", "run")
    assert result.code == 1
    found = ending("run")
    assert (found.status, found.outcome) == ("FAILED", "error")
    assert found.message.endswith(result.err.removeprefix("error: ").splitlines()[0])
    assert found.message.partition(": ")[0] in ("FileExistsError", "NotADirectoryError")
    assert tracked("run") == ("FAILED", "error")
    (copy / "pictures").unlink()
    assert call("run", *SMOKE, "--out", "run").code == 0
    assert ending("run") == Ending("FINISHED", "finished")
    assert tracked("run") == ("FINISHED", "finished")


LONG = ("--preset", "smoke", "--train.threads", "1", "--train.steps", "100000", "--train.log-every", "1",
        "--eval.every", "0", "--out", "run")  # fmt: skip


def long_run() -> int:
    os.dup2(os.open("err", os.O_CREAT | os.O_WRONLY | os.O_APPEND), 2)
    try:
        with StopFlag().listen() as stop:
            return command([*LONG], stop)
    except Stopped:
        return 143


def test_there_is_none_while_a_process_is_at_work_or_where_it_was_killed():
    import mlflow  # noqa: F401  imported before the forks, which then start at once

    import experiments.runner.execute  # noqa: F401

    with process(long_run) as pid:
        until(lambda: trained(3))
        assert ending("run") is None
        os.kill(pid, signal.SIGTERM)
        assert wait(pid) == 143
    assert ending("run") == Ending("KILLED", "stopped")
    assert tracked("run") == ("KILLED", "stopped")
    steps = Path("run/metrics.jsonl").read_bytes().count(b"\n")
    with process(long_run):
        until(lambda: trained(steps + 1))
        assert ending("run") is None
    assert ending("run") is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"status": "FINISHED"}', '{"state": 1}'])
def test_a_damaged_ending_is_none(copy, content):
    (copy / "ending.json").write_text(content)
    assert ending(copy) is None
