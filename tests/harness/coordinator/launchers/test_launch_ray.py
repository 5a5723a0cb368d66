"""Ray launcher on real clusters: one that it starts, and one whose nodes come and go while tasks run."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from tasks import LONG, drain, python, until

from experiments.config.launch import LaunchConfig
from experiments.coordinator.launchers import Ended, Launcher, Task, make_launcher, node, ray_cluster
from rope_dit.errors import UserError

pytest.importorskip("ray")

ROOT = Path(__file__).parents[4]
SMALL = {"object_store_memory": 80_000_000, "include_dashboard": False}

# What a worker promises: SIGTERM is obeyed, the end of standard input is a SIGTERM, and a second
# start of the same command goes on from the checkpoint; here it ends at once.
CELL = """
import os, signal, sys, threading, time
print("pid", os.getpid(), flush=True)
if os.path.exists(sys.argv[1]):
    sys.exit(print("resumed"))
open(sys.argv[1], "w").close()
def stop(*_):
    print("checkpoint", flush=True)
    sys.exit(143)
def watch():
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
signal.signal(signal.SIGTERM, stop)
threading.Thread(target=watch, daemon=True).start()
print("ready", flush=True)
while True:
    time.sleep(0.05)
"""
DEAF = (
    "import os, signal, time; signal.signal(15, signal.SIG_IGN); print('pid', os.getpid(), flush=True);"
    "print('ready', flush=True); time.sleep(600)"
)
SHOW = (
    "import os; print([os.environ.get(n) for n in ('CUDA_VISIBLE_DEVICES', 'OMP_NUM_THREADS', 'MLFLOW_X')])"
)


def cell(folder: Path, name: str) -> Task:
    return Task(name, python(CELL, folder / f"{name}.saved"), folder / f"{name}.log")


def ready(log: Path) -> psutil.Process:
    """The process that writes this log, once it is under way."""
    text = until(lambda: log.exists() and "ready\n" in (told := log.read_text()) and told, f"ready in {log}")
    return psutil.Process(int(text.split("pid ")[-1].split()[0]))


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.slow
def test_a_cluster_of_its_own(monkeypatch, tmp_path):
    """Start one, run tasks with this folder and these variables, stop one in mid-flight."""
    monkeypatch.chdir(tmp_path)
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    launcher = make_launcher(LaunchConfig(launcher="ray"), 1, "cpu")
    try:
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers
        monkeypatch.setenv("MLFLOW_X", "passed on")  # now, so that the nodes do not have it anyway
        launcher.start(Task("show", python(f"{SHOW}; print(os.getcwd()); os._exit(3)"), Path("logs/show")))
        assert drain(launcher, 1) == [Ended("show", 3)]
        assert (tmp_path / "logs/show").read_text() == f"[None, '1', 'passed on']\n{tmp_path}\n"
        launcher.start(Task("none", ("/no/such/program",), tmp_path / "none"))
        assert drain(launcher, 1) == [Ended("none", 127)]
        assert "/no/such/program" in (tmp_path / "none").read_text()
        launcher.start(cell(tmp_path, "cell"))
        ready(tmp_path / "cell.log")
    finally:
        launcher.stop(LONG)
        launcher.stop(LONG)
    assert launcher.poll(1) == [Ended("cell", 143)]
    assert launcher.poll(1) == []
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers


@pytest.fixture(scope="module")
def cluster():
    """A head without CPUs, so that every task runs on a node that a test has added and may remove."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **SMALL})
    yield made
    made.shutdown()


@pytest.fixture
def nodes(cluster):
    """`nodes(CPUs, GPUs)` adds a node, which is gone after the test; GPUs are claimed, as Ray asks nobody."""
    added = []

    def add(cpus: int, gpus: int = 0):
        added.append(cluster.add_node(num_cpus=cpus, num_gpus=gpus, **SMALL))
        cluster.wait_for_nodes()
        return added[-1]

    yield add
    for one in added:
        if one in cluster.list_all_nodes():
            cluster.remove_node(one)


@pytest.fixture
def launch(cluster):
    made: list[Launcher] = []

    def connect(threads: int = 1, device: str = "cpu", **options: int) -> Launcher:
        config = LaunchConfig(launcher=f"ray:address={cluster.address}", **options)
        made.append(make_launcher(config, threads, device))
        return made[-1]

    yield connect
    for launcher in made:
        launcher.stop(0)


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_its_process_stops(nodes, launch, tmp_path):
    nodes(1)
    launcher = launch()
    launcher.start(cell(tmp_path, "a"))
    first = ready(tmp_path / "a.log")
    worker = first.parent()
    assert worker.name().startswith("ray::")
    worker.kill()
    assert drain(launcher, 1) == [Ended("a", 0)]
    until(lambda: gone(first), "the end of the first process")
    log = (tmp_path / "a.log").read_text()
    assert log.count("pid") == 2
    assert "resumed" in log


@pytest.mark.slow
def test_a_task_outlives_its_node(cluster, nodes, launch, tmp_path):
    lost = nodes(1)
    launcher = launch()
    launcher.start(cell(tmp_path, "a"))
    first = ready(tmp_path / "a.log")
    cluster.remove_node(lost, allow_graceful=False)
    assert launcher.poll(1) == []
    assert launcher.slots == 1
    nodes(2)
    assert launcher.slots == 2
    assert drain(launcher, 1) == [Ended("a", 0)]
    until(lambda: gone(first), "the end of the first process")
    assert "resumed" in (tmp_path / "a.log").read_text()


@pytest.mark.slow
def test_retries_come_to_an_end(nodes, launch, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_cluster, "RETRIES", 0)
    nodes(1)
    launcher = launch()
    launcher.start(cell(tmp_path, "a"))
    ready(tmp_path / "a.log").parent().kill()
    assert drain(launcher, 1) == [Ended("a", -9)]
    assert "launcher: given up after 0 retries" in (tmp_path / "a.log").read_text()


@pytest.mark.slow
def test_stop_saves_kills_the_deaf_and_drops_what_waits(nodes, launch, tmp_path):
    nodes(2)
    launcher = launch(workers=3)
    assert launcher.slots == 3
    launcher.start(cell(tmp_path, "cell"))
    launcher.start(Task("deaf", python(DEAF), tmp_path / "deaf.log"))
    deaf = ready(tmp_path / "deaf.log")
    ready(tmp_path / "cell.log")
    launcher.start(cell(tmp_path, "waits"))
    launcher.stop(3)
    assert gone(deaf)
    assert drain(launcher, 3) == [Ended("cell", 143), Ended("deaf", -9), Ended("waits", -15)]
    assert not (tmp_path / "waits.log").exists()
    with pytest.raises(ValueError, match="stopped"):
        launcher.start(cell(tmp_path, "late"))


@pytest.mark.slow
def test_runs_share_a_gpu(nodes, launch, tmp_path):
    """Seven sevenths fit one GPU, though Ray counts in ten-thousandths; a node's CPUs are a limit too."""
    nodes(8, 1)
    nodes(2, 1)
    launcher = launch(device="cuda", runs_per_gpu=7)
    assert launcher.slots == 7 + 2
    code = f"{SHOW}; print('pid', os.getpid()); print('ready', flush=True); import time; time.sleep(600)"
    for name in map(str, range(launcher.slots)):
        launcher.start(Task(name, python(code), tmp_path / name))
    for name in map(str, range(launcher.slots)):
        ready(tmp_path / name)
        assert (tmp_path / name).read_text().startswith("['0', '1', ")
    launcher.stop(LONG)


@pytest.mark.slow
def test_what_no_node_can_ever_hold_is_refused(nodes, launch):
    nodes(2)
    nodes(3)
    with pytest.raises(UserError, match="asks for 4 CPUs of one node") as refused:
        launch(threads=4)
    assert "3 CPUs, 0 GPUs" in refused.value.details
    with pytest.raises(UserError, match="1 CPUs and a GPU"):
        launch(device="cuda")
    assert launch(threads=3).slots == 1


COORDINATOR = """
import sys
from pathlib import Path
from experiments.config.launch import LaunchConfig
from experiments.coordinator.launchers import Task, make_launcher
launcher = make_launcher(LaunchConfig(launcher="ray"), 1, "cpu")
launcher.start(Task("a", (sys.executable, "-c", sys.argv[1], sys.argv[2]), Path(sys.argv[3])))
while True:
    launcher.poll(60)
"""


@pytest.mark.slow
def test_everything_ends_with_a_killed_coordinator(tmp_path):
    command = python(COORDINATOR, CELL, tmp_path / "saved", tmp_path / "log")
    coordinator = psutil.Popen(command, cwd=ROOT)
    started = ready(tmp_path / "log")
    children = coordinator.children(recursive=True)
    ours = [child for child in children if not child.name().endswith("Agent")]  # Ray's, gone in a minute
    assert started in ours
    coordinator.kill()
    coordinator.wait()
    until(lambda: all(map(gone, ours)), "the end of the cluster that the coordinator had started")


@pytest.mark.slow
def test_the_function_for_the_nodes_needs_nothing_of_this_project(tmp_path):
    import ray

    make_launcher(LaunchConfig(launcher="ray"), 1, "cpu").stop(0)
    (tmp_path / "function").write_bytes(ray.cloudpickle.dumps(node.carry_out))
    code = (
        "import sys, ray.cloudpickle; sys.modules['experiments'] = sys.modules['rope_dit'] = None;"
        "carry_out = ray.cloudpickle.load(open('function', 'rb'));"
        "sys.exit(carry_out([sys.executable, '-c', 'exit(5)'], '/dev/null', '/', {}))"
    )
    assert subprocess.run(python(code), cwd=tmp_path, timeout=LONG).returncode == 5


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("somewhere", "expected HOST:PORT"),
        ("ray://host:1", "expected HOST:PORT"),
        ("host:123456", "expected HOST:PORT"),
        ("127.0.0.1:1", "no Ray cluster answers at '127.0.0.1:1'"),
    ],
)
def test_wrong_addresses_are_refused(address, says):
    with pytest.raises(UserError, match=says) as refused:
        make_launcher(LaunchConfig(launcher=f"ray:address={address}"), 1, "cpu")
    assert len(str(refused.value)) <= 192


@pytest.mark.slow
@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_an_address_where_something_else_listens_is_refused(monkeypatch, greeting):
    monkeypatch.setattr(ray_cluster, "ANSWER_SECONDS", 5.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(UserError, match="no Ray cluster answers") as refused:
            make_launcher(LaunchConfig(launcher=f"ray:address={address}"), 1, "cpu")
    assert refused.value.details == ("somebody listens there, but said nothing for 5 s",)


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'rope-dit\[ray\]'"):
        make_launcher(LaunchConfig(launcher="ray"), 1, "cpu")


def test_only_named_variables_travel(monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "ROPE_DIT_CACHE", "OMP_PROC_BIND", "PYTHONPATH", "SECRET", "HOME"):
        monkeypatch.setenv(name, "value")
    passed = node.passed_on()
    assert passed.keys() >= {"MLFLOW_TRACKING_URI", "ROPE_DIT_CACHE", "OMP_PROC_BIND", "PYTHONPATH"}
    assert not passed.keys() & {"SECRET", "HOME", "PATH"}
    assert passed.items() <= os.environ.items()
