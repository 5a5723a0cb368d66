"""Run folders and mirrors for the tests of tracking, and a store of one's own that has its tables already."""

import shutil
import socket
import time
from pathlib import Path

import pytest

from experiments.config.presets import PRESETS
from experiments.config.run import RunConfig
from experiments.records.mlflow_mirror import Mirror
from experiments.records.mlflow_names import Naming, score_points
from experiments.records.mlflow_store import connect
from experiments.records.run_folder import RunFolder
from experiments.records.score import Score, ScoreKey

SMOKE = PRESETS["smoke"]
EXPERIMENT = "study"
STORED = ["config.json", "metrics.jsonl", "pictures", "scores.csv"]
_tables: list[Path] = []


@pytest.fixture(name="tables", scope="session")
def tables_fixture(tmp_path_factory):
    """A store that has its tables and nothing else; making them takes seconds, so all tests copy one."""
    if not _tables:
        _tables.append(tmp_path_factory.mktemp("store") / "mlflow.db")
        connect(f"sqlite:///{_tables[0]}")
    return _tables[0]


@pytest.fixture(name="client")
def client_fixture(tables, tmp_path, monkeypatch):
    """Client of a store of the test's own, to which MLFLOW_TRACKING_URI points."""
    uri = f"sqlite:///{shutil.copy(tables, tmp_path / 'mlflow.db')}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return connect(uri)


def make_run(path: Path, config: RunConfig = SMOKE) -> RunFolder:
    """A run folder of its own, as a run that has just begun leaves it."""
    folder = RunFolder(path)
    path.mkdir(parents=True)
    origin = {"variant": "rope2d", "fingerprint": "f" * 64, "git_commit": "c" * 40, "device": "cpu"}
    folder.create({"seed": str(config.seed)}, config, {"inputs_sha256": "0"}, origin)
    folder.open_metrics(0)
    return folder


def log(folder: RunFolder, *steps: int) -> None:
    """Log a loss at these steps."""
    for step in steps:
        values = {"train/loss": 1 / step, "train/images_per_second": 7.0, "system/peak_memory_mib": 9.0}
        folder.log(step, values)


def key(
    step=20, sampler="heun:grid=uniform,steps=2", n=100, guidance="cfg:begin=0,end=1,weight=1",
    metric="fd_digits", sampling_seed=0, nfe=4.0, ema="0.9", classes="data", extractor="digits",
):  # fmt: skip
    return ScoreKey(
        arm="rope2d:theta=100", seed=0, train_step=step, sampler=sampler, guidance=guidance, nfe=nfe,
        grid="uniform", tokens="trained", extrapolation="none", classes=classes, ema=ema, extractor=extractor,
        metric=metric, n=n, n_real=1437, sampling_seed=sampling_seed,
    )  # fmt: skip


def scored(value: float = 2.5, when: float = 1e9, **which) -> Score:
    """A score of the key that `which` says."""
    return Score(
        key=key(**which), value=value, better="lower", real_floor=0.5, untrained=None, images_sha256="a",
        reference_sha256="b", extractor_sha256="c", sampling_seconds=1.5, time=when,
    )  # fmt: skip


def score(folder: RunFolder, value: float = 2.5, **which) -> None:
    """Add a score of the key that `which` says, made now."""
    folder.add_scores([scored(value, time.time(), **which)])


def tags(folder: RunFolder, **more: str) -> dict[str, str]:
    """Tags that the store must have of such a run."""
    return {
        "study": EXPERIMENT, "arm": "rope2d:theta=100", "variant": "rope2d", "seed": "0",
        "fingerprint": "f" * 64, "git_commit": "c" * 40, "device": "cpu", "outcome": "running",
        "folder": str(folder.path.absolute()), "host": socket.gethostname(), "inputs_sha256": "0", **more,
    }  # fmt: skip


def mirror(folder: RunFolder, **more: str) -> Mirror:
    """A mirror that syncs twenty times a second, with `more` tags."""
    made = Mirror(folder, EXPERIMENT, every_seconds=0.05)
    made.tags |= more
    return made


def runs(client):
    """All runs by name."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


def points(client, run) -> list[tuple[str, int, float]]:
    """All points that the store has of a run."""
    history = [m for name in run.data.metrics for m in client.get_metric_history(run.info.run_id, name)]
    return sorted((m.key, m.step, m.value) for m in history)


def logged(folder: RunFolder) -> list[tuple[str, int, float]]:
    """All points that the run folder has."""
    found = score_points(folder.scores(), Naming.of_config(folder.record.config))
    return sorted({(name, step, value) for name, step, value, _ in [*folder.points(), *found]})
