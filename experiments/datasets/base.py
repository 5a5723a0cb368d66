"""What every data set returns, and the split all of them share.

A data set is a function `(argument, config) -> Images` registered in `DATASETS`; `argument` is what follows
the first ':' of its name on the command line.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from experiments.config.run import DataConfig
from rope_dit.config import option
from rope_dit.errors import check

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Images:
    """A data set in memory: generators train on `train` and never see `held_out`.

    Args:
        train: uint8 [N, C, H, W].
        train_labels: int64 [N], indices into `classes`.
        held_out: uint8 [M, C, H, W].
        held_out_labels: int64 [M].
        classes: names; one class named "all" where pictures have none.
        name: what reports call the data set.
        files: names of the files of `train`, then of `held_out`, for messages; none where they are no files.
        remarks: what is odd about them and stops nothing, for people.

    Raises UserError where dtypes, shapes or labels do not fit together.
    """

    train: Pixels
    train_labels: Labels
    held_out: Pixels
    held_out_labels: Labels
    classes: tuple[str, ...]
    name: str
    files: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unique = len(set(self.classes)) == len(self.classes) > 0
        check(unique, f"{self.name}: classes", self.classes[:3], "at least one name, each once")
        for part in ("train", "held_out"):
            self._check_part(f"{self.name}: {part}", getattr(self, part), getattr(self, f"{part}_labels"))
        got, shape = self.held_out.shape[1:], self.train.shape[1:]
        check(got == shape, f"{self.name}: held_out", got, f"{shape} as in train")

    def _check_part(self, where: str, pixels: Pixels, labels: Labels) -> None:
        for name, array in ((where, pixels), (f"{where}_labels", labels)):
            check(isinstance(array, np.ndarray), name, type(array).__name__, "a NumPy array")
        ok, got = pixels.dtype == np.uint8 and pixels.ndim == 4, f"{pixels.dtype}{list(pixels.shape)}"
        check(ok and pixels.size > 0, where, got, "uint8[N, C, H, W], not empty")
        ok, got = labels.dtype == np.int64, f"{labels.dtype}{list(labels.shape)}"
        check(ok and labels.shape == pixels.shape[:1], f"{where}_labels", got, f"int64[{len(pixels)}]")
        span, high = (int(labels.min()), int(labels.max())), len(self.classes) - 1
        check(0 <= span[0] and span[1] <= high, f"{where}_labels", span, f"0 to {high}")

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of both parts' shapes, decoded bytes and labels, and of the class names."""
        return sha256(self.train, self.train_labels, self.held_out, self.held_out_labels, text=self.classes)


def refuse_argument(argument: str, config: DataConfig) -> None:
    """Raise UserError if anything follows the name of a data set that takes no argument."""
    name = config.name.partition(":")[0]
    check(not argument, "--data", config.name, f"'{name}', which takes nothing after ':'")


def refuse_unused(config: DataConfig, *names: str) -> None:
    """Raise UserError if a setting that this data set does not use is not at its default."""
    for name in names:
        got, default = getattr(config, name), getattr(DataConfig, name)
        expected = f"{default}: these pictures come with a size or split of their own"
        check(got == default, f"data.{option(name)}", got, expected)


def stratified_split(labels: Labels, num_held_out: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Split indices into (train, held out), both sorted, with each class in proportion.

    Each class gives its share of `num_held_out`, rounded by largest remainders, but at least 1 and never all
    of its pictures; so the total can differ from `num_held_out` where classes are tiny.
    """
    counts = np.bincount(labels)
    quota = counts * (num_held_out / len(labels))
    take = np.floor(quota).astype(int)
    take[np.argsort(take - quota, kind="stable")[: num_held_out - take.sum()]] += 1
    take = np.clip(take, np.minimum(counts, 1), np.maximum(counts - 1, 0))
    # Raw PCG64 output is promised to stay the same over numpy versions; Generator.permutation is not.
    order = np.argsort(np.random.PCG64(0).random_raw(len(labels)), kind="stable")
    chosen = [order[labels[order] == label][:count] for label, count in enumerate(take)]
    held_out = np.sort(np.concatenate(chosen))
    return np.setdiff1d(np.arange(len(labels)), held_out), held_out


def sha256(*arrays: NDArray[np.generic], text: object = ()) -> str:
    """SHA-256 (hex) of `text` as JSON, then of the arrays' dtypes and shapes, then of their bytes."""
    total = hashlib.sha256(json.dumps([text, [(a.dtype.str, a.shape) for a in arrays]]).encode())
    for array in arrays:
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
