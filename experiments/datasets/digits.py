"""The handwritten digits that come with scikit-learn: no download, a first run in a minute."""

import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.config.registries import DATASETS
from experiments.config.run import DataConfig
from experiments.datasets.base import Images, refuse_argument, refuse_unused, stratified_split

NUM_HELD_OUT = 360  # a fifth


@DATASETS.register("digits")
def digits(argument: str, config: DataConfig) -> Images:
    """1,797 grey 8x8 handwritten digits that come with scikit-learn, split 1,437 / 360; no download.

    Values 0..16 become round(v * 255 / 16). Raises UserError for an argument or a setting it does not use.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998: the test set, as
    scikit-learn has it.
    """
    refuse_argument(argument, config)
    refuse_unused(config, "image_size", "held_out")
    values, labels = read_digits()
    pixels = np.rint(values[:, None] * (255 / 16)).astype(np.uint8)
    train, held_out = stratified_split(labels, NUM_HELD_OUT)
    return Images(
        train=pixels[train],
        train_labels=labels[train],
        held_out=pixels[held_out],
        held_out_labels=labels[held_out],
        classes=tuple(map(str, range(10))),
        name="digits",
    )


def read_digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Values 0..16 [N, 8, 8] and classes [N], as scikit-learn's load_digits gives them.

    Read from its file, because the package takes a second to import.
    """
    found = importlib.util.find_spec("sklearn")
    assert found is not None, "scikit-learn is one of our dependencies"
    folder = Path(found.origin or "").parent / "datasets" / "data"
    rows = np.loadtxt(folder / "digits.csv.gz", delimiter=",")
    return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(np.int64)
