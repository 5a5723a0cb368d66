"""What commit 2cdd03a left behind, as fixtures, and how tables of then and of now are compared.

`old/written_by_2cdd03a.tar.xz` was made by that commit (old/make_fixtures.sh). Bits are compared where
the machine and torch are as when it was made; elsewhere the last digits differ.
"""

import csv
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import torch
from commands import SMOKE, rows
from safetensors.torch import load_file

ARCHIVE = Path(__file__).parent / "old" / "written_by_2cdd03a.tar.xz"
ROOT = Path(__file__).parents[2]
WHERE = "/rope-dit-old"  # where it was made: the store names its artifacts by this folder


@pytest.fixture(name="unpacked", scope="session")
def unpacked_fixture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(ARCHIVE) as archive:
        for member in archive.getmembers():
            archive.extract(member, folder, filter="data")
    with sqlite3.connect(folder / "mlflow.db") as store:
        for table, column in (("runs", "artifact_uri"), ("experiments", "artifact_location")):
            store.execute(f"UPDATE {table} SET {column} = replace({column}, '{WHERE}/', '{folder}/')")
    store.close()
    return folder


@pytest.fixture(name="old")
def old_fixture(unpacked, tmp_path, monkeypatch):
    """A copy of all of it, in the current folder, with its store."""
    shutil.copytree(unpacked, tmp_path, dirs_exist_ok=True)
    with sqlite3.connect(tmp_path / "mlflow.db") as store:
        for table, column in (("runs", "artifact_uri"), ("experiments", "artifact_location")):
            store.execute(f"UPDATE {table} SET {column} = replace({column}, '{unpacked}/', '{tmp_path}/')")
    store.close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


@pytest.fixture(name="same_machine")
def same_machine_fixture(unpacked):
    made = json.loads((unpacked / "made_with.json").read_text())
    cpu = Path("/proc/cpuinfo")
    return made["torch"] == torch.__version__ and cpu.exists() and made["cpu"] in cpu.read_text()


NEW = (
    *("time", "sampling_seconds", "tokens", "extrapolation", "classes"),
    *("untrained", "held_out", "held_out_floor"),
    *("real_floor", "floor_n"),  # of as many pictures since
)
LATER = ("density", "coverage", "swd", "nearest_ratio", "nearest_share")
"""values of metrics that came later"""


IN_FLOAT32 = ("kid_digits", "precision_digits", "recall_digits")
"""metrics that were computed in float32 then"""


def old_rows(file: Path) -> list[dict[str, str]]:
    """Rows of a table that 2cdd03a wrote, as they are written today, without what takes time."""
    with open(file, newline="") as text:
        found = list(csv.DictReader(text))
    assert {row["guidance"] for row in found} == {"1"}
    guidance = {"guidance": "cfg:begin=0,end=1,weight=1"}
    return [{k: v for k, v in (row | guidance).items() if k not in NEW} for row in found]


def new_rows(folder: Path) -> list[dict[str, str]]:
    """Rows of a table of today without what takes time, and without metrics that came later."""
    found = [row for row in rows(folder) if row["extractor"] != "-" and not row["metric"].startswith(LATER)]
    assert {(row["tokens"], row["extrapolation"], row["classes"]) for row in found} == {
        ("trained", "none", "data")
    }
    return [{k: v for k, v in row.items() if k not in NEW} for row in found]


def agree(found: list[dict[str, str]], expected: list[dict[str, str]], bits: bool) -> None:
    assert len(found) == len(expected) > 0
    for a, b in zip(found, expected, strict=True):
        same = bits and a["metric"] not in IN_FLOAT32
        loose = () if same else ("value", *(() if bits else ("images_sha256",)))
        assert {k: v for k, v in a.items() if k not in loose} == {
            k: v for k, v in b.items() if k not in loose
        }
        assert float(a["value"]) == pytest.approx(
            float(b["value"]), rel=0 if same else 0.05, abs=1e-9 if same else 1e-4 if bits else 0.05
        )


def weights(folder: Path) -> dict[str, str]:
    newest = max((folder / "checkpoints").glob("*.safetensors"))
    tensors = load_file(newest)
    return {
        name: hashlib.sha256(tensor.numpy().tobytes()).hexdigest()
        for name, tensor in tensors.items()
        if name.startswith(("model.", "ema."))
    }


def by(code: Path, module: str, *args: object) -> str:
    """What a command of this tree or of a later one prints, with one thread in all libraries, as bits ask."""
    environment = {**os.environ, "PYTHONPATH": str(code)}
    command = [sys.executable, "-m", f"experiments.{module}", *map(str, args)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    return done.stdout


ARMS = ("--variants", "learned", "rope2d", "--arms", "fast=rope2d;train.lr=0.003")
STUDY = (*SMOKE, "--name", "old", *ARMS, "--eval.n", "100")
