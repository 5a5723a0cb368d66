"""Half a cosine down to 0."""

from math import cos, pi

from rope_dit.registry import SCHEDULES


@SCHEDULES.register("cosine")
def cosine(done: float) -> float:
    """Half a cosine from the highest rate down to 0 (SGDR without restarts, arXiv:1608.03983, eq. 5)."""
    return 0.5 * (1 + cos(pi * done))
