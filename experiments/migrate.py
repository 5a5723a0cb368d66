"""Give a run of an earlier version the identity of a plug-in's code that is here, and say what changed.

Only where a run is refused for its `variant source`: its plug-in was edited since, in what changes no number.
You say that it does the same; nothing can check it. Runs of variants that ship are read as they are.

  python -m experiments.migrate runs/mine-s0-1f00c4d2 --plugins mine
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from experiments.cli.arguments import parse
from experiments.cli.main import OK, StopFlag, main
from experiments.config.run import PathOrNone


@dataclass(frozen=True, kw_only=True)
class MigrateConfig:
    """Which run."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """run folder"""
    plugins: PathOrNone = None
    """folder of your own files, with which it was made"""


def command(args: list[str], stop: StopFlag) -> int:
    """Migrate the run; returns the exit code."""
    wanted = parse(MigrateConfig, None, args, "python -m experiments.migrate", __doc__)
    from experiments.runner.migrate import migrate

    changes = migrate(wanted.run)
    print(
        "\n  ".join([f"{wanted.run} is migrated:", *changes]) if changes else f"{wanted.run} needs nothing."
    )
    return OK


if __name__ == "__main__":
    main(command)
