"""From an extractor's name in the settings to the extractor."""

import re
from pathlib import Path

import torch

from experiments.scoring.extractors.base import Extractor
from experiments.scoring.extractors.classifier_file import SHIPPED, WEIGHTS, classifier_from
from rope_dit.errors import UserError


def load_extractor(spec: str, device: torch.device | str, inception_weights: Path | None = None) -> Extractor:
    """Load what `spec` names: inception | digits | cifar10 | PATH.safetensors (from train_extractor).

    `inception_weights` is a local copy of torch-fidelity's file; without it the file is downloaded once.
    With any other Inception weights the extractor is called `inception_<first 8 digits of their SHA-256>`, so
    that no score made with them is called FID.

    Raises UserError for a file that is missing, damaged or of another kind.
    """
    if spec == "inception":
        from experiments.scoring.extractors.inception import inception

        return inception(torch.device(device), inception_weights)
    if inception_weights is not None:
        raise UserError(f"eval.inception-weights is for extractor inception; got {spec}. Remove one of them.")
    path = WEIGHTS / f"{spec}.safetensors" if spec in SHIPPED else Path(spec)
    if path.suffix != ".safetensors":
        raise UserError(
            f"eval.extractor got '{spec}', expected inception, digits, cifar10 or a .safetensors file."
        )
    reserved = spec not in SHIPPED and (path.stem in SHIPPED or path.stem.startswith("inception"))
    if reserved or not re.fullmatch(r"[A-Za-z0-9._-]{1,60}", path.stem):
        raise UserError(
            f"eval.extractor {path.name}: scores are named after this file; give it another name, "
            "of A-Z a-z 0-9 . _ - and not that of a built-in extractor."
        )
    return classifier_from(path, torch.device(device))
