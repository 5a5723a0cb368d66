"""The classifier of layouts that comes with the project: what a network sees in them, beside the detector."""

import torch

from experiments.config.registries import EXTRACTORS
from experiments.scoring.extractors.base import Extractor, refuse_argument
from experiments.scoring.extractors.classifier_file import shipped


@EXTRACTORS.register("layout")
def layout(argument: str, device: torch.device) -> Extractor:
    """A small classifier of colour 16x16 scenes of the data set layout; no download."""
    refuse_argument("layout", argument)
    return shipped("layout", device)
