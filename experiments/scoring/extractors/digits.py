"""The classifier of handwritten digits that comes with the project: a first run needs no network."""

import torch

from experiments.config.registries import EXTRACTORS
from experiments.scoring.extractors.base import Extractor, refuse_argument
from experiments.scoring.extractors.classifier_file import shipped


@EXTRACTORS.register("digits")
def digits(argument: str, device: torch.device) -> Extractor:
    """A small classifier of grey 8x8 digits that comes with the project; no download."""
    refuse_argument("digits", argument)
    return shipped("digits", device)
