"""Data sets, one file each; a new file that registers a function in `DATASETS` is a new data set.

What turns files into pictures and pictures into batches may live here. Files here import `rope_dit`, `cli`,
`config` and `records`; they know neither models nor scores.
"""

from experiments.datasets.base import Images
from experiments.datasets.named import load

__all__ = ["Images", "load"]
