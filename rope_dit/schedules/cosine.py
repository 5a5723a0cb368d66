"""Half a cosine down to 0."""

from math import cos, pi

from rope_dit.registry import SCHEDULES


@SCHEDULES.register("cosine")
def cosine(done: float) -> float:
    """Half a cosine from the highest rate down to 0 (SGDR without restarts, arXiv:1608.03983, eq. 5).

    (1 + cos(pi done)) / 2 of it.

    Source: SGDR without restarts (arXiv:1608.03983, eq. 5).

    >>> cosine(0.0), round(cosine(1 / 3), 9), cosine(1.0)  # cos(60 degrees) = 1/2
    (1.0, 0.75, 0.0)
    """
    return 0.5 * (1 + cos(pi * done))
