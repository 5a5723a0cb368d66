"""Slurm launcher: real jobs of submitit on this machine, and a Slurm that is four small scripts."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from studies import QUICK, call_study, plan_of
from tasks import CELL, LONG, alive, drain, python, told_pid, until

from experiments.config.launch import LaunchConfig
from experiments.coordinator.launchers import Ended, Task, make_launcher, node, pulse, slurm
from rope_dit.errors import UserError

pytest.importorskip("submitit")

ROOT = Path(__file__).parents[4]
SHOW = "import os; print([os.environ.get(n) for n in ('CUDA_VISIBLE_DEVICES', 'MLFLOW_X')], os.getcwd())"


@pytest.fixture
def launch():
    """`launch("options")` makes a launcher of two jobs at a time."""
    made = []

    def connect(options: str = "cluster=local", device: str = "cpu", threads: int = 1):
        spec = f"slurm:{options}" if options else "slurm"
        made.append(make_launcher(LaunchConfig(launcher=spec, workers=2), threads, device))
        return made[-1]

    yield connect
    for launcher in made:
        launcher.stop(0)


def job_of(log: Path) -> psutil.Process:
    """The process of submitit in which the task of this log is under way."""
    job = psutil.Process(told_pid(log)).parent()
    assert job is not None
    assert "submitit.core._submit" in job.cmdline()
    return job


def test_folder_variables_and_gpu_reach_the_task(launch, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    launcher = launch(device="cuda")
    monkeypatch.setenv("MLFLOW_X", "passed on")
    launcher.start(Task("show", python(SHOW), Path("logs/show")))
    assert drain(launcher, 1) == [Ended("show", 0)]
    assert (tmp_path / "logs/show").read_text() == f"['0', 'passed on'] {tmp_path}\n"
    launcher.stop(0)
    assert not list((tmp_path / "logs/submitit").iterdir())


def test_never_more_jobs_than_slots(launch, tmp_path):
    launcher = launch()
    for name in ("a", "b"):
        launcher.start(Task(name, python(CELL), tmp_path / name))
        told_pid(tmp_path / name)
    with pytest.raises(ValueError, match="no slot"):
        launcher.start(Task("c", python(CELL), tmp_path / "c"))
    launcher.stop(LONG)
    assert drain(launcher, 2) == [Ended("a", 143), Ended("b", 143)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2], ids=["preempted", "out-of-time"])
def test_what_slurm_signals_lets_a_task_save(launch, tmp_path, number):
    launcher = launch()
    launcher.start(Task("a", python(CELL), tmp_path / "a"))
    job_of(tmp_path / "a").send_signal(number)
    assert drain(launcher, 1) == [Ended("a", 143)]
    assert "checkpoint" in (tmp_path / "a").read_text()


def test_a_killed_job_is_lost_and_its_process_stops(launch, tmp_path, monkeypatch):
    monkeypatch.setattr(slurm, "SETTLE_SECONDS", 0.3)
    launcher = launch()
    launcher.start(Task("a", python(CELL), tmp_path / "a"))
    job_of(tmp_path / "a").kill()
    assert drain(launcher, 1) == [Ended("a", -9)]
    until(lambda: "checkpoint" in (tmp_path / "a").read_text(), "the end of the process")
    assert "without a result; see " in (tmp_path / "a").read_text()
    launcher.stop(0)
    assert list((tmp_path / "submitit").rglob("*_log.err"))


COORDINATOR = """
import sys
from pathlib import Path
from experiments.config.launch import LaunchConfig
from experiments.coordinator.launchers import Task, make_launcher, pulse
pulse.PATIENCE_SECONDS = 3.0
launcher = make_launcher(LaunchConfig(launcher="slurm:cluster=local"), 1, "cpu")
launcher.start(Task("a", (sys.executable, "-c", sys.argv[1]), Path(sys.argv[2])))
launcher.poll(600)
"""


@pytest.mark.slow
def test_jobs_stop_when_the_coordinator_is_killed(tmp_path):
    with subprocess.Popen(python(COORDINATOR, CELL, tmp_path / "a"), cwd=ROOT) as coordinator:
        pid = told_pid(tmp_path / "a")
        coordinator.kill()
    until(lambda: not alive(pid), "the end of the task")
    assert "checkpoint" in (tmp_path / "a").read_text()


def test_the_pulse_is_heard(tmp_path, monkeypatch):
    monkeypatch.setattr(pulse, "BEAT_SECONDS", 0.05)
    beats = pulse.Pulse(tmp_path / "folder" / "pulse")
    try:
        listener = pulse.Listener(str(beats.file), patience=LONG)
        assert listener.hears_a_beat()
        assert listener.grace() is None
    finally:
        beats.stop(7.5)
    assert listener.grace() == 7.5
    assert not pulse.Listener(str(beats.file), patience=LONG).hears_a_beat()


@pytest.mark.parametrize("there", [True, False])
def test_a_job_that_begins_when_the_coordinator_is_gone_does_nothing(tmp_path, there):
    file = tmp_path / "pulse"
    if there:
        file.write_text("beat 12")
    code = (
        "import sys; from experiments.coordinator.launchers.slurm import in_a_job;"
        "sys.exit(-in_a_job(['true'], 'log', '.', {}, sys.argv[1], 0.3))"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(python(code, file), cwd=tmp_path, env=env, timeout=LONG)
    assert done.returncode == signal.SIGTERM
    assert not (tmp_path / "log").exists()


def test_what_runs_on_nodes_needs_nothing_of_this_project(launch, tmp_path):
    import cloudpickle

    launch()
    beats = pulse.Pulse(tmp_path / "pulse")
    (tmp_path / "function").write_bytes(cloudpickle.dumps(slurm.in_a_job))
    code = (
        "import sys, pickle; sys.modules['experiments'] = sys.modules['rope_dit'] = None;"
        "in_a_job = pickle.load(open('function', 'rb'));"
        "sys.exit(in_a_job([sys.executable, '-c', 'exit(5)'], '/dev/null', '/', {}, sys.argv[1], 60.0))"
    )
    done = subprocess.run(python(code, beats.file), cwd=tmp_path, timeout=LONG)
    beats.stop(0)
    assert done.returncode == 5


def test_a_deaf_process_on_a_node_is_killed_after_the_grace(tmp_path):
    code = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    log = tmp_path / "log"
    heard = lambda: 0.2 if log.exists() and "deaf" in log.read_text() else None  # noqa: E731
    assert node.carry_out([*python(code)], str(log), str(tmp_path), {}, heard) == -9


SCRIPTS = {
    "sbatch": """
        [ -e "$FAKE/refuses" ] && { echo "invalid partition specified" >&2; exit 1; }
        id=$(date +%s%N)
        cp "$1" "$FAKE/job.sh"; echo "$id" > "$FAKE/id"
        export SLURM_JOB_ID=$id SLURM_PROCID=0
        [ -e "$FAKE/waits" ] || (bash "$FAKE/job.sh" &) > /dev/null 2>&1
        echo "Submitted batch job $id" """,
    "srun": """
        while :; do case "$1" in
            --output) touch "$(echo "$2" | sed "s/%j/$SLURM_JOB_ID/; s/%t/0/")"; shift 2;;
            --error) shift 2;; --*) shift;; *) break;;
        esac; done; exec "$@" """,
    "sacct": 'echo "JobID|State|NodeList"; echo "$(cat "$FAKE/id")|$(cat "$FAKE/state")|node1"',
    "scancel": 'echo "$@" >> "$FAKE/cancelled"; echo CANCELLED > "$FAKE/state"',
}


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A folder in which a Slurm of scripts has its state."""
    folder = tmp_path / "fake"
    folder.mkdir()
    for name, text in SCRIPTS.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(0o755)
    (folder / "state").write_text("RUNNING")
    monkeypatch.setenv("FAKE", str(folder))
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setattr(slurm, "ASK_SECONDS", 0.2)
    monkeypatch.setattr(slurm, "SETTLE_SECONDS", 0.2)
    return folder


def test_what_slurm_is_asked_for(launch, fake, tmp_path):
    launcher = launch("partition=gpu,account=me@lab,qos=long,minutes=600,memory_gb=8", "cuda", threads=3)
    launcher.start(Task("one-s0", python("print('ran'); raise SystemExit(3)"), tmp_path / "log"))
    assert drain(launcher, 1) == [Ended("one-s0", 3)]
    assert (tmp_path / "log").read_text() == "ran\n"
    lines = (fake / "job.sh").read_text().splitlines()
    wanted = ["partition=gpu", "account=me@lab", "qos=long", "time=600", "mem=8GB", "cpus-per-task=3"]
    wanted += ["gpus-per-node=1", "job-name=one-s0", "no-requeue"]
    assert {f"#SBATCH --{word}" for word in wanted} <= {line.replace("'", "") for line in lines}
    assert next(line for line in lines if line.startswith("srun")).count("--cpus-per-task=3") == 1


def test_a_share_of_a_gpu_is_what_gres_says(launch, fake, tmp_path):
    launcher = launch("gres=shard:4", "cuda")
    launcher.start(Task("a", python(""), tmp_path / "log"))
    assert drain(launcher, 1) == [Ended("a", 0)]
    text = (fake / "job.sh").read_text()
    assert "--gres=shard:4" in text
    assert "gpus" not in text


def test_a_job_that_slurm_refuses_has_not_started(launch, fake, tmp_path, capfd):
    (fake / "refuses").touch()
    launcher = launch("")
    launcher.start(Task("a", python(""), tmp_path / "log"))
    assert launcher.poll(0) == [Ended("a", 127)]
    assert "did not take the job: invalid partition specified" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("state", ["NODE_FAIL", "PREEMPTED", "CANCELLED by 0", "OUT_OF_MEMORY"])
def test_a_job_that_has_gone_without_a_word_is_lost(launch, fake, tmp_path, state):
    (fake / "waits").touch()
    launcher = launch("")
    launcher.start(Task("a", python(""), tmp_path / "log"))
    assert launcher.poll(0.5) == []
    (fake / "state").write_text(state)
    assert drain(launcher, 1) == [Ended("a", -9)]
    assert f"is {state} without a result" in (tmp_path / "log").read_text()


def test_jobs_that_wait_are_cancelled_at_once(launch, fake, tmp_path):
    (fake / "waits").touch()
    (fake / "state").write_text("PENDING")
    launcher = launch("")
    launcher.start(Task("a", python(""), tmp_path / "log"))
    launcher.stop(3600)
    assert launcher.poll(0) == [Ended("a", -9)]
    assert (fake / "cancelled").read_text() == (fake / "id").read_text()


@pytest.mark.parametrize(
    ("options", "config", "says"),
    [
        ("", {}, "found no sbatch"),
        ("cluster=local,minutes=2", {}, "minutes got 2, expected at least 3"),
        ("cluster=local,memory_gb=-1", {}, "memory_gb got -1"),
        ("cluster=local", {"runs_per_gpu": 2}, "slurm:gres=shard:4"),
    ],
)
def test_settings_that_cannot_be_are_refused(monkeypatch, options, config, says):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match=says) as refused:
        make_launcher(LaunchConfig(launcher=f"slurm:{options}".rstrip(":"), **config), 1, "cuda")
    assert len(str(refused.value)) <= 192


def test_without_submitit_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"pip install 'rope-dit\[slurm\]'"):
        make_launcher(LaunchConfig(launcher="slurm:cluster=local"), 1, "cpu")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_study_is_carried_out_by_jobs(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.chdir(tmp_path)
    words = ("--seeds", 1, "--name", "jobs", "--launcher", "slurm:cluster=local,minutes=60", "--workers", 2)
    result = call_study("smoke", *QUICK, *words, processes=True)
    assert result.code == 0, result.err
    assert {cell.state() for cell in plan_of(tmp_path, "jobs").cells()} == {"done"}
    assert (tmp_path / "reports" / "jobs" / "index.html").is_file()
    assert (tmp_path / "studies" / "jobs" / "logs" / "submitit").is_dir()
