"""Data sets, one file each; a new file that registers a function in `DATASETS` is a new data set."""

from experiments.datasets.base import Images, load

__all__ = ["Images", "load"]
