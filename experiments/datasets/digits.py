"""The handwritten digits that come with scikit-learn: no download, a first run in a minute."""

import numpy as np

from experiments.config.registries import DATASETS
from experiments.config.run import DataConfig
from experiments.datasets.base import Images, refuse_argument, refuse_unused, stratified_split

NUM_HELD_OUT = 360  # a fifth


@DATASETS.register("digits")
def digits(argument: str, config: DataConfig) -> Images:
    """1,797 grey 8x8 handwritten digits that come with scikit-learn, split 1,437 / 360; no download.

    Values 0..16 become round(v * 255 / 16). Raises UserError for an argument or a setting it does not use.
    """
    from sklearn.datasets import load_digits

    refuse_argument(argument, config)
    refuse_unused(config, "image_size", "held_out")
    data = load_digits()
    pixels = np.rint(data.images[:, None] * (255 / 16)).astype(np.uint8)
    labels = data.target.astype(np.int64)
    train, held_out = stratified_split(labels, NUM_HELD_OUT)
    return Images(
        train=pixels[train],
        train_labels=labels[train],
        held_out=pixels[held_out],
        held_out_labels=labels[held_out],
        classes=tuple(str(name) for name in data.target_names),
        name="digits",
    )
