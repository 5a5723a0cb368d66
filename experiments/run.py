"""Train one arm with one seed, sample, score and track it.

Started again, the same command goes on where it was stopped; a finished run says so and does nothing.

  python -m experiments.run --variant rope2d --preset digits --train.lr 1e-3
  python -m experiments.run --preset cifar10 --help     the options, with that preset's defaults
  torchrun --nproc-per-node 4 -m experiments.run --preset cifar10     one run over four GPUs
  python -m experiments.run --list [KIND]               variants, samplers, grids, datasets, metrics
"""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli.arguments import parse, take
from experiments.cli.imports import heavy_imports
from experiments.cli.main import OK, StopFlag, main
from experiments.config.presets import preset
from experiments.config.run import RunConfig
from experiments.records.mlflow_store import tracking_uri
from experiments.runner.torchrun import declared, fit_to_ranks, follow, joined
from rope_dit.errors import UserError
from rope_dit.registry import POS_EMBEDS

if TYPE_CHECKING:
    from experiments.runner.resolve import Resolved


def command(args: list[str], stop: StopFlag) -> int:
    """Read the command line and carry out the run; returns the exit code."""
    if declared()[0] > 0:
        return follow(lambda: _command(args, stop), stop)
    return _command(args, stop)


def _command(args: list[str], stop: StopFlag) -> int:
    name = take(args, "preset")
    default = preset("digits" if name is None else name)
    return run(parse(RunConfig, default, args, "python -m experiments.run", __doc__), stop)


def run(config: RunConfig, stop: StopFlag) -> int:
    """Carry out one run, from wherever an earlier process left it.

    Raises UserError before anything is written, or for a run folder that is in use or damaged.
    """
    rank, size = declared()
    POS_EMBEDS.canonical(config.variant)  # before torch is imported, so that a typo is answered at once
    tracking_uri()
    with heavy_imports():
        from experiments.runner.dry_run import describe
        from experiments.runner.execute import execute
        from experiments.runner.resolve import resolve

    config = fit_to_ranks(config, size)
    if config.dry_run:
        if rank == 0:
            print(describe(_checked(resolve(config, size))))
        return OK
    with joined(config.device, rank, size, stop) as ranks, contextlib.ExitStack() as held:
        resolved = ranks.first_alone(lambda: _checked(resolve(config, size)))

        def hold() -> None:
            _make(resolved.folder.path)
            held.enter_context(resolved.folder.lock())

        ranks.first(hold)
        return execute(resolved, stop, ranks)


def _checked(resolved: "Resolved") -> "Resolved":
    resolved.extractor  # noqa: B018  loaded now, for it may be missing
    return resolved


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror
        raise UserError(f"run folder {path}: {reason}; choose another --runs or --out.") from None


if __name__ == "__main__":
    main(command)
