"""No average: the weights of an earlier step."""

from rope_dit.errors import check
from rope_dit.registry import AVERAGES


@AVERAGES.register("snapshot")
def snapshot(step: int, *, at: int = 100) -> float:
    """The weights as they were after `at` optimizer steps, kept to the end; until then the weights of now.

    Autoguidance can ask them, and scores of them show an earlier step at no further training.

    Source: this project.

    >>> [snapshot(step, at=2) for step in range(4)]
    [1.0, 1.0, 0.0, 0.0]
    """
    check(1 <= at <= 10**9, "snapshot: option 'at'", at, "a whole number from 1 to 1,000,000,000")
    return 1.0 if step < at else 0.0
