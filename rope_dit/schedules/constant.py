"""The highest rate throughout."""

from rope_dit.registry import SCHEDULES


@SCHEDULES.register("constant")
def constant(done: float) -> float:
    """The highest rate throughout."""
    return 1.0
