"""Warm-up, stable, decay."""

from math import sqrt

from rope_dit.errors import check
from rope_dit.registry import SCHEDULES


@SCHEDULES.register("wsd")
def wsd(done: float, *, decay: float = 0.2) -> float:
    """The highest rate, and in the last share `decay` of the steps down to 0 as 1 - sqrt (arXiv:2405.18392).

    The steps before the decay do not depend on how long the training is.

    Source: Haegele et al. (arXiv:2405.18392), the form 1 - sqrt.

    >>> wsd(0.75, decay=0.25), wsd(0.8125, decay=0.25), wsd(1.0, decay=0.25)  # 1 - sqrt(1/4)
    (1.0, 0.5, 0.0)
    """
    check(0 < decay <= 1, "wsd: option 'decay'", decay, "a share above 0 and up to 1")
    return 1 - sqrt(max(0.0, done - (1 - decay)) / decay)
