"""The folder of one run: what is true about it. MLflow is a projection that can be made again from here.

Imports no torch, so that a typo on the command line is answered at once.

    config.json         identity, origin and settings, written once
    ending.json         how the last process that worked on it ended; absent while one works
    metrics.jsonl       one line a logging step; cut back to the checkpoint's step on resume
    scores.csv          one row a ScoreKey
    checkpoints/        see rope_dit.checkpoint
    pictures/           sample grids, PNG
    samples/            pictures of a scoring under way
    lock, owner         held by the process at work, and which one that is
"""

import contextlib
import json
import logging
import math
import os
import socket
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from experiments.cli.commands import python
from experiments.config.identity import SOURCE, read_identity, read_settings
from experiments.config.run import RunConfig
from experiments.config.text import to_json
from experiments.records import locks
from experiments.records.mlflow_names import Point
from experiments.records.score import Score, read_scores, write_scores
from rope_dit.durable import write_durably
from rope_dit.errors import UserError
from rope_dit.words import differing

LOCK_SECONDS = 1.0  # somebody who only asks whether a lock is held (`is_locked`) holds it for an instant
_LOCKING = ("lock", "owner")
_log = logging.getLogger(__name__)

Row = dict[str, Any]


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


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """Who a run is, written once.

    Attributes:
        id: random, hexadecimal.
        created: seconds since 1970.
        pairing: SHA-256 of what paired runs share.
        origin: where it comes from: command, device, versions, size.
        identity: all that changes its weights, as `experiments.config.identity` of its time wrote it.
        config: its settings as JSON, with those fields that there were.
    """

    id: str
    created: float
    pairing: Mapping[str, str]
    origin: Mapping[str, str]
    identity: Mapping[str, str]
    config: Mapping[str, Any]

    @property
    def settings(self) -> RunConfig:
        """Its settings; what was not known then is at its neutral value. Raises UserError."""
        return read_settings(self.config)


_PARTS = frozenset(f.name for f in fields(RunRecord))


class RunFolder:
    """Files of one run. Everything but `lock` may be used without holding the lock."""

    def __init__(self, path: Path):
        self.path = path
        self._rows: list[Row] = []
        self._known: set[tuple[str, int]] = set()

    @property
    def record(self) -> RunRecord | None:
        """What `create` wrote, or None where there is no run. Raises UserError where it is something else."""
        file = self.path / "config.json"
        if not file.is_file():
            return None
        try:
            found = json.loads(file.read_text())
        except ValueError as error:
            raise UserError(f"{file} is damaged ({error}). Remove the run folder to start again.") from None
        whole = isinstance(found, dict) and found.keys() >= _PARTS
        if not (whole and isinstance(found["identity"], dict) and isinstance(found["config"], dict)):
            raise UserError(f"{file} was not written by this program; choose another --out.")
        return RunRecord(**{name: found[name] for name in _PARTS})

    def check_free_for(self, identity: Mapping[str, str]) -> None:
        """Raise UserError where the folder holds another run or is no run folder."""
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"run folder {self.path} is a file; choose another --out.")
        record = self.record
        if record is None:
            inside = self.path.iterdir() if self.path.is_dir() else []
            if any(p.name not in _LOCKING and not p.name.startswith(".tmp-") for p in inside):
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
        """Hold the folder alone; the lock goes with the process, however it ends."""
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
        write_durably(self.path / "config.json", json.dumps(asdict(record), indent=1).encode())

    def open_metrics(self, step: int) -> None:
        """Clean up after a kill: half-written files, rows past `step` (they come again), damaged lines."""
        for left in self.path.rglob(".tmp-*"):
            left.unlink(missing_ok=True)
        file = self.path / "metrics.jsonl"
        content = file.read_bytes() if file.exists() else b""
        rows = [_row(line) for line in content.splitlines()]
        if None in rows[:-1]:  # the last line may be torn by a kill; others only by the disk
            _log.warning("%s: %d damaged lines are left out", file, rows[:-1].count(None))
        self._rows = [row for row in rows if row is not None and row["step"] <= step]
        self._known = {(key, step) for key, step, _, _ in self.points()}
        whole = "".join(json.dumps(row) + "\n" for row in self._rows).encode()
        if whole != content:
            write_durably(file, whole)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Append one row; a (key, step) that is there already keeps its first value."""
        fresh = {k: v for k, v in values.items() if (k, step) not in self._known and math.isfinite(v)}
        if fresh:
            row = {"step": step, "time": time.time(), "values": fresh}
            with open(self.path / "metrics.jsonl", "a") as file:
                file.write(json.dumps(row) + "\n")
                file.flush()
                os.fsync(file.fileno())  # a later checkpoint is on the disk, and so what it has behind it
            self._rows.append(row)
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
            return Ending(**json.loads((self.path / "ending.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def points(self) -> list[Point]:
        """All that was logged."""
        return [
            (key, row["step"], value, row["time"])
            for row in self._rows
            for key, value in row["values"].items()
        ]

    def scores(self) -> list[Score]:
        """Rows of scores.csv. Raises UserError where it is damaged."""
        file = self.path / "scores.csv"
        try:
            return read_scores(file.read_text()) if file.exists() else []
        except (ValueError, KeyError) as error:
            raise UserError(f"{file} is damaged ({error}). Remove it to score again.") from None

    def add_scores(self, scores: Iterable[Score]) -> None:
        """Add those whose keys have no score yet."""
        known = {score.key: score for score in self.scores()}
        for score in scores:
            known.setdefault(score.key, score)
        write_durably(self.path / "scores.csv", write_scores(known.values()).encode())


def _row(line: bytes) -> Row | None:
    """Read a line of metrics.jsonl, or None where it is torn or no such line."""
    try:
        row = json.loads(line)
        float(row["time"])
        return row if isinstance(row["step"], int) and isinstance(row["values"], dict) else None
    except (ValueError, TypeError, KeyError):
        return None
