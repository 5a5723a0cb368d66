"""Carry out cells through a launcher: start, watch, try again what was killed, show how far it is."""

import json
import re
import sys
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from experiments.cli.main import STOPPING, StopFlag, one_line
from experiments.cli.progress import Progress
from experiments.config.text import to_json
from experiments.coordinator.cell import FINAL, Cell, CellState
from experiments.coordinator.launchers.base import Ended, Launcher, Task
from experiments.records.seal import sealed
from rope_dit.durable import write_durably
from rope_dit.errors import Stopped

TRIES = 3  # starts of a process that is killed each time before it got on
EQUAL_FAILURES = 10  # in a row, after which something is wrong with all of them
POLL_SECONDS = 0.5


class AllFail(Exception):
    """The cells fail one after the other, and all for the same reason."""


@dataclass
class Watch:
    """What wants to know of cells: called in the coordinator's thread.

    Args:
        start: a process for the cell is started.
        end: nothing more is done about the cell now.
    """

    start: Callable[[Cell], None] = lambda cell: None
    end: Callable[[Cell, CellState], None] = lambda cell, state: None


@dataclass
class CellQueue:
    """Cells on their way through a launcher.

    Args:
        path: the study's folder.
        launcher: where the processes run.
        total: cells of the study, for the display; `done` of them before.
        stop: asked all the time; a True stops all processes at their next checkpoint.
        watch: is told of starts and ends.
    """

    path: Path
    launcher: Launcher
    stop: StopFlag
    total: int
    done: int = 0
    watch: Watch = field(default_factory=Watch)
    failures: dict[str, str] = field(default_factory=dict)
    _in_a_row: list[str] = field(default_factory=list)

    def carry_out(self, cells: Sequence[Cell]) -> None:
        """Work on cells until each is done, diverged or failed; `failures` has why, by name.

        Raises:
            Stopped: a signal came; every process has been stopped at a checkpoint.
            AllFail: ten cells in a row failed for the same reason.
        """
        queue, running, tries = deque(cells), dict[str, Cell](), Tries()
        display = Display(cells, self.total)
        try:
            while queue or running:
                if self.stop():
                    raise Stopped
                while queue and len(running) < self.launcher.slots:
                    cell = queue.popleft()
                    tries.start(cell)
                    running[cell.name] = cell
                    self.watch.start(cell)
                    self.launcher.start(self._task(cell))
                for ended in self.launcher.poll(POLL_SECONDS):
                    cell = running.pop(ended.name)
                    state, why = self._judge(cell, ended)
                    if state == "missing" and tries.more_for(cell):
                        queue.appendleft(cell)
                        continue
                    self._note(cell, "failed" if state == "missing" else state, why)
                    self.done += 1
                    display.end(cell)
                display.show(self.done, list(running.values()))
        finally:
            display.close()

    def _task(self, cell: Cell) -> Task:
        file, log = self.path / "cells" / f"{cell.name}.json", self.path / "logs" / f"{cell.name}.txt"
        for folder in (file.parent, log.parent):
            folder.mkdir(parents=True, exist_ok=True)
        write_durably(file, json.dumps(sealed(to_json(cell.config)), indent=1).encode())
        plugins = ("--plugins", str(cell.config.plugins)) if cell.config.plugins else ()
        command = (sys.executable, "-m", "experiments.coordinator.worker", str(file.absolute()), *plugins)
        return Task(cell.name, command, log.absolute())

    def _judge(self, cell: Cell, ended: Ended) -> tuple[CellState, str]:
        """What became of a cell whose process has ended: `missing` where the process was killed."""
        state = cell.state()
        if state in FINAL:
            return state, ""
        if ended.code < 0 or ended.code in (*STOPPING.values(), 137):
            return "missing", f"killed {TRIES} times without getting on (exit code {ended.code})"
        ending = cell.folder.ending
        if state == "failed" and ending is not None:
            return "failed", ending.message
        return "failed", _last_line(self.path / "logs" / f"{cell.name}.txt") or f"exit code {ended.code}"

    def _note(self, cell: Cell, state: CellState, why: str) -> None:
        self.watch.end(cell, state)
        if state == "done":
            self._in_a_row.clear()
            return
        ending = cell.folder.ending
        self.failures[cell.name] = f"{state}: {why or (ending.message if ending else '')}"
        print(one_line(f"{cell.name} {self.failures[cell.name]}; the others go on"), file=sys.stderr)
        if state == "diverged":  # a result, not a fault of the machine
            self._in_a_row.clear()
            return
        self._in_a_row.append(re.sub(r"\d+", "#", why.replace(cell.name, "")))
        last = self._in_a_row[-EQUAL_FAILURES:]
        if len(last) == EQUAL_FAILURES and len(set(last)) == 1:
            raise AllFail(f"{EQUAL_FAILURES} runs in a row failed alike: {why}")


class Tries:
    """Counts starts of cells since they last got on: a job that saves at its time limit may have many."""

    def __init__(self) -> None:
        self._starts = Counter[str]()
        self._reached: dict[str, tuple[int, int]] = {}

    def start(self, cell: Cell) -> None:
        """A process for the cell is started."""
        self._starts[cell.name] += 1
        self._reached.setdefault(cell.name, _reached(cell))

    def more_for(self, cell: Cell) -> bool:
        """Whether the cell, whose process was killed, is started once more."""
        if (now := _reached(cell)) > self._reached[cell.name]:
            self._reached[cell.name], self._starts[cell.name] = now, 0
        return self._starts[cell.name] < TRIES


def _reached(cell: Cell) -> tuple[int, int]:
    """How far a cell has come: its last logged step and the number of its scores."""
    return cell.progress()[0], len(cell.folder.scores())


class Display:
    """One line for the whole study: cells done, running ones with step and loss, time left."""

    def __init__(self, cells: Sequence[Cell], total: int):
        self._total, self._ended = total, 0
        steps = sum(cell.config.last_step for cell in cells)
        self._bar = Progress("study", steps, "step", every_seconds=30.0)

    def end(self, cell: Cell) -> None:
        """Nothing more is done about this cell."""
        self._ended += cell.config.last_step

    def show(self, done: int, running: Sequence[Cell]) -> None:
        """Say how far it is."""
        reached = self._ended + sum(cell.progress()[0] for cell in running)
        self._bar.update(reached, "; ".join([f"{done}/{self._total} runs", *map(_line, running)]))

    def close(self) -> None:
        """Take the line away."""
        self._bar.close()


def _line(cell: Cell) -> str:
    step, loss = cell.progress()
    return f"{cell.name} {step}/{cell.config.last_step}" + (f" loss {loss:.3f}" if loss is not None else "")


def _last_line(file: Path) -> str:
    lines = file.read_text(errors="replace").split("\n") if file.exists() else []
    return next((line for line in reversed(lines) if line.strip()), "")
