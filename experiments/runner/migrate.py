"""Bring records of earlier versions into today's form, where they cannot be read as they are."""

from pathlib import Path

from experiments.config.identity import identity_of_variant, read_identity
from experiments.records.run_folder import RunFolder
from rope_dit.checkpoint import Checkpoints
from rope_dit.errors import UserError
from rope_dit.words import differing


def migrate(path: Path) -> list[str]:
    """Give a run the identity of the variant's code that is here; returns what changed, if anything.

    For a run made with a file of one's own before items were known by what they say: its identity holds the
    SHA-256 of the file's bytes, which a changed comment changes. Whoever calls this says that the file still
    does the same.

    Raises UserError where there is no run, or its variant is not here.
    """
    folder = RunFolder(path)
    record = folder.record
    if record is None:
        raise UserError(f"{path} holds no run; expected a folder that experiments.run made.")
    before = read_identity(record.identity)
    after = identity_of_variant(before, record.settings.variant)
    changes = differing(before, after)
    if not changes:
        return []
    with folder.lock():
        checkpoints = path / "checkpoints"
        old = Checkpoints(checkpoints, before, read=read_identity)
        if found := old.load():
            written = Checkpoints(checkpoints, after).save(*found)
            for other in checkpoints.glob("*.safetensors"):
                if other != written:
                    other.unlink()
            changes.append(f"checkpoint of step {found[0]} written again with it")
        folder.rewrite_identity(after)
    return changes
