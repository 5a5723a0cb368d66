"""Local launcher: real processes, what reaches them, how they end, and that none is left behind."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from tasks import CELL, DEAF, LONG, alive, drain, python, told_pid, until

from experiments.config.launch import LaunchConfig, usable_cores
from experiments.coordinator.launchers import Ended, Task, make_launcher
from experiments.coordinator.launchers.local import LocalLauncher, visible_gpus
from rope_dit.errors import UserError

ROOT = Path(__file__).parents[4]


@pytest.fixture
def launcher():
    made = make_launcher(LaunchConfig(workers=2), 1, "cpu")
    yield made
    made.stop(0)


def test_exit_codes_and_logs(launcher, tmp_path):
    log = tmp_path / "new" / "folder" / "a.log"
    launcher.start(Task("a", python("import sys; print('out'); sys.stderr.write('err'); sys.exit(3)"), log))
    launcher.start(Task("b", python("import os; os.kill(os.getpid(), 9)"), tmp_path / "b.log"))
    assert drain(launcher, 2) == [Ended("a", 3), Ended("b", -9)]
    assert launcher.poll(0) == []
    launcher.start(Task("a", python("print('again')"), log))
    assert drain(launcher, 1) == [Ended("a", 0)]
    text = log.read_text()
    assert all(word in text for word in ("out", "err", "again")), text


def test_a_program_that_is_not_there_ends_with_127_and_says_why(launcher, tmp_path):
    launcher.start(Task("a", ("/no/such/program",), tmp_path / "a.log"))
    assert launcher.poll(LONG) == [Ended("a", 127)]
    assert "/no/such/program" in (tmp_path / "a.log").read_text()


def test_never_more_processes_than_slots(launcher, tmp_path):
    """Six tasks that count how many of them are there at once, handed over as slots get free."""
    code = "import os, sys, time; open(sys.argv[1], 'w').close(); time.sleep(0.3); os.remove(sys.argv[1])"
    waiting, most, unfinished = list(range(6)), 0, 0
    while waiting or unfinished:
        while waiting and unfinished < launcher.slots:
            name = str(waiting.pop())
            launcher.start(Task(name, python(code, tmp_path / f"{name}.here"), tmp_path / "log"))
            unfinished += 1
        if unfinished == launcher.slots:
            with pytest.raises(ValueError, match="no slot"):
                launcher.start(Task("more", python(""), tmp_path / "log"))
        unfinished -= len(launcher.poll(0.05))
        most = max(most, len(list(tmp_path.glob("*.here"))))
    assert most == launcher.slots == 2


def test_poll_returns_at_once_where_nothing_runs_and_by_its_time_where_something_does(launcher, tmp_path):
    assert launcher.poll(3600) == []
    launcher.start(Task("a", python(CELL), tmp_path / "a.log"))
    assert launcher.poll(0.1) == []


def test_stop_lets_tasks_save_and_kills_the_deaf_with_their_children(launcher, tmp_path):
    launcher.start(Task("cell", python(CELL), tmp_path / "cell.log"))
    launcher.start(Task("deaf", python(DEAF), tmp_path / "deaf.log"))
    told_pid(tmp_path / "cell.log")
    grandchild = told_pid(tmp_path / "deaf.log")
    launcher.stop(2)
    launcher.stop(2)
    assert drain(launcher, 2) == [Ended("cell", 143), Ended("deaf", -9)]
    assert launcher.poll(0) == []
    assert "checkpoint" in (tmp_path / "cell.log").read_text()
    until(lambda: not alive(grandchild), "the end of the deaf one's child")
    with pytest.raises(ValueError, match="stopped"):
        launcher.start(Task("late", python(""), tmp_path / "late.log"))


COORDINATOR = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background ignore it
from experiments.config.launch import LaunchConfig
from experiments.coordinator.launchers import Task, make_launcher
launcher = make_launcher(LaunchConfig(workers=2), 1, "cpu")
for name in ("a", "b"):
    launcher.start(Task(name, (sys.executable, "-c", sys.argv[2]), Path(sys.argv[1]) / f"{name}.log"))
while True:
    launcher.poll(60)
"""


@pytest.fixture
def coordinator(tmp_path):
    """A process with two cells, in a session of its own as if it had a terminal."""
    command = python(COORDINATOR, tmp_path, CELL)
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL) as process:
        yield process
        process.kill()


def test_children_stop_when_the_coordinator_is_killed(coordinator, tmp_path):
    """Each child's pipe is its own: were its other end passed on to siblings, none would ever close."""
    pids = [told_pid(tmp_path / f"{name}.log") for name in ("a", "b")]
    coordinator.send_signal(signal.SIGKILL)
    coordinator.wait()
    for name, pid in zip("ab", pids, strict=True):
        until(lambda pid=pid: not alive(pid), f"the end of {name}")
        assert "checkpoint" in (tmp_path / f"{name}.log").read_text()


def test_ctrl_c_in_the_terminal_reaches_the_coordinator_only(coordinator, tmp_path):
    pid = told_pid(tmp_path / "a.log")
    assert os.getpgid(pid) != os.getpgid(coordinator.pid)
    os.killpg(coordinator.pid, signal.SIGINT)
    coordinator.wait(LONG)
    until(lambda: not alive(pid), "the end of a")  # by SIGTERM: SIGINT leaves no checkpoint
    assert "checkpoint" in (tmp_path / "a.log").read_text()


SHOW = "import os; print(os.environ.get('CUDA_VISIBLE_DEVICES'), os.environ['OMP_NUM_THREADS'])"


def shown(config: LaunchConfig, device: str, folder: Path, threads: int = 1) -> list[str]:
    """What tasks that fill all slots see."""
    launcher = make_launcher(config, threads, device)
    names = [f"{slot}.log" for slot in range(launcher.slots)]
    for name in names:
        launcher.start(Task(name, python(SHOW), folder / name))
    assert {ended.code for ended in drain(launcher, len(names))} == {0}
    launcher.stop(0)
    return [(folder / name).read_text().strip() for name in names]


@pytest.mark.parametrize(
    ("visible", "config", "seen"),
    [
        ("3,5", LaunchConfig(), ["3", "5"]),
        ("3,5", LaunchConfig(runs_per_gpu=2), ["3", "5", "3", "5"]),
        ("0,1", LaunchConfig(workers=3, runs_per_gpu=2), ["0", "1", "0"]),
        ("GPU-8d,GPU-9e", LaunchConfig(workers=1), ["GPU-8d"]),
        ("2,-1,3", LaunchConfig(), ["2"]),
    ],
)
def test_each_task_gets_its_gpu(monkeypatch, tmp_path, visible, config, seen):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert shown(config, "cuda", tmp_path, threads=3) == [f"{gpu} 3" for gpu in seen]


def test_a_gpu_gets_free_with_its_task(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    launcher = make_launcher(LaunchConfig(), 1, "cuda")
    launcher.start(Task("stays", python(CELL), tmp_path / "stays.log"))
    for name in ("a", "b"):
        launcher.start(Task(name, python(SHOW), tmp_path / name))
        assert drain(launcher, 1) == [Ended(name, 0)]
        assert (tmp_path / name).read_text() == "1 1\n"
    launcher.stop(LONG)


def test_gpus_are_counted_with_nvidia_smi(monkeypatch, tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 0\necho 1\necho 2\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus() == ["0", "1", "2"]


@pytest.mark.gpu
def test_real_gpus_are_found(monkeypatch):
    import torch

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert len(visible_gpus()) == torch.cuda.device_count()


def test_on_a_cpu_threads_are_set_and_workers_fit_the_cores(tmp_path):
    many = usable_cores() * 2
    assert shown(LaunchConfig(), "cpu", tmp_path, threads=many)[0].split()[1] == str(many)
    assert make_launcher(LaunchConfig(), many, "cpu").slots == 1
    assert make_launcher(LaunchConfig(), 1, "cpu").slots == min(4, usable_cores())
    assert make_launcher(LaunchConfig(), 1, "mps").slots == 1
    assert make_launcher(LaunchConfig(workers=7), 1, "cpu").slots == 7


@pytest.mark.parametrize(
    ("visible", "options", "device", "says"),
    [
        ("", {}, "cuda", "no GPU was found"),
        ("0,1", {"workers": 3}, "cuda", "workers got 3, expected at most 2"),
        ("0", {"runs_per_gpu": 2}, "cpu", "runs-per-gpu got 2, expected 1"),
        ("0", {"runs_per_gpu": 0}, "cuda", "runs-per-gpu got 0"),
        ("0", {"workers": -1}, "cpu", "workers got -1"),
        ("0", {"launcher": "ray:adress=auto"}, "cpu", "Did you mean 'address'"),
        ("0", {"launcher": "local+ray"}, "cpu", "not joined"),
    ],
)
def test_settings_that_cannot_be_are_refused(monkeypatch, visible, options, device, says):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(UserError, match=says):
        make_launcher(LaunchConfig(**options), 1, device)


def test_launching_imports_neither_torch_nor_what_clusters_need():
    code = (
        "import sys; from experiments.config.launch import LaunchConfig;"
        "from experiments.coordinator.launchers import make_launcher;"
        "make_launcher(LaunchConfig(), 1, 'cuda');"
        "sys.exit(bool({'torch', 'ray', 'submitit'} & set(sys.modules)))"
    )
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "0"}
    assert subprocess.run(python(code), cwd=ROOT, env=environment, timeout=LONG).returncode == 0


def test_the_local_launcher_keeps_open_no_files(tmp_path):
    launcher = LocalLauncher(LaunchConfig(workers=1), 1, "cpu")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        launcher.start(Task("a", python(""), tmp_path / "log"))
        drain(launcher, 1)
    assert len(os.listdir("/proc/self/fd")) == before
