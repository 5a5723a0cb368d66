"""Give a run of an earlier version the identity of a plug-in's code that is here, and say what changed.

Only where a run is refused for its `variant source`: its plug-in was edited since, in what changes no number.
You say that it does the same; nothing can check it. Runs of variants that ship are read as they are.

  python -m experiments.runner.migrate runs/mine-s0-1f00c4d2 --plugins mine
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from experiments.cli.arguments import parse
from experiments.cli.main import OK, StopFlag, main
from experiments.config.identity import identity_of_variant, read_identity
from experiments.config.run import PathOrNone
from experiments.records.run_folder import RunFolder
from rope_dit.checkpoint import Checkpoints
from rope_dit.errors import UserError
from rope_dit.words import differing


@dataclass(frozen=True, kw_only=True)
class MigrateConfig:
    """Which run."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """run folder"""
    plugins: PathOrNone = None
    """folder of your own files, with which it was made"""


def command(args: list[str], stop: StopFlag) -> int:
    """Migrate the run; returns the exit code."""
    wanted = parse(MigrateConfig, None, args, "python -m experiments.runner.migrate", __doc__)
    changes = migrate(wanted.run)
    said = "\n  ".join([f"{wanted.run} is migrated:", *changes])
    print(said if changes else f"{wanted.run} needs nothing.")
    return OK


def migrate(path: Path) -> list[str]:
    """Give a run the identity of the variant's code that is here; returns what changed, if anything.

    For a run made with a file of one's own before items were known by what they say: its identity holds the
    SHA-256 of the file's bytes, which a changed comment changes. Whoever calls this says that the file still
    does the same.

    Raises UserError where there is no run, or its variant is not here.
    """
    folder = RunFolder(path)
    if not differing(*identities(folder)):
        return []
    with folder.lock():
        before, after = identities(folder)
        changes, checkpoints = differing(before, after), path / "checkpoints"
        old = Checkpoints(checkpoints, before, read=read_identity)
        if found := old.load():
            written = Checkpoints(checkpoints, after).save(*found)
            for other in checkpoints.glob("*.safetensors"):
                if other != written:
                    other.unlink()
            changes.append(f"checkpoint of step {found[0]} written again with it")
        folder.rewrite_identity(after)
    return changes


def identities(folder: RunFolder) -> tuple[dict[str, str], dict[str, str]]:
    """A run's identity as it is, and with the code that is here. Raises UserError where there is no run."""
    record = folder.record
    if record is None:
        raise UserError(f"{folder.path} holds no run; expected a folder that experiments.run made.")
    before = read_identity(record.identity)
    return before, identity_of_variant(before, record.settings.variant)


if __name__ == "__main__":
    main(command)
