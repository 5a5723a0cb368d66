"""What real pictures score: of held-out ones, drawn as a score draws its own classes.

A score of proportional classes lacks what their numbers add, so its floor must lack that too. `classes` is
`eval.classes`: proportional, or data for independent draws.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.config.measures import most_images
from experiments.config.registries import METRICS
from experiments.scoring.extractors.base import Features
from experiments.scoring.generate import GOLDEN
from experiments.scoring.metrics import measure_all

Labels = NDArray[np.int64]
Rows = NDArray[np.int64]
DRAWS, MANY = 8, 32
WIDE = 512  # wider features vary little and cost a minute a draw: of them there is one
RANK = 2  # times the width: fewer pictures do not say what more of them would score


@dataclass(frozen=True)
class Floor:
    """What real pictures score.

    Args:
        value: None where it cannot be told.
        n: how many pictures it was measured on.
    """

    value: float | None
    n: int


def floor_size(n: int, held_out: int, classes: str) -> int:
    """How many of the held-out pictures stand for `n` generated ones.

    All of them at most, and where classes are independent draws half: who takes all draws no class anew.

    >>> floor_size(50, 360, "proportional"), floor_size(500, 360, "proportional")
    (50, 360)
    >>> floor_size(500, 360, "data")
    180
    """
    most = held_out if classes == "proportional" else max(held_out // 2, most_images())
    return min(n, most, held_out)


def extrapolates(n: int, held_out: int, classes: str) -> bool:
    """Whether the floor of a Frechet distance at `n` has to be concluded from fewer pictures."""
    return floor_size(n, held_out, classes) < n


def enough(n: int, held_out: int, classes: str, width: int) -> bool:
    """Whether the floor of a Frechet distance at `n` can be told: measured, or concluded from enough.

    >>> enough(1000, 360, "proportional", 64), enough(1000, 360, "data", 128), enough(300, 360, "data", 64)
    (True, False, True)
    >>> enough(2000, 2000, "proportional", 2048), enough(10_000, 2000, "proportional", 2048)
    (True, False)
    """
    return not extrapolates(n, held_out, classes) or floor_size(n, held_out, classes) >= RANK * width


def drawn(labels: Labels, n: int, classes: str, seed: int, train_labels: Labels) -> Rows:
    """Rows of `n` pictures whose classes are drawn as those of generated ones, see `Generator.labels`.

    No picture comes twice before all of its class. Classes of which there is none are left out.

    >>> labels = np.array([0, 1, 1, 0, 1, 1])
    >>> np.bincount(labels[drawn(labels, 3, "proportional", 0, labels)]).tolist()
    [1, 2]
    """
    draw = np.random.PCG64(seed)
    known = np.sort(train_labels[np.isin(train_labels, labels)])
    words = np.asarray(draw.random_raw(n), np.uint64) >> np.uint64(32)
    if classes == "proportional":
        words = (words[0] + np.arange(n, dtype=np.uint64) * np.uint64(GOLDEN)) % np.uint64(2**32)
    wanted = known[(words * np.uint64(len(known)) >> np.uint64(32)).astype(np.int64)]
    rows = np.empty(n, np.int64)
    for label in np.unique(wanted):
        own, there = np.flatnonzero(labels == label), np.flatnonzero(wanted == label)
        rows[there] = np.resize(own[np.argsort(draw.random_raw(len(own)), kind="stable")], len(there))
    return rows


def of_draws(
    held_out: Features, labels: Labels, train: Features, train_labels: Labels, n: int, classes: str
) -> dict[str, float]:
    """Mean of every value over draws of `n` held-out pictures; one draw where it is all of them.

    Args:
        held_out, labels: the held-out pictures and their classes.
        train, train_labels: the training pictures, which are the reference.
        n: pictures a draw.
        classes: how theirs are drawn.
    """
    if n == len(held_out) and classes == "proportional":  # each once, in a random order
        return measure_all(held_out[np.argsort(np.random.PCG64(0).random_raw(n), kind="stable")], train)
    few, many = _draws(train)
    rows = [drawn(labels, n, classes, seed, train_labels) for seed in range(many)]
    found = [measure_all(held_out[some], train) for some in rows[:few]]
    distances = [distance(held_out[some], train) for some in rows]  # it varies most, and costs least
    means = {value: float(np.mean([one[value] for one in found])) for value in found[0]}
    return means | {"fd": float(np.mean(distances))}


def frechet_floor(measured: Floor, proportional: Floor, n: int, n_real: int, width: int) -> float | None:
    """Estimate the Frechet distance that `n` real pictures would get from the training pictures.

    As it was measured, where that was of as many. Fewer, N of them, are a / N + b / n_real from the training
    pictures, where b is the variance of the features and `a` the same, and more by that of the classes where
    these are independent draws: the training pictures are what classes are drawn from. None where they are
    fewer than twice the width: below, the distance does not fall so, and from half the width it would be 1.4
    times the truth. From there on it is within 15 % of it on Gaussians of 16 to 64 features.

    Args:
        measured: distance of held-out pictures drawn as the score draws its own.
        proportional: that of all held-out pictures, with each class in proportion.
        n: number of pictures that are scored.
        n_real: number of training pictures.
        width: of the features.
    """
    if measured.value is None or proportional.value is None or measured.n == n:
        return measured.value
    if measured.n < RANK * width:
        return None
    of_real = proportional.value / (1 / proportional.n + 1 / n_real) / n_real
    return (measured.value - of_real) * measured.n / n + of_real


def copies(train: Features, labels: Labels, held_out: Features, n: int, classes: str) -> float:
    """Frechet distance from the held-out pictures of `n` training pictures, drawn with replacement.

    The mean over draws, whose classes are those of a score: so copies of training pictures come out at it.
    """
    found = []
    for seed in range(_draws(train)[1]):
        wanted = labels[drawn(labels, n, classes, seed, labels)]
        words, rows = np.random.PCG64(MANY + seed).random_raw(n), np.empty(n, np.int64)
        for label in np.unique(wanted):
            own, there = np.flatnonzero(labels == label), np.flatnonzero(wanted == label)
            rows[there] = own[(words[there] % np.uint64(len(own))).astype(np.int64)]
        found.append(distance(train[rows], held_out))
    return float(np.mean(found))


def distance(some: Features, others: Features) -> float:
    """Frechet distance."""
    return float(METRICS.load("frechet")().measure(some, others)["fd"])


def finite(value: float) -> float | None:
    """A number, or None where it is none."""
    return value if math.isfinite(value) else None


def _draws(features: Features) -> tuple[int, int]:
    """How many draws all metrics see, and how many the Frechet distance does."""
    return (DRAWS, MANY) if features.pool.shape[1] <= WIDE else (1, 1)
