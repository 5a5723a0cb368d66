"""Measure how often verdicts and intervals are wrong, on simulated studies, and write the table of rates.

python -m analysis.rates
python -m analysis.rates --only looks --studies 20000 --out looks.md
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from analysis.rates.coverage import coverage
from analysis.rates.differences import null, power
from analysis.rates.equivalence import at_margin, found
from analysis.rates.growth import growth
from analysis.rates.missing import missing
from analysis.rates.mixtures import any_false
from analysis.rates.needed import needed
from analysis.rates.table import Table
from experiments.cli.arguments import parse
from experiments.cli.main import OK, StopFlag, main
from experiments.cli.outputs import check_folder
from experiments.cli.progress import Progress
from rope_dit.durable import write_durably
from rope_dit.errors import UserError, check, nearest

TABLES: dict[str, Callable[[int], Table]] = {
    "null": null,
    "power": power,
    "margin": at_margin,
    "equivalence": found,
    "mixtures": any_false,
    "looks": growth,
    "coverage": coverage,
    "missing": missing,
    "needed": needed,
}


@dataclass(frozen=True, kw_only=True)
class RatesConfig:
    """How many studies, and where to."""

    studies: int = 5000
    """simulated studies a cell"""
    out: Path = Path("docs/rates.md")
    """file that is written"""
    only: Annotated[str, tyro.conf.arg(help=f"one table: {' | '.join(TABLES)}")] = ""

    def __post_init__(self) -> None:
        check(100 <= self.studies <= 1_000_000, "studies", self.studies, "100 to 1000000")
        if self.only and self.only not in TABLES:
            hint = nearest(self.only, [*TABLES])
            raise UserError(f"only got '{self.only}', expected one of {', '.join(TABLES)}.{hint}")


def command(args: list[str], stop: StopFlag) -> int:
    """Write the tables and say where they are; returns the exit code."""
    wanted = parse(RatesConfig, None, args, "python -m analysis.rates", __doc__)
    check_folder(wanted.out.parent, "--out")
    chosen = {name: TABLES[name] for name in TABLES if wanted.only in ("", name)}
    bar, tables = Progress("rates", len(chosen), "table"), []
    for done, (name, table) in enumerate(chosen.items()):
        bar.update(done, name)
        tables.append(table(wanted.studies))
    bar.close()
    wanted.out.parent.mkdir(parents=True, exist_ok=True)
    write_durably(wanted.out, document(tables, wanted).encode())
    print(f"rates   {wanted.out}")
    return OK


def document(tables: list[Table], wanted: RatesConfig) -> str:
    """All tables as Markdown."""
    words = ["python -m analysis.rates", f"--studies {wanted.studies}"]
    words += [f"--only {wanted.only}"] if wanted.only else []
    error = 100 * (0.05 * 0.95 / wanted.studies) ** 0.5
    head = (
        f"Made by `{' '.join(words)}`; not to be edited.\n\n"
        "# Rates\n"
        f"Simulated studies whose truth is known, {wanted.studies} a cell, judged at 5 %; percent. A rate of "
        f"5 has a standard error of {error:.1f}. Before: Holm's p by t alone, and equivalent where the 90 % "
        "interval lies inside the margin. After: the rule that statistics.md describes. "
        'Spread "x3": a standard deviation over seeds three times that of the others.\n'
    )
    return "\n".join([head, *(table.markdown() for table in tables)])


if __name__ == "__main__":
    main(command)
