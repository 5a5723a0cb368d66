"""Frames of scores that the statistics refuse."""

import numpy as np
import pandas as pd

from rope_dit.errors import UserError


def check_values(values: pd.DataFrame, keys: list[str]) -> None:
    """See that the column `value` is finite, and that a row is found by its `keys`.

    Raises:
        UserError: a missing column, a value that is not finite, or two rows with the same keys.
    """
    missing = [column for column in [*keys, "value"] if column not in values]
    if missing:
        raise UserError(f"values need the columns {', '.join(keys)}, value; missing: {', '.join(missing)}.")
    bad = values[~np.isfinite(values["value"].astype("float64"))]
    if len(bad):
        rows = (f"{_keys(row, keys)}: {row['value']}" for _, row in bad.iterrows())
        raise UserError(f"values must be finite numbers; {len(bad)} are not. Leave those rows out.", rows)
    double = values[values.duplicated(keys)]
    if len(double):
        rows = (_keys(row, keys) for _, row in double.iterrows())
        raise UserError(
            f"one value is expected for each {', '.join(keys)}; {len(double)} rows come again.", rows
        )


def _keys(row: "pd.Series[float]", keys: list[str]) -> str:
    return ", ".join(f"{key} {row[key]}" for key in keys)
