"""Kills before every line of a save and disks that are full at every size, each in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMON = """
import json, os, resource, shutil, signal, sys
from pathlib import Path
import torch
from rope_dit import checkpoint, durable
from rope_dit.checkpoint import Checkpoints

torch.set_num_threads(1)
root = Path(sys.argv[1])
make = lambda name: Checkpoints(root / name, {"seed": "0"})
tensors = lambda step: {"weight": torch.arange(3000.0) + step}

def whole(name, steps):
    "The newest whole one is of one of these steps; a new save then works and leaves two files."
    step, got = make(name).load()
    assert step in steps and torch.equal(got["weight"], tensors(step)["weight"]), (name, step)
    make(name).save(3, tensors(3))
    assert make(name).load()[0] == 3
    assert len(list((root / name).iterdir())) == 2, list((root / name).iterdir())

make("start").save(1, tensors(1))
make("start").save(2, tensors(2))

def in_child(name, work):
    "Run work(checkpoints) on a copy of the start in a process of its own; returns its wait status."
    shutil.copytree(root / "start", root / name)
    child = os.fork()
    if child == 0:
        try:
            work(make(name))
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(99)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""

KILLED_AT_EVERY_LINE = """
def die_at(k):
    left = k
    def lines(frame, event, arg):
        nonlocal left
        if event == "line":
            left -= 1
            if left < 0:
                os._exit(137)
        return lines
    ours = checkpoint.__file__, durable.__file__
    return lambda frame, event, arg: lines if frame.f_code.co_filename in ours else None
"""

KILLED_IN_A_SAVE = """
outcomes = set()
for k in range(10_000):
    def work(checkpoints):
        sys.settrace(die_at(k))
        checkpoints.save(3, tensors(3))
        sys.settrace(None)
    status = in_child(f"k{k}", work)
    outcomes.add(make(f"k{k}").load()[0])
    whole(f"k{k}", (2, 3))
    if status == 0:
        break
    assert status == 137, status
print(json.dumps({"points": k, "outcomes": sorted(outcomes)}))
"""

KILLED_WHILE_OVERWRITING = """
old, new, outcomes = b"old" * 100, b"new" * 3000, set()
for k in [*range(10_000)]:
    for budget in (None, *range(0, 9000, 900)):  # the file may grow to so many bytes, or a kill before line k
        if k and budget is not None:
            continue
        file = root / f"config-{k}-{budget}" / "config.json"
        file.parent.mkdir()
        file.write_bytes(old)
        def work(checkpoints):
            if budget is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                resource.setrlimit(resource.RLIMIT_FSIZE, (budget, budget))
            else:
                sys.settrace(die_at(k))
            durable.write_durably(file, new)
            sys.settrace(None)
        status = in_child(f"overwriting{k}-{budget}", work)
        assert file.read_bytes() in (old, new), (k, budget, file.read_bytes()[:9])
        outcomes.add(file.read_bytes()[:3].decode())
    if status == 0:
        break
print(json.dumps({"points": k, "outcomes": sorted(outcomes)}))
"""

DISK_FULL_AT_EVERY_SIZE = """
size = next((root / "start").iterdir()).stat().st_size
results = {}
for budget in [*range(0, size, size // 20), size - 1, size]:
    for kill in (True, False):
        def work(checkpoints):
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL if kill else signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (budget, resource.RLIM_INFINITY))
            try:
                checkpoints.save(3, tensors(3))
            except OSError as error:
                assert "00000003-" in str(error) and "File too large" in str(error), error
                assert len(list(checkpoints.folder.iterdir())) == 2
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
                assert checkpoints.load()[0] == 2
                os._exit(50)
        name = f"b{budget}-{kill}"
        status = in_child(name, work)
        expected = 0 if budget == size else -signal.SIGXFSZ if kill else 50
        assert status == expected, (name, status, expected)
        whole(name, (3,) if budget == size else (2,))
        results[name] = status
print(json.dumps({"budgets": len(results)}))
"""


def run_script(code: str, folder: Path) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", COMMON + code, str(folder)], capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    return result


def test_killed_at_every_line_of_a_save(tmp_path):
    """os._exit before each line that a save runs in checkpoint.py: between all writes, syncs and renames."""
    result = run_script(KILLED_AT_EVERY_LINE + KILLED_IN_A_SAVE, tmp_path)
    assert result["outcomes"] == [2, 3]
    assert result["points"] > 30


@pytest.mark.slow
def test_killed_while_overwriting_a_file(tmp_path):
    """Before each line and at many sizes: the old content or the new one is there, never a part."""
    result = run_script(KILLED_AT_EVERY_LINE + KILLED_WHILE_OVERWRITING, tmp_path)
    assert result["outcomes"] == ["new", "old"]
    assert result["points"] > 8


@pytest.mark.slow
def test_disk_full_at_every_size(tmp_path):
    """The file may grow to so many bytes only: as an error, and as a kill in the middle of the write."""
    assert run_script(DISK_FULL_AT_EVERY_SIZE, tmp_path)["budgets"] > 40
