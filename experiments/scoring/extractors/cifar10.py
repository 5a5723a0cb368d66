"""The classifier of CIFAR-10 that comes with the project: scores without the FID paper's weights."""

import torch

from experiments.config.registries import EXTRACTORS
from experiments.scoring.extractors.base import Extractor, refuse_argument
from experiments.scoring.extractors.classifier_file import shipped


@EXTRACTORS.register("cifar10")
def cifar10(argument: str, device: torch.device) -> Extractor:
    """A small classifier of colour 32x32 pictures that comes with the project; no download."""
    refuse_argument("cifar10", argument)
    return shipped("cifar10", device)
