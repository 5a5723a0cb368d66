"""What commands share that draw a figure of tables: arguments, reading, writing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pandas as pd
import tyro
from matplotlib.figure import Figure

from experiments.cli.arguments import parse
from experiments.cli.main import OK, StopFlag
from experiments.cli.outputs import check_folder
from rope_dit.errors import UserError


@dataclass(frozen=True, kw_only=True)
class FigureConfig:
    """What to draw."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="PATH")]
    """the table, or the folder of tables"""
    out: Path
    """PNG or SVG to write"""


def drawing(module: str, says: str, draw: Callable[[Path], Figure]) -> Callable[[list[str], StopFlag], int]:
    """The command `python -m MODULE PATH --out FILE` of a figure.

    Args:
        module: dotted name of the file.
        says: its docstring, for the help.
        draw: the figure of what lies at a path. Raises UserError.
    """

    def command(args: list[str], stop: StopFlag) -> int:
        wanted = parse(FigureConfig, None, args, f"python -m {module}", says)
        check_folder(wanted.out.parent, "--out")
        made = draw(wanted.source)
        wanted.out.parent.mkdir(parents=True, exist_ok=True)
        made.savefig(wanted.out, facecolor="white")
        print(wanted.out)
        return OK

    return command


def read_table(path: Path, columns: Sequence[str], maker: str) -> pd.DataFrame:
    """Rows of a table. Raises UserError where it lacks one of these columns, or rows; `maker` writes such."""
    try:
        rows = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {error}; expected a table of {maker}.") from None
    if missing := [name for name in columns if name not in rows]:
        raise UserError(f"{path} has no column {missing[0]}; expected a table of {maker}.")
    if rows.empty:
        raise UserError(f"{path} has no rows; expected a table of {maker}.")
    return rows
