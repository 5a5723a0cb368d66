"""Room on the disk for what a run is going to write."""

import shutil
from collections.abc import Sequence
from math import prod
from pathlib import Path

from experiments.records.run_folder import RunFolder
from experiments.scoring.generate import Generator
from experiments.scoring.jobs import Job
from rope_dit.checkpoint import Checkpoints
from rope_dit.errors import UserError

SMALL_FILES = 2**20
"""bytes for all else: curves, scores, grids of pictures"""


def check_room(folder: RunFolder, checkpoints: Checkpoints, checkpoint: int, samples: int) -> None:
    """Raise UserError where the disk has less room than the run's checkpoints and samples take.

    Args:
        folder: on that disk.
        checkpoints: of the run. One more than are kept lies there while it is written.
        checkpoint: size of one, in bytes.
        samples: size of those of one job, in bytes; they are gone before the next job begins. What a killed
            scoring left there has its room already.
    """
    more = max(1, checkpoints.keep + 1 - checkpoints.count())
    there = sum(file.stat().st_size for file in (folder.path / "samples").glob("*.safetensors"))
    needed = more * checkpoint + max(0, samples - there) + SMALL_FILES
    check_free(folder.path, needed, "checkpoints and samples", "--runs or --out")


def check_free(path: Path, needed: int, what: str, options: str) -> None:
    """Raise UserError where the disk of `path`, which exists, has fewer free bytes than are needed."""
    if (free := shutil.disk_usage(path).free) < needed:
        raise UserError(
            f"{path}: got {_said(free)} of free disk, expected {_said(needed)} for {what}. "
            f"Free some, or choose another {options}."
        )


def bytes_of_samples(generator: Generator, jobs: Sequence[Job], feature_bytes: int) -> int:
    """Bytes of pictures and their features, of the largest job."""
    return max(_bytes(generator, job, feature_bytes) for job in jobs)


def _bytes(generator: Generator, job: Job, feature_bytes: int) -> int:
    whole = -(-max(job.ns) // generator.chunk) * generator.chunk
    return whole * (prod(generator.shape_of(job.tokens)) + feature_bytes)


def _said(size: int) -> str:
    """Bytes in words.

    >>> _said(1_200_000), _said(3 * 2**40)
    ('1.2 MB', '3298.5 GB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
