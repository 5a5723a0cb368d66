"""The only file that writes MLflow: it mirrors a run folder into a tracking store, and may be late or down.

`sync` is idempotent: it asks the store what it has and sends the rest, so a killed run, a resumed run and a
second call leave each (key, step) there once.
"""

import fcntl
import hashlib
import logging
import math
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from experiments.config import flatten
from experiments.runfolder import Point, RunFolder
from rope_dit.errors import UserError
from rope_dit.samplers.spec import SamplerSpec

DEFAULT_URI = "sqlite:///mlflow.db"
_BATCH = 1000  # metrics in one call, the most that the MLflow server takes
_log = logging.getLogger(__name__)


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or a database in the current folder, which a bare `mlflow ui` shows.

    Raises:
        UserError: the URI names a folder of files, which MLflow 3 no longer writes.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_URI)
    scheme = uri.partition(":")[0]
    if scheme not in ("sqlite", "http", "https") and not scheme.startswith(("postgresql", "mysql", "mssql")):
        raise UserError(f"MLFLOW_TRACKING_URI got '{hidden(uri)}', expected sqlite:///FILE, http(s)://HOST or a database's URI.")
    return uri


def hidden(uri: str) -> str:
    """Return a URI with its password masked.

    >>> hidden("postgresql://me:secret@host/db")
    'postgresql://me:***@host/db'
    """
    head, at, tail = uri.rpartition("@")
    user, colon, _ = head.rpartition(":")
    return f"{user}:***@{tail}" if at and colon and "//" in user else uri


def score_points(scores: list[dict[str, str]]) -> Iterator[Point]:
    """Points of both curves: each score against training steps, and the last step's against evaluations (NFE).

    A score's name is `fd_digits/heun-25/cfg1`; smaller or larger n than the first scored one, and further sampling
    seeds, say so. The curve against NFE is `by_nfe/fd_digits/heun/cfg1`, its step the NFE.
    """
    last = max((int(row["train_step"]) for row in scores), default=0)
    main_n = {row["metric"]: row["n"] for row in reversed(scores) if int(row["train_step"]) == last}
    for row in scores:
        spec, value, seconds = SamplerSpec.parse(row["sampler"]), float(row["value"]), float(row["time"])
        metric = row["metric"] + ("" if row["n"] == main_n.get(row["metric"]) else f"_n{row['n']}")
        end = f"cfg{row['guidance']}" + ("" if row["sampling_seed"] == "0" else f"/seed{row['sampling_seed']}")
        if math.isfinite(value):
            yield f"{metric}/{spec.slug}/{end}", int(row["train_step"]), value, seconds
            if int(row["train_step"]) == last and metric == row["metric"]:
                yield f"by_nfe/{metric}/{spec.family}/{end}", round(float(row["nfe"])), value, seconds


def git_commit() -> str:
    """Commit of the source tree, with '+changes' where it has any; empty outside a repository."""
    here = Path(__file__).parent
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        changes = subprocess.run(["git", "status", "--porcelain"], cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return commit.stdout.strip() + ("+changes" if changes.stdout.strip() else "")


class Mirror:
    """Copies one run folder into MLflow from a thread of its own, so that training never waits for the store."""

    def __init__(self, folder: RunFolder, experiment: str, tags: Mapping[str, str], every_seconds: float = 5.0):
        self.folder, self.experiment, self.tags = folder, experiment, dict(tags)
        self.uri = tracking_uri()
        self.run_id = ""
        self.error = ""
        self._sent: set[tuple[str, int]] = set()
        self._files: dict[str, str] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._loop, args=(every_seconds,), daemon=True)

    def start(self) -> None:
        """Begin to mirror."""
        self._thread.start()

    def close(self, status: str, outcome: str) -> bool:
        """Send what is left and end the MLflow run as FINISHED, FAILED or KILLED; False where the store is down."""
        self._end.set()
        self._thread.join()
        self.tags["outcome"] = outcome
        return self._try(lambda: self.sync(status))

    def _loop(self, every_seconds: float) -> None:
        wait = 0.0
        while not self._end.wait(wait):
            ok = self._try(self.sync)
            wait = every_seconds if ok else min(60.0, max(2 * wait, every_seconds))

    def _try(self, send: Callable[[], None]) -> bool:
        try:
            send()
        except Exception as error:  # whatever the store's client raises: training goes on, the folder has it all
            if not self.error:
                _log.warning("MLflow at %s cannot be written (%s); the run goes on and is sent later",
                             hidden(self.uri), str(error).splitlines()[0][:100])  # fmt: skip
            self.error = str(error)
            return False
        self.error = ""
        return True

    def sync(self, status: str = "RUNNING") -> None:
        """Send all that the store lacks. Raises what MLflow's client raises."""
        client = _client(self.uri)
        if not self.run_id:
            self.run_id = self._find_or_create(client)
        self._send_metrics(client)
        self._send_files(client)
        for key, value in self.tags.items():
            client.set_tag(self.run_id, key, value)
        if status == "RUNNING":
            client.update_run(self.run_id, status)
        else:
            client.set_terminated(self.run_id, status)

    def _find_or_create(self, client: Any) -> str:
        info = self.folder.info
        assert info is not None, "create the run folder before it is mirrored"
        with _first_contact(self.uri):
            experiment = client.get_experiment_by_name(self.experiment)
            if experiment is None:
                location = _artifact_location(self.uri, self.experiment)
                experiment = client.get_experiment(client.create_experiment(self.experiment, artifact_location=location))
            found = client.search_runs([experiment.experiment_id], f"tags.run_uid = '{info['id']}'", max_results=1)
            if found:
                run = found[0]
                for key in client.get_run(run.info.run_id).data.metrics:
                    self._sent |= {(m.key, m.step) for m in client.get_metric_history(run.info.run_id, key)}
                return str(run.info.run_id)
            tags = {"run_uid": info["id"], "mlflow.runName": self.folder.path.name, **self.tags}
            run = client.create_run(experiment.experiment_id, start_time=int(info["created"] * 1000), tags=tags)
            from mlflow.entities import Param

            client.log_batch(run.info.run_id, params=[Param(k, v) for k, v in flatten(info["config"]).items()])
            return str(run.info.run_id)

    def _send_metrics(self, client: Any) -> None:
        from mlflow.entities import Metric

        fresh: dict[tuple[str, int], Any] = {}
        for key, step, value, seconds in [*self.folder.points(), *score_points(self.folder.scores())]:
            if (key, step) not in self._sent:
                fresh.setdefault((key, step), Metric(key, value, int(seconds * 1000), step))
        metrics = list(fresh.values())
        for i in range(0, len(metrics), _BATCH):
            client.log_batch(self.run_id, metrics=metrics[i : i + _BATCH])
            self._sent |= {(m.key, m.step) for m in metrics[i : i + _BATCH]}

    def _send_files(self, client: Any) -> None:
        files = [self.folder.path / "config.json", self.folder.path / "scores.csv"]
        for file in [f for f in files if f.exists()] + sorted(self.folder.path.glob("pictures/*.png")):
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            if self._files.get(str(file)) != content:
                client.log_artifact(self.run_id, str(file), "pictures" if file.suffix == ".png" else None)
                self._files[str(file)] = content


def _client(uri: str) -> Any:
    """Import MLflow late (it takes seconds) and quietly; give up on a dead server soon, since we try again."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with _first_contact(uri):
        return mlflow.MlflowClient(uri)


@contextmanager
def _first_contact(uri: str) -> Any:
    """Let one process at a time make a database's tables; several at once break each other's migrations."""
    key = hashlib.sha256(str(Path(uri.removeprefix("sqlite:///")).resolve()).encode()).hexdigest()[:16]
    with open(Path(tempfile.gettempdir()) / f"rope-dit-{os.getuid()}-{key}.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _artifact_location(uri: str, experiment: str) -> str | None:
    """A local store's artifacts lie beside its database, wherever the command is started; a server decides itself."""
    if not uri.startswith("sqlite:///"):
        return None
    return (Path(uri.removeprefix("sqlite:///")).resolve().parent / "mlartifacts" / experiment).as_uri()
