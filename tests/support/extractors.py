"""Pictures and extractors for the tests of features."""

import pytest
import torch
from torch import Tensor

from experiments.config.run import DataConfig
from experiments.datasets import Images, load
from experiments.scoring.extractors.base import Extractor, Features
from experiments.scoring.extractors.load import load_extractor
from experiments.scoring.picture_metrics.base import Pictures


def pictures(n: int, channels: int = 1, size: int = 8, seed: int = 0) -> Tensor:
    """Random pictures [n, channels, size, size], uint8."""
    shape = (n, channels, size, size)
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def equal(a: Features, b: Features) -> bool:
    """Whether two are the same to the bit."""
    return torch.equal(a.pool, b.pool) and torch.equal(a.logits, b.logits)


@pytest.fixture(name="digits", scope="session")
def digits_fixture() -> Extractor:
    """The extractor for digits that comes with the project."""
    return load_extractor("digits", "cpu")


@pytest.fixture(name="images", scope="session")
def images_fixture() -> Images:
    """The digits."""
    return load(DataConfig())


def scenes_for(data_set: str | None, which: range) -> Pictures:
    """Training pictures with their classes, of digits where any data set will do; patches of 2 pixels."""
    found, rows = load(DataConfig(name=data_set or "digits")), slice(which.start, which.stop)
    return Pictures(torch.from_numpy(found.train[rows]), torch.from_numpy(found.train_labels[rows]), 2)
