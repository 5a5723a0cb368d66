"""A classifier of a user's own pictures; scores are called by the name of its file."""

import re
from pathlib import Path

import torch

from experiments.config.registries import EXTRACTORS
from experiments.scoring.extractors.base import Extractor
from experiments.scoring.extractors.classifier_file import SUFFIX, classifier_from
from rope_dit.errors import UserError

NAME = "file"


@EXTRACTORS.register("file")
def file(argument: str, device: torch.device) -> Extractor:
    """A classifier of your own pictures that train_extractor wrote: file:PATH.safetensors, or the path alone.

    Raises UserError for a file that is missing, damaged, of another kind, or named as another extractor is.
    """
    path = Path(argument)
    if path.suffix != SUFFIX:
        raise UserError(f"eval.extractor got 'file:{argument}', expected file:PATH{SUFFIX}, a file that "
                        "python -m experiments.train_extractor wrote.")  # fmt: skip
    taken = path.stem in {*EXTRACTORS.names()} - {NAME} or path.stem.startswith("inception")
    if taken or not re.fullmatch(r"[A-Za-z0-9._-]{1,60}", path.stem):
        raise UserError(
            f"eval.extractor {path.name}: scores are named after this file; give it another name, "
            "of A-Z a-z 0-9 . _ - and not that of another extractor (--list extractors)."
        )
    return classifier_from(path, device)
