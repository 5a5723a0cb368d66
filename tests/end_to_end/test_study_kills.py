"""kill -9 of coordinator and workers at random moments: the study ends as if nothing had happened."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from commands import timeless
from studies import plan_of, trials_of

from analysis import load
from experiments.records.run_folder import RunFolder

ARGS = ("smoke", "--name", "k", "--eval.n", "100", "--train.steps", "60")
ONE, TWO = ("--seeds", "1"), ("--seeds", "2")
LONGEST = 9.0  # seconds to the next kill; an undisturbed study takes about twice that
PATIENCE = 900.0  # seconds to the end of a study, on a busy machine too

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def coordinator(folder: Path, more: Sequence[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "experiments.study", *ARGS, *more]
    env = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    with open(folder / "coordinator.txt", "ab") as log:
        return subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)


def workers(folder: Path) -> list[int]:
    """Processes of cells of the study in `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if "experiments.coordinator.worker" in words and any(word.startswith(str(folder)) for word in words):
            found.append(int(process.name))
    return found


def carry_out(folder: Path, more: Sequence[str], kills: int = 0, seed: int = 0) -> int:
    """Run the study to its end, with some kills on the way; returns how many there were."""
    draw, done = random.Random(seed), 0
    process = coordinator(folder, more)
    begun = time.monotonic()
    while process.poll() is None or done < kills:
        assert time.monotonic() - begun < PATIENCE * (1 + kills / 10), (
            folder / "coordinator.txt"
        ).read_text()
        if process.poll() is not None:
            assert process.returncode in (0, -signal.SIGKILL), (folder / "coordinator.txt").read_text()
            if process.returncode == 0:
                break  # it came to its end before all kills were spent
            process = coordinator(folder, more)
        if done < kills:
            wait_for_end(process, draw.uniform(0.5, LONGEST))
            if process.poll() is None:
                victims = workers(folder)
                pid = draw.choice([process.pid, *victims]) if victims else process.pid
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
                done += 1
                if pid == process.pid:
                    process.wait()
        else:
            wait_for_end(process, 1.0)
    if process.wait() != 0:
        process = coordinator(folder, more)
        assert process.wait(PATIENCE) == 0, (folder / "coordinator.txt").read_text()
    return done


def wait_for_end(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def outcome(folder: Path) -> dict[str, Any]:
    """All that must not depend on kills."""
    uri, plan = f"sqlite:///{folder}/mlflow.db", plan_of(folder, "k")
    runs, curves = load.runs("k", uri), load.curves("k", uri)
    timed = curves["key"].str.contains("images_per_second|peak_memory")
    order = ["arm", "seed", "key", "step"]
    return {
        "cells": {cell.name: (cell.state(), timeless(cell.folder.path)) for cell in plan.cells()},
        "weights": {cell.name: newest_checkpoint(cell.folder) for cell in plan.cells()},
        "runs": runs[["arm", "seed", "status", "outcome", "inputs_sha256"]].to_dict("records"),
        "curves": curves[~timed].sort_values(order)[[*order, "value"]].to_dict("records"),
        "points": curves[timed].groupby(["arm", "seed", "key"]).size().to_dict(),
        "trials": trials_of(folder, "k"),
        "looks": [look.seeds for look in plan.looks],
        "verdicts": verdicts(folder),
    }


def newest_checkpoint(folder: RunFolder) -> bytes:
    return max((folder.path / "checkpoints").iterdir()).read_bytes()


def verdicts(folder: Path) -> str:
    """The report's verdicts, as its text has them."""
    text = (folder / "reports" / "k" / "report.md").read_text()
    return text.split("##")[1]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    carry_out(folder, TWO)
    return outcome(folder)


def check_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for part in expected:
        assert found[part] == expected[part], part


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_few_kills_change_nothing(tmp_path):
    for name, kills in (("undisturbed", 0), ("killed", 2)):
        (tmp_path / name).mkdir()
        assert carry_out(tmp_path / name, ONE, kills, seed=1) == kills
    check_same(outcome(tmp_path / "killed"), outcome(tmp_path / "undisturbed"))


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_twenty_kills_change_nothing(undisturbed, tmp_path):
    total = 0
    for i in range(20):
        if total >= 20:
            break
        folder = tmp_path / str(i)
        folder.mkdir()
        total += carry_out(folder, TWO, kills=20 - total, seed=100 + i)
        check_same(outcome(folder), undisturbed)
    assert total >= 20


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    pytest.importorskip("ray", reason="needs the extra: pip install 'rope-dit[ray]'")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
        yield made.address
        made.shutdown()


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_twenty_kills_with_ray_change_nothing(undisturbed, cluster, tmp_path):
    more = (*TWO, "--launcher", f"ray:address={cluster}")
    total = 0
    for i in range(20):
        if total >= 20:
            break
        folder = tmp_path / str(i)
        folder.mkdir()
        total += carry_out(folder, more, kills=20 - total, seed=200 + i)
        check_same(outcome(folder), undisturbed)
    assert total >= 20
