"""The Frechet distance from held-out pictures, which tells copies of training pictures from new ones."""

from functools import lru_cache

import numpy as np

from experiments.config.registries import METRICS
from experiments.scoring.extractors.base import Features


def from_held_out(generated: Features, train: Features, held_out: Features) -> dict[str, float]:
    """Distance from the held-out pictures: `held_out` of the generated ones, `held_out_floor` of real ones.

    The floor is what as many training pictures get, drawn with replacement. So copies of training pictures
    come out at it, though they lie below the floor of the distance from the training pictures. Few held-out
    pictures raise both, so each compares with the other only. 1,000 copies of digits get 0.11 from the
    training pictures, whose floor is 0.22, and 0.24 from the 360 held-out ones, whose floor is 0.23.
    """
    return {
        "held_out": _distance(generated, held_out),
        "held_out_floor": _floor(train, held_out, len(generated)),
    }


@lru_cache(maxsize=8)  # one data set is asked about again for every score
def _floor(train: Features, held_out: Features, n: int) -> float:
    draws = 16 if train.pool.shape[1] <= 512 else 1  # wide features vary little and cost a minute each
    chosen = [np.random.PCG64(seed).random_raw(n) % np.uint64(len(train)) for seed in range(draws)]
    return float(np.mean([_distance(train[rows.astype(np.int64)], held_out) for rows in chosen]))


def _distance(some: Features, others: Features) -> float:
    return float(METRICS.load("frechet")().measure(some, others)["fd"])
