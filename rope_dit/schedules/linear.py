"""A straight line down to 0."""

from rope_dit.registry import SCHEDULES


@SCHEDULES.register("linear")
def linear(done: float) -> float:
    """A straight line from the highest rate down to 0.

    1 - done of it.

    Source: this project.

    >>> linear(0.0), linear(0.25), linear(1.0)
    (1.0, 0.75, 0.0)
    """
    return 1 - done
