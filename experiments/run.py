"""Train one arm with one seed, sample, score and track it.

Example: python -m experiments.run --variant rope2d --preset digits --train.lr 1e-3
Started again, the same command goes on where it was stopped. `--list [KIND]` shows what is registered.
"""

from experiments.cli import OK, StopFlag, main, parse, take
from experiments.config import RunConfig
from experiments.presets import PRESETS
from experiments.tracking import tracking_uri
from rope_dit.errors import UserError, nearest
from rope_dit.registry import POS_EMBEDS


def command(args: list[str], stop: StopFlag) -> int:
    """Read the command line and carry out the run; returns the exit code."""
    preset = take(args, "preset") or "digits"
    if preset not in PRESETS:
        raise UserError(f"unknown preset '{preset}'; there are {', '.join(PRESETS)}.{nearest(preset, list(PRESETS))}")
    return run(parse(RunConfig, PRESETS[preset], args, "python -m experiments.run", __doc__), stop)


def run(config: RunConfig, stop: StopFlag) -> int:
    """Carry out one run, from wherever an earlier process left it. Raises UserError before anything is written."""
    POS_EMBEDS.canonical(config.variant)  # before torch is imported, so that a typo is answered at once
    tracking_uri()
    from experiments.describe import describe
    from experiments.execute import execute
    from experiments.resolve import resolve

    resolved = resolve(config)
    if config.dry_run:
        print(describe(resolved))
        return OK
    with resolved.folder.lock():
        return execute(resolved, stop)


if __name__ == "__main__":
    main(command)
