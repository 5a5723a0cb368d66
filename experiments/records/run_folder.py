"""The folder of one run: what is true about it. MLflow is a projection that can be made again from here.

Imports no torch, so that a typo on the command line is answered at once.

    config.json         identity, origin and settings, written once
    seal.json           of a study's run: the study's chain, as far as it went by then
    ending.json         how the last process that worked on it ended; absent while one works
    metrics.jsonl       one line a logging step; cut back to the checkpoint's step on resume
    scores.csv          one row a ScoreKey
    checkpoints/        see rope_dit.checkpoint
    pictures/           sample grids, PNG
    probes/             tables of what probes saw, CSV
    samples/            pictures of a scoring under way
    lock, owner         held by the process at work, and which one that is
"""

import contextlib
import json
import logging
import math
import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any

from experiments.cli.commands import python
from experiments.config.identity import SOURCE, read_identity
from experiments.config.text import to_json
from experiments.records.curve_log import CurveLog, Row, line_of, made_row, read_log
from experiments.records.folders import locks
from experiments.records.folders.own_files import refuse_links
from experiments.records.mlflow_names import Point
from experiments.records.run_record import RunRecord, read_record, write_record
from experiments.records.score import Score, is_sealed, read_scores, write_scores
from experiments.records.sealing import chain
from rope_dit.durable import naming, write_durably
from rope_dit.errors import UserError
from rope_dit.files import read_file
from rope_dit.words import differing

LOCK_SECONDS = 1.0  # somebody who only asks whether a lock is held (`is_locked`) holds it for an instant
_BEFORE = ("lock", "owner", chain.FILE)  # that a folder may have before its run begins
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ending:
    """How a process left a run.

    Args:
        status: MLflow's word: FINISHED, FAILED or KILLED.
        outcome: finished, paused (as asked, before the last step), diverged, error or stopped (by a signal).
        message: the error, in one line.
    """

    status: str
    outcome: str
    message: str = ""


class RunFolder:
    """Files of one run. Everything but `lock` may be used without holding the lock."""

    def __init__(self, path: Path):
        self.path = path
        self._id, self._next = "", 0
        self._rows: list[Row] = []
        self._known: set[tuple[str, int]] = set()

    @property
    def record(self) -> RunRecord | None:
        """What `create` wrote, or None where there is no run. Raises UserError where it is something else."""
        found = read_record(self._config)
        return found and found[0]

    @property
    def _config(self) -> Path:
        return self.path / "config.json"

    def check_free_for(self, identity: Mapping[str, str]) -> None:
        """Raise UserError where the folder holds another run, is no run folder, or leads out of itself."""
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"run folder {self.path} is a file; choose another --out.")
        refuse_links(self.path)
        record = self.record
        if record is None:
            inside = self.path.iterdir() if self.path.is_dir() else []
            if any(p.name not in _BEFORE and not p.name.startswith(".tmp-") for p in inside):
                raise UserError(f"{self.path} holds files but no run; choose another --out or empty it.")
        elif differences := differing(read_identity(record.identity), identity):
            if SOURCE in "".join(differences):
                mend = python("experiments.runner.migrate", self.path)
                differences.append(f"if its files still do the same as those of the run: {mend}")
            raise UserError(
                f"{self.path} holds another run; choose another --out. They differ in:", differences
            )

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder alone; the lock goes with the process, however it ends. Raises UserError."""
        refuse_links(self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        owner = self.path / "owner"  # not the lock's own content: who merely tries may empty that
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(locks.hold(self.path / "lock", LOCK_SECONDS))
            except TimeoutError:
                text = owner.read_text().strip() if owner.exists() else ""
                raise UserError(
                    f"{self.path} is locked by {text or 'another process'}; wait or stop that process."
                ) from None
            if owner.exists() and owner.stat().st_nlink > 1:  # a hard link: it is somebody else's file too
                owner.unlink()
            with naming(owner):
                owner.write_text(f"process {os.getpid()} on {socket.gethostname()}")
            yield

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder where there is none, and hold it alone. Raises UserError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = error.strerror
            raise UserError(f"run folder {self.path}: {reason}; choose another --runs or --out.") from None
        with self.lock():
            yield

    def is_locked(self) -> bool:
        """Whether a process is at work on this folder."""
        return locks.is_held(self.path / "lock")

    def create(
        self, identity: Mapping[str, str], config: Any, pairing: Mapping[str, str], origin: Mapping[str, str]
    ) -> None:
        """Write config.json: who this run is, what it is paired by, and where it comes from."""
        record = RunRecord(
            id=uuid.uuid4().hex, created=time.time(), pairing=dict(pairing), origin=dict(origin),
            identity=dict(identity), config=to_json(config),
        )  # fmt: skip
        self._write(record)

    def rewrite_identity(self, identity: Mapping[str, str]) -> None:
        """Write config.json again with another identity, for `experiments.migrate`."""
        record = self.record
        assert record is not None, "only of a run that was created"
        self._write(replace(record, identity=dict(identity)))

    def _write(self, record: RunRecord) -> None:
        write_record(self._config, record)
        self._id = record.id

    def open_metrics(self, step: int, logged: int = 0) -> None:
        """Clean up after a kill: half-written files, rows past `step` (they come again), damaged lines.

        What is missing or changed, and what cannot tell whether it was, is said in a line; the run goes on.

        Args:
            step: training step of the checkpoint.
            logged: last step before it of which there must be a row.
        """
        for left in self.path.rglob(".tmp-*"):
            if left.is_dir():  # of pictures that were sampled into it
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)
        file, config = self.path / "metrics.jsonl", read_record(self._config)
        content = read_file(file) if file.exists() else b""
        self._id = config[0].id if config else ""
        found = read_log(content, self._id, step)
        self._rows, self._next = found.rows, found.next
        self._known = {(key, step) for key, step, _, _ in self.points()}
        if config and found.last < logged:
            found.complain_of_end(logged, config[0].settings.train.log_every)
        if found.complaints:
            _log.warning("%s: %s; the run goes on without", file, "; ".join(found.complaints))
        if old := self._unsealed(config, found):
            text = "%s: %s without a SHA-256, as an earlier version wrote it: read unchecked"
            _log.warning(text, self.path, ", ".join(old))
        is_shared = file.exists() and file.stat().st_nlink > 1  # by a hard link: rows are added in place
        if found.whole != content or is_shared:
            write_durably(file, found.whole)

    def _unsealed(self, config: tuple[RunRecord, bool] | None, log: CurveLog) -> list[str]:
        """Names of files that cannot tell whether they were changed."""
        table = self._table()
        with self._naming_table():
            told = table is None or is_sealed(table)
        whole = {
            "config.json": not config or config[1],
            "metrics.jsonl": not log.unsealed,
            "scores.csv": told,
        }
        return [name for name, ok in whole.items() if not ok]

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Append one row; a (key, step) that is there already keeps its first value."""
        fresh = {k: v for k, v in values.items() if (k, step) not in self._known and math.isfinite(v)}
        if fresh:
            row = made_row(self._id, self._next, step, time.time(), fresh)
            path = self.path / "metrics.jsonl"
            with naming(path), open(path, "ab") as file:
                file.write(line_of(row))
                file.flush()
                os.fsync(file.fileno())  # a later checkpoint is on the disk, and so what it has behind it
            self._rows.append(row)
            self._next += 1
            self._known |= {(key, step) for key in fresh}

    def end(self, ending: "Ending") -> None:
        """Say how this process leaves the run."""
        if self.ending != ending:
            write_durably(self.path / "ending.json", json.dumps(asdict(ending)).encode())

    def begin(self) -> None:
        """Say that a process is at work."""
        (self.path / "ending.json").unlink(missing_ok=True)

    @property
    def ending(self) -> "Ending | None":
        """How the last process left the run; None where one is at work or died without a word."""
        try:
            found = Ending(**json.loads(read_file(self.path / "ending.json")))
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        return found if all(isinstance(text, str) for text in astuple(found)) else None

    def points(self) -> list[Point]:
        """All that was logged."""
        return [
            (key, row["step"], value, row["time"])
            for row in self._rows
            for key, value in row["values"].items()
        ]

    def scores(self) -> list[Score]:
        """Rows of scores.csv. Raises UserError where it is damaged, or not what was written for this run."""
        table, record = self._table(), self.record
        with self._naming_table():
            return read_scores(table, record.id if record else "") if table is not None else []

    def _table(self) -> str | None:
        """Content of scores.csv, where there is one. Raises UserError."""
        file = self.path / "scores.csv"
        with self._naming_table():
            return read_file(file).decode() if file.exists() else None

    @contextlib.contextmanager
    def _naming_table(self) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            mend = "Restore it, or remove it to score the last step again."
            raise UserError(f"{self.path / 'scores.csv'} is damaged ({error}). {mend}") from None

    def add_scores(self, scores: Iterable[Score]) -> None:
        """Add those whose keys have no score yet."""
        known = {score.key: score for score in self.scores()}
        for score in scores:
            known.setdefault(score.key, score)
        record = self.record
        if known:
            table = write_scores(known.values(), record.id if record else "")
            write_durably(self.path / "scores.csv", table.encode())
