"""The only file that writes MLflow: it mirrors a run folder into a tracking store, and may be late or down.

`Mirror.sync` is idempotent: it asks the store what it has and sends the rest, so a killed run, a resumed run
and a second call leave each (key, step) there once. Imports no torch, and mlflow only in its thread.
"""

import contextlib
import logging
import math
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.cli.main import one_line
from experiments.config.text import flatten
from experiments.records.mlflow_names import (
    PARAM_LENGTH,
    TAG_LENGTH,
    Naming,
    Point,
    metric_name,
    score_points,
    shorten,
)
from experiments.records.mlflow_store import chosen, connect, experiment_id, tracking_uri
from experiments.records.run_folder import RunFolder
from experiments.records.run_record import RunRecord
from experiments.records.stores.run_files import files_of
from experiments.records.stores.store_errors import hidden, passes, reason
from rope_dit.errors import UserError

FIRST_CONTACT_SECONDS, PATIENCE_SECONDS = 120.0, 20.0  # how long `close` waits for one answer of the store
_METRICS_IN_A_CALL, _PARAMS_IN_A_CALL = 1000, 100  # the most that an MLflow server takes
_MOST = 2**63 - 1  # that a store takes as a step or as milliseconds
_log = logging.getLogger(__name__)


def tags(folder: RunFolder, experiment: str) -> dict[str, str]:
    """What a run is found by. `host` and `folder` let later runs notice that this one died."""
    record = folder.record
    assert record is not None, "create the run folder before it is mirrored"
    config = record.settings
    return {
        **{"study": experiment, "arm": config.arm_name, "seed": str(config.seed), "outcome": "running"},
        **{"folder": str(folder.path.absolute()), "host": socket.gethostname()},
        **record.origin,
        **record.pairing,
    }


class Mirror:
    """Copies one run folder into MLflow from a thread of its own, so that training never waits for the store.

    Args:
        folder: a run folder that has been created.
        experiment: name of the MLflow experiment; made where it is missing.
        every_seconds: time between two syncs; up to a minute while the store does not answer.
    """

    def __init__(self, folder: RunFolder, experiment: str, every_seconds: float = 5.0):
        self.folder, self.experiment, self.tags = folder, experiment, tags(folder, experiment)
        self.uri = tracking_uri()
        self.run_id, self.error = "", ""
        self.passes = False  # whether that error may go away by itself
        self._client: Any = None
        self._points: set[tuple[str, int]] = set()
        self._stored_tags: dict[str, str] = {}
        self._files: dict[Path, tuple[int, int]] = {}
        self._refused: set[tuple[str, object]] = set()
        self._answer_until = math.inf
        self._last = ("RUNNING", "")
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._loop, args=(every_seconds,), daemon=True, name="mlflow")

    def start(self) -> None:
        """Begin to mirror."""
        self._thread.start()

    def close(self, status: str, outcome: str) -> bool:
        """Send what is left and end the MLflow run; with or without `start` before.

        Args:
            status: FINISHED, FAILED or KILLED.
            outcome: a word for the tag: finished, diverged, error, stopped.

        Returns:
            False where the store is down, refuses it, or has been silent for 20 s: `error` says why.
        """
        self._last = status, outcome
        # the store may have had nothing to do for long, while pictures were scored
        self._answer_until = max(self._answer_until, time.monotonic() + PATIENCE_SECONDS)
        self._end.set()
        if self._thread.ident is None:
            self._thread.start()
        while self._thread.is_alive() and time.monotonic() < self._answer_until:
            self._thread.join(0.1)
        if self._thread.is_alive():
            self._complain(TimeoutError(f"no answer for {PATIENCE_SECONDS:.0f} s"))
        return not self.error

    def sync(self, status: str = "RUNNING") -> None:
        """Send all that the store lacks. Raises what MLflow's client raises."""
        if not self.run_id:
            self._adopt()
        scored = score_points(self.folder.scores(), Naming.of_config(self._run.config))
        points = [point for point in (*self.folder.points(), *scored) if self._fits(*point)]
        self._send_points(points)
        self._send_files(ended=status != "RUNNING")
        self._send_tags()
        if status != "RUNNING":
            ended = max([self._run.created, *(seconds for _, _, _, seconds in points)])
            self._store.set_terminated(self.run_id, status, int(ended * 1000))

    @property
    def _run(self) -> RunRecord:
        record = self.folder.record
        assert record is not None, "create the run folder before it is mirrored"
        return record

    @property
    def _store(self) -> Any:
        """MLflow's client. Every use of it is a sign of life for `close`."""
        if self._client is None:
            self._answer_until = time.monotonic() + FIRST_CONTACT_SECONDS
            self._client = connect(self.uri)
        self._answer_until = time.monotonic() + PATIENCE_SECONDS
        return self._client

    def _loop(self, every_seconds: float) -> None:
        wait = 0.0
        while not self._end.wait(wait):
            ok = self._try("RUNNING")
            wait = every_seconds if ok else min(60.0, max(2 * wait, every_seconds))
        status, self.tags["outcome"] = self._last
        self._try(status)

    def _try(self, status: str) -> bool:
        try:
            self.sync(status)
        except Exception as error:  # whatever the store's client raises: the folder has it all
            self._complain(error)
            self.run_id, self._client = "", None  # it may have taken what it did not confirm: ask anew
            return False
        self.error = ""
        return True

    def _complain(self, error: BaseException) -> None:
        """Say so in one line, once for each time that the store goes away."""
        text, self.passes = reason(error, self.uri), passes(error)
        if not self.error:
            then = "to be sent later" if self.passes else "and the same command sends it once that is mended"
            message = "MLflow at %s cannot be written (%s); the run folder keeps all, %s"
            _log.warning(message, hidden(self.uri), text, then)
        self.error = text

    def _adopt(self) -> None:
        """Find the MLflow run of this folder, or make it, and ask what it holds."""
        from mlflow.entities import Param

        record, number = self._run, experiment_id(self._store, self.experiment)
        found = self._store.search_runs([number], f"tags.run_uid = '{record.id}'")
        if found:
            run = chosen(found)
        else:
            tags = {
                "run_uid": record.id,
                "mlflow.runName": self.folder.path.name,
                "mlflow.source.name": "experiments.run",
                "mlflow.source.type": "LOCAL",
                **self._fitting_tags(),
            }
            run = self._store.create_run(number, start_time=int(record.created * 1000), tags=tags)
        run_id = run.info.run_id
        history = [m for key in run.data.metrics for m in self._store.get_metric_history(run_id, key)]
        self._points, self._files = {(m.key, m.step) for m in history}, {}
        self._stored_tags = dict(run.data.tags)
        params = [Param(k, shorten(v, PARAM_LENGTH)) for k, v in flatten(record.config).items()]
        for some in _batches([p for p in params if p.key not in run.data.params], _PARAMS_IN_A_CALL):
            self._store.log_batch(run_id, params=some)
        if run.info.status != "RUNNING":
            self._store.update_run(run_id, "RUNNING")
        self.run_id = run_id
        self._reap(number)

    def _reap(self, experiment_id: str) -> None:
        """Mark as KILLED what kill -9 or a power cut ended on this host and what still stands as RUNNING."""
        for run in self._store.search_runs([experiment_id], "attributes.status = 'RUNNING'"):
            run_id, tags = run.info.run_id, run.data.tags
            folder = RunFolder(Path(tags.get("folder", "")))
            here = "host" in tags and tags["host"] == self.tags.get("host") and run_id != self.run_id
            if not (here and _is_dead(folder, tags.get("run_uid"))):
                continue
            # it gave its lock back after its last word to the store, so only now is its status the last one
            if self._store.get_run(run_id).info.status == "RUNNING":
                self._store.set_tag(run_id, "outcome", "killed")
                self._store.set_terminated(run_id, "KILLED", _last_change(folder))
                if folder.is_locked():  # it has just been taken up again
                    self._store.update_run(run_id, "RUNNING")
                    self._store.set_tag(run_id, "outcome", "running")

    def _fits(self, name: str, step: int, value: float, seconds: float) -> bool:
        """Whether a store takes a point. One that it does not take is named once; the others are sent."""
        try:
            if abs(step) <= _MOST and 0 <= int(seconds * 1000) <= _MOST:
                return math.isfinite(value)  # what is not, means nothing to anybody
        except (TypeError, ValueError, OverflowError):
            pass  # a text, an infinite time
        if (name, step) not in self._refused:
            self._refused.add((name, step))
            point = one_line(f"{name} at step {step}: {value!r}, time {seconds}", 80)
            _log.warning("%s: MLflow takes no such point, it is left out (%s)", self.folder.path, point)
        return False

    def _send_points(self, points: list[Point]) -> None:
        from mlflow.entities import Metric

        fresh: dict[tuple[str, int], Any] = {}
        for name, step, value, seconds in points:
            key = metric_name(name)
            if (key, step) not in self._points:
                fresh.setdefault((key, step), Metric(key, value, int(seconds * 1000), step))
        for some in _batches(list(fresh.values()), _METRICS_IN_A_CALL):
            self._store.log_batch(self.run_id, metrics=some)
            self._points |= {(m.key, m.step) for m in some}

    def _send_tags(self) -> None:
        from mlflow.entities import RunTag

        fresh = {k: v for k, v in self._fitting_tags().items() if self._stored_tags.get(k) != v}
        if fresh:
            self._store.log_batch(self.run_id, tags=[RunTag(*item) for item in fresh.items()])
            self._stored_tags |= fresh

    def _fitting_tags(self) -> dict[str, str]:
        return {key: shorten(value, TAG_LENGTH) for key, value in self.tags.items()}

    def _send_files(self, ended: bool) -> None:
        for file, name in files_of(self.folder.path, ended):
            stat = file.stat()
            state = stat.st_mtime_ns, stat.st_size
            if self._files.get(file) != state:
                self._store.log_artifact(self.run_id, str(file), name.rpartition("/")[0] or None)
                self._files[file] = state


def _batches(items: list[Any], size: int) -> Iterator[list[Any]]:
    for i in range(0, len(items), size):
        yield items[i : i + size]


def _is_dead(folder: RunFolder, uid: str | None) -> bool:
    """Whether this is the folder of the run `uid` and nobody works on it."""
    with contextlib.suppress(UserError, OSError):
        return folder.record is not None and folder.record.id == uid and not folder.is_locked()
    return False


def _last_change(folder: RunFolder) -> int:
    """When the run was last alive, as far as its files show, ms since 1970."""
    return int(max(file.stat().st_mtime for file in folder.path.iterdir()) * 1000)
