"""A straight line down to 0."""

from rope_dit.registry import SCHEDULES


@SCHEDULES.register("linear")
def linear(done: float) -> float:
    """A straight line from the highest rate down to 0."""
    return 1 - done
