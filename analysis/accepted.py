"""Which run of an experiment is a study's cell: the newest that is what the study wrote down of the cell.

Anybody may put runs of any name into an experiment; a label and a seed do not make them the study's own.
"""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis import load
from experiments.records.definition import Definition
from experiments.records.run_record import record_of
from rope_dit.errors import UserError

NO_CELL = "it is of no cell of the study"
_OLDER = "a newer run of the cell is there"
_FIELDS = 3  # that are named of a run that differs
_SHOWN = 12  # characters of a value


def accepted(
    runs: pd.DataFrame, definition: Definition, uri: str | None, refused: Mapping[str, str] = {}
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The run of each cell that has one, and all others with the reason in a further column `why`.

    Args:
        runs: of the experiment, as `load.runs` gives them.
        definition: the study's.
        uri: the store, for the config.json of runs that are not known by their fingerprint.
        refused: runs that are not the study's whatever they are, by their id, and why.
    """
    why = _foreign(runs, definition, uri)
    also = pd.Series([refused.get(run_id, "") for run_id in runs["run_id"]], index=runs.index, dtype="str")
    why = why.mask(why == "", also)
    fitting = runs[why == ""].sort_values("started", kind="stable")
    newest = fitting.drop_duplicates(["arm", "seed"], keep="last").index
    why = why.mask((why == "") & ~runs.index.isin(newest), _OLDER)
    return runs.loc[newest], runs.assign(why=why).drop(newest).reset_index(drop=True)


def _foreign(runs: pd.DataFrame, definition: Definition, uri: str | None) -> "pd.Series[str]":
    """Why each run cannot be a cell; '' where it can."""
    rows = runs.to_dict("records")
    why = [_at_sight(run, definition) for run in rows]
    unknown = [run["run_id"] for run, said in zip(rows, why, strict=True) if said is None]
    files = load.files(unknown, "config.json", uri) if unknown else {}
    found = [
        _compared(run, definition, files.get(run["run_id"])) if said is None else said
        for run, said in zip(rows, why, strict=True)
    ]
    return pd.Series(found, index=runs.index, dtype="str")


def _at_sight(run: Mapping[Any, Any], definition: Definition) -> str | None:
    """Why a run cannot be a cell, as far as its tags tell; None where its config.json has to."""
    arm, seed = run["arm"], run["seed"]
    if arm not in [one.label for one in definition.arms] or seed not in definition.seeds:
        return NO_CELL
    for one in definition.replaced:
        if run["run_uid"] in one.runs:
            return f"the arm was trained again, as {one.why}"
    if not definition.identity_of(arm, seed) or definition.is_known(arm, seed, run["fingerprint"]):
        return ""
    return None


def _compared(run: Mapping[Any, Any], definition: Definition, config: bytes | None) -> str:
    """In what a run is not the cell that it is named after; '' where it is, as another version wrote it."""
    if config is None:
        return "its fingerprint is not that of the cell, and the store has no config.json of it"
    try:
        record, _ = record_of(json.loads(config), "its config.json")
    except (UserError, ValueError) as error:
        return f"its fingerprint is not that of the cell ({error})"
    return _differences(record.who, definition.identity_of(run["arm"], run["seed"]))


def _differences(found: Mapping[str, str], expected: Mapping[str, str]) -> str:
    """Fields in which two identities differ, such as 'train.lr 0.001, expected 0.002'; '' for none."""
    fields = [key for key in sorted(found.keys() | expected.keys()) if found.get(key) != expected.get(key)]
    said = [f"{key} {_short(found.get(key))}, expected {_short(expected.get(key))}" for key in fields]
    more = [f"{len(said) - _FIELDS} more"] if len(said) > _FIELDS else []
    return "; ".join([*said[:_FIELDS], *more])


def _short(value: str | None) -> str:
    return "none" if value is None else value if len(value) <= 2 * _SHOWN else f"{value[:_SHOWN]}..."
