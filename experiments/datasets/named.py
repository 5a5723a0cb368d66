"""A data set by its name."""

from experiments.cli.plugins import plugin_errors
from experiments.config.registries import DATASETS
from experiments.config.run import DataConfig
from experiments.datasets.base import Images
from experiments.datasets.remarks import remarks, say
from rope_dit.errors import check


def load(config: DataConfig) -> Images:
    """Return the data set that `config.name` names, as `name` or `name:argument`; say what is odd about it.

    Raises UserError for an unknown name, and for data that is missing or unusable.
    """
    name, colon, argument = config.name.partition(":")
    build = DATASETS.load(name)
    check(not colon or argument != "", "--data", config.name, f"'{name}' or '{name}:' and something after it")
    with plugin_errors(DATASETS[name]):
        images: Images = build(argument, config)
        if not isinstance(images, Images):
            raise TypeError(f"returned {type(images).__name__}, expected Images")
    say(images.name, [*images.remarks, *remarks(images)])
    return images
