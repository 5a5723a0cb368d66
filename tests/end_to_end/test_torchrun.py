"""`experiments.run` on several ranks: against one, under torchrun, killed, stopped, with bad input."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from commands import QUICK, SMOKE, call, rows, timeless
from together import together

from experiments.cli.arguments import parse
from experiments.cli.main import main
from experiments.config.presets import preset
from experiments.config.run import RunConfig
from experiments.run import command

LOSS, SCORE = 1e-5, 0.02  # relative; another order of sums moves few pictures by a grey level
TIMED = ("train/images_per_second", "system/peak_memory_mib")
LONG = (*SMOKE, "--train.steps", "40", "--train.save-seconds", "0.02", "--train.log-every", "4")
PATIENCE = 300.0
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A folder with a tracking store, and two runs in it: by one process and by two ranks."""
    folder = tmp_path_factory.mktemp("torchrun")
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        patch.setenv("OMP_NUM_THREADS", "1")
        assert call("run", *QUICK, "--out", "one").code == 0
        assert by_ranks(2, folder / "of2", *QUICK, "--out", "two") == [0, 0]
        yield folder


@pytest.fixture(autouse=True)
def _work_there(workspace, monkeypatch):
    monkeypatch.chdir(workspace)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workspace}/mlflow.db")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def by_ranks(size: int, output: Path, *args: object) -> list[int]:
    """Exit codes of the command on ranks in processes of their own; what they print goes to `output`."""

    def work(rank: int) -> int:
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)
        try:
            main(command, [str(arg) for arg in args])
        except SystemExit as stop:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(int(stop.code or 0))
        raise AssertionError("main did not exit")

    return together(size, output, work)


def logged(run: Path) -> list[tuple[int, dict[str, float]]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(r["step"], {k: v for k, v in r["values"].items() if k not in TIMED}) for r in lines]


def outcome(run: Path) -> dict[str, object]:
    """All that must not depend on interruptions; the name of a checkpoint holds the hash of its content."""
    return {
        "checkpoint": max(path.name for path in (run / "checkpoints").iterdir()),
        "logged": logged(run),
        "scores": timeless(run),
        "pictures": {path.name: path.read_bytes() for path in (run / "pictures").iterdir()},
        "left over": [p.name for p in run.rglob("*") if p.name.startswith(".tmp") or "samples" in p.parts],
    }


def test_two_ranks_give_what_one_gives():
    one, two = Path("one"), Path("two")
    assert [step for step, _ in logged(two)] == [5, 10, 15, 20]
    for (_, expected), (_, found) in zip(logged(one), logged(two), strict=True):
        assert found == pytest.approx(expected, rel=LOSS)
    assert len(rows(two)) == len(rows(one)) > 0
    for a, b in zip(rows(one), rows(two), strict=True):
        assert a["metric"] == b["metric"]
        assert float(b["value"]) == pytest.approx(float(a["value"]), rel=SCORE)


def test_who_they_are_is_written_down():
    one, two = (json.loads(Path(name, "config.json").read_text()) for name in ("one", "two"))
    assert one["pairing"] == two["pairing"]
    assert two["identity"] == {**one["identity"], "ranks": "2"}
    assert two["origin"]["ranks"] == "2"
    *starts, module, command = two["origin"]["command"].partition(" experiments.run ")
    assert (*starts, module) == ("torchrun --nproc-per-node 2 -m", " experiments.run ")
    told, typed = (
        parse(RunConfig, preset("smoke"), words, "run", "")
        for words in (shlex.split(command), [*QUICK, "--out", "two"])
    )
    assert told == replace(
        typed, device=told.device, out=typed.out.absolute()
    )  # on a machine without GPUs `auto` is decided at once
    assert told.device in ("auto", "cpu")
    assert "ranks" not in one["origin"]


def test_rank_0_alone_speaks():
    text = Path("of2/0.out").read_text()
    assert len(re.findall(r"^MLflow: +run [0-9a-f]{32}", text, re.M)) == 1
    assert [Path("of2", name).read_text() for name in ("0.err", "1.out", "1.err")] == [""] * 3


@pytest.mark.slow
def test_pictures_of_the_same_weights_are_equal_to_the_bit(workspace):
    """Of 3 chunks of 25, one rank gets two; the scores are made by one process and by two ranks."""
    wanted = (*SMOKE, "--eval.every", "0", "--eval.n", "70", "--eval.samplers", "heun:steps=2")
    for name in ("alone", "both"):
        shutil.copytree("two", name)
    assert by_ranks(2, workspace / "again", *wanted, "--out", "both") == [0, 0]
    done = call("evaluate", "alone", "--n", "70", "--samplers", "heun:steps=2")
    assert done.code == 0, done.err
    assert timeless(Path("both")) == timeless(Path("alone"))
    assert [row["n"] for row in rows(Path("both")) if "heun" in row["sampler"]].count("70") > 0


def test_a_finished_run_has_nothing_to_do(workspace):
    shutil.copytree("two", "finished")
    before = outcome(Path("finished"))
    assert by_ranks(2, workspace / "nothing", *QUICK, "--out", "finished") == [0, 0]
    assert "finished is finished; nothing to do." in Path("nothing/0.out").read_text()
    assert outcome(Path("finished")) == before


MISTAKES = {
    "batch": (3, ("--out", "new"), "train.batch got 32, expected a multiple of 3, the ranks that share it."),
    "graphs": (2, ("--train.compile", "graphs", "--out", "new"), "train.compile got 'graphs', expected auto"),
    "another run": (2, ("--out", "one"), "one holds another run; choose another --out. They differ in:"),
    "typo": (2, ("--variant", "rope2dd"), "unknown variant 'rope2dd'. Did you mean 'rope2d'?"),
}


@pytest.mark.parametrize(("size", "args", "line"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_answered_once(tmp_path, size, args, line):
    assert by_ranks(size, tmp_path, *QUICK, *args) == [2] * size
    texts = [(tmp_path / f"{rank}.err").read_text() for rank in range(size)]
    assert texts[0].startswith(f"error: {line}")
    assert texts[1:] == [""] * (size - 1)
    assert not Path("new").exists()


def test_dry_run_tells_once(workspace):
    assert by_ranks(2, workspace / "dry", *QUICK, "--dry-run", "--out", "new") == [0, 0]
    assert "train.batch" in Path("dry/0.out").read_text()
    assert Path("dry/1.out").read_text() == ""
    assert not Path("new").exists()


@contextlib.contextmanager
def launched(name: str, size: int = 2) -> Iterator[subprocess.Popen[str]]:
    words = [*TORCHRUN, "--nproc-per-node", str(size), "-m", "experiments.run", *LONG, "--out", name]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as torchrun:
        try:
            yield torchrun
        finally:
            for pid in [*children(torchrun), torchrun.pid] if torchrun.poll() is None else ():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def children(torchrun: subprocess.Popen[str]) -> list[int]:
    return [
        int(pid) for pid in Path(f"/proc/{torchrun.pid}/task/{torchrun.pid}/children").read_text().split()
    ]


def rank_of(torchrun: subprocess.Popen[str], rank: int) -> int:
    """Process id of a rank."""
    wanted = f"RANK={rank}".encode()
    (found,) = (
        c for c in children(torchrun) if wanted in Path(f"/proc/{c}/environ").read_bytes().split(b"\0")
    )
    return found


def wait_for_lines(torchrun: subprocess.Popen[str], file: Path, lines: int) -> None:
    until = time.monotonic() + PATIENCE
    while not file.exists() or file.read_bytes().count(b"\n") < lines:
        assert torchrun.poll() is None, torchrun.communicate()
        assert time.monotonic() < until
        time.sleep(0.001)


def to_the_end(name: str) -> str:
    """Run until all is done; returns what was printed."""
    with launched(name) as torchrun:
        out, err = torchrun.communicate(timeout=PATIENCE)
    assert torchrun.returncode == 0, err
    assert "Traceback" not in err
    return out


@pytest.fixture(scope="module")
def whole(workspace):
    """What a run by two ranks leaves behind that nobody interrupts."""
    with contextlib.chdir(workspace):
        assert to_the_end("whole").count("MLflow: ") == 1
    return outcome(workspace / "whole")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_signal_to_torchrun_saves_and_the_same_command_goes_on(whole):
    with launched("signalled") as torchrun:
        wait_for_lines(torchrun, Path("signalled/metrics.jsonl"), 1)
        torchrun.send_signal(signal.SIGTERM)
        _, err = torchrun.communicate(timeout=PATIENCE)
    assert torchrun.returncode != 0
    assert err.count("error: ") <= 1  # none where torchrun lost patience with the tracking store
    assert json.loads(Path("signalled/ending.json").read_text())["outcome"] == "stopped"
    assert list(Path("signalled/checkpoints").iterdir())
    to_the_end("signalled")
    assert outcome(Path("signalled")) == whole


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("rank", "phase"), [(1, "metrics.jsonl"), (0, "scores.csv")])
def test_a_killed_rank_ends_all_and_the_same_command_goes_on(whole, rank, phase):
    name = f"killed-{rank}"
    with launched(name) as torchrun:
        wait_for_lines(torchrun, Path(name, phase), 3)
        os.kill(rank_of(torchrun, rank), signal.SIGKILL)
        _, err = torchrun.communicate(timeout=PATIENCE)
    assert torchrun.returncode != 0
    assert err.count("error: ") <= 1
    to_the_end(name)
    assert outcome(Path(name)) == whole


@pytest.mark.slow
def test_torchrun_reports_the_exit_code_of_bad_input():
    with launched("bad", size=3) as torchrun:
        _, err = torchrun.communicate(timeout=PATIENCE)
    assert torchrun.returncode != 0
    assert len(re.findall(r"^error: train.batch got 32", err, re.M)) == 1
    assert re.search(r"exitcode +: 2 ", err)
    assert not Path("bad").exists()
