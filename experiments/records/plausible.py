"""Whether stored scores are such as their metrics can have given. Imports no torch."""

import math
from collections.abc import Iterable

from experiments.config.measures import measures


def doubts(values: Iterable[tuple[str, str, float]]) -> list[str]:
    """Why each value is not believed, '' where it is; of a metric that is not here every number is.

    Args:
        values: metric, extractor and value of each.

    >>> doubts([("fd_digits", "digits", -3.0), ("precision_digits", "digits", 0.5)])
    ['got -3, which it cannot be', '']
    """
    known = measures()

    def doubt(metric: str, extractor: str, value: float) -> str:
        if not math.isfinite(value):
            return f"got {value:g}, which is no number"
        name = metric.removesuffix(f"_{extractor}")
        one = known.get({"fid": "fd"}.get(name, name))  # as an extractor's own FID is called
        return "" if one is None or one.can_be(value) else f"got {value:g}, which it cannot be"

    return [doubt(*value) for value in values]
