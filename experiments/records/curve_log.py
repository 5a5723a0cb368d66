"""Rows of metrics.jsonl: what one holds, and whether all are there as they were written. Imports no torch.

A row has a number, and a SHA-256 of the run's id and of all else in it: so one that was changed, or comes
from another run, is left out, and those that were removed are missed. Earlier versions wrote neither.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from experiments.config.text import digest

Row = dict[str, Any]
LAST_STEP, LAST_SECOND = 2**63 - 1, 1e11  # what a tracking store takes: int64, and so milliseconds
_DIGITS = 16  # of the SHA-256, in hex: a guard against accidents, not forgers


@dataclass(frozen=True)
class CurveLog:
    """What a file holds.

    Args:
        rows: whole ones up to the step that was asked for, in their order.
        complaints: what is the matter with the file, in words.
        left_out: lines behind the last row, of which nothing is known.
        unsealed: rows of an earlier version, which are taken as they are.
        whole: the bytes of the rows, as they stand in the file if nothing is the matter.
    """

    rows: list[Row]
    complaints: list[str]
    left_out: int
    unsealed: int
    whole: bytes

    @property
    def next(self) -> int:
        """Number of the row that comes next."""
        return int(self.rows[-1].get("row", len(self.rows) - 1)) + 1 if self.rows else 0

    @property
    def last(self) -> int:
        """Step of the last row; 0 where there is none."""
        return int(self.rows[-1]["step"]) if self.rows else 0

    def complain_of_end(self, logged: int, every: int) -> None:
        """Miss what is not there of a run that has a row at step `logged`, and one every so many steps."""
        count = logged // every - self.last // every + (logged % every > 0) - self.left_out
        if self.last < logged and count > 0:
            self.complaints.append(_lost(count, self.last + 1, logged))


def made_row(run_id: str, number: int, step: int, seconds: float, values: Mapping[str, float]) -> Row:
    """A row of values at a training step, written at `seconds` since 1970."""
    row = {"step": step, "time": seconds, "values": dict(values), "row": number}
    return {**row, "sha256": _seal(run_id, row)}


def line_of(row: Row) -> bytes:
    """A row as it stands in the file."""
    return json.dumps(row).encode() + b"\n"


def read_log(content: bytes, run_id: str, step: int) -> CurveLog:
    """Rows of a file up to `step`; those behind come again."""
    rows: list[Row] = []
    gaps: list[str] = []
    damaged = changed = left_out = 0  # lines, rows, and both since the row before
    number, before = -1, 0
    lines = content.splitlines()
    for i, line in enumerate(lines):
        row = _row(line)
        is_torn = row is None and i == len(lines) - 1  # by a kill, which only the last may be
        if row is None or _is_changed(run_id, row, number):
            damaged += row is None and not is_torn
            changed += row is not None
            left_out += 1
        elif row["step"] <= step:
            if (lost := row.get("row", number + 1) - number - 1 - left_out) > 0:
                gaps.append(_lost(lost, before + 1, row["step"] - 1))
            rows.append(row)
            number, before, left_out = row.get("row", number + 1), row["step"], 0
    complaints = [f"{_count(damaged, 'damaged line')} left out"] * (damaged > 0)
    complaints += [f"{_count(changed, 'changed row')} left out"] * (changed > 0)
    unsealed = sum("sha256" not in row for row in rows)
    return CurveLog(rows, complaints + gaps, left_out, unsealed, b"".join(map(line_of, rows)))


def _is_changed(run_id: str, row: Row, number: int) -> bool:
    """Whether a row is not what the run wrote, or does not stand behind row `number`."""
    return "sha256" in row and (row["sha256"] != _seal(run_id, row) or row["row"] <= number)


def _lost(count: int, first: int, last: int) -> str:
    rows, are = ("row", "is") if count == 1 else ("rows", "are")
    return f"{count} {rows} of steps {first} to {last} {are} missing"


def _count(number: int, what: str) -> str:
    return f"{number} {what} is" if number == 1 else f"{number} {what}s are"


def _seal(run_id: str, row: Row) -> str:
    return digest([run_id, {key: value for key, value in row.items() if key != "sha256"}])[:_DIGITS]


def _row(line: bytes) -> Row | None:
    """Read a line, or None where it is torn, or what no tracking store would take."""
    try:
        row = json.loads(line)
        whole = _is_number(row["time"]) and 0 <= row["time"] < LAST_SECOND
        whole &= _is_index(row["step"]) and _is_index(row.get("row", 0))
        named = all(key.isprintable() and _is_number(value) for key, value in row["values"].items())
        return row if whole and named else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _is_index(value: object) -> bool:
    return type(value) is int and 0 <= value <= LAST_STEP


def _is_number(value: object) -> bool:
    is_float = type(value) is float and math.isfinite(value)
    return is_float or (type(value) is int and abs(value) <= LAST_STEP)
