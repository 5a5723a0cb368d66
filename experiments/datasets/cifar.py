"""CIFAR-10 and CIFAR-100, 50,000 / 10,000 of 3x32x32, downloaded and checked by torchvision."""

import contextlib
from typing import Any

import numpy as np

from experiments.config.registries import DATASETS
from experiments.config.run import DataConfig
from experiments.datasets.base import Images, Labels, Pixels, refuse_argument, refuse_unused
from rope_dit.errors import UserError


@DATASETS.register("cifar10")
def cifar10(argument: str, config: DataConfig) -> Images:
    """60,000 colour 32x32 pictures of 10 classes; downloaded into --data.root unless already there.

    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """
    from torchvision.datasets import CIFAR10

    refuse_argument(argument, config)
    return _load(CIFAR10, "cifar10", config)


@DATASETS.register("cifar100")
def cifar100(argument: str, config: DataConfig) -> Images:
    """60,000 colour 32x32 pictures of 100 classes; downloaded into --data.root unless already there.

    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """
    from torchvision.datasets import CIFAR100

    refuse_argument(argument, config)
    return _load(CIFAR100, "cifar100", config)


def _load(source: Any, name: str, config: DataConfig) -> Images:
    refuse_unused(config, "image_size", "held_out")
    new = [path for path in (config.root, *config.root.parents) if not path.exists()]
    try:
        parts = [source(config.root, train=train, download=True) for train in (True, False)]
    except (OSError, RuntimeError) as error:  # OSError: no network, no answer in time, no right to write
        with contextlib.suppress(OSError):  # torchvision makes folders before it asks for the file
            for path in new:
                path.rmdir()
        raise UserError(
            f"{name} is not in --data.root and could not be downloaded. Put {source.base_folder}/ there, "
            "or use pictures of your own: --data folder:PATH.",
            [f"--data.root is {config.root}", f"download: {error}"],
        ) from None
    (train, train_labels), (held_out, held_out_labels) = (_arrays(part) for part in parts)
    return Images(
        train=train,
        train_labels=train_labels,
        held_out=held_out,
        held_out_labels=held_out_labels,
        classes=tuple(parts[0].classes),
        name=name,
    )


def _arrays(part: Any) -> tuple[Pixels, Labels]:
    return np.ascontiguousarray(part.data.transpose(0, 3, 1, 2)), np.asarray(part.targets, dtype=np.int64)
