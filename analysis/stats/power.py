"""How many seeds a verdict needs, and what a study that goes on may still find."""

import math
from dataclasses import dataclass

from scipy import special

from analysis.stats.verdicts import FEWEST

CHANCE = 0.8
"""of the verdict, with the seeds that are said to be needed"""
_MOST = 10**9
_EXACT = 100  # seeds up to which power is by Student's t; above it is the normal distribution's


@dataclass(frozen=True)
class Needed:
    """Seeds an arm, and the 90 % range that the measured spread's uncertainty leaves; None is beyond 1e9."""

    seeds: int | None
    low: int | None
    high: int | None


def seeds_needed(sd: float, df: float, margin: float, level: float, equivalence: bool) -> Needed | None:
    """Seeds with which a verdict has a chance of 80 %, were the spread normal and as measured.

    Args:
        sd: of one seed's difference: of a pair, or root of the sum of both arms' variances.
        df: degrees of freedom of `sd`.
        margin: absolute; of equivalence where the arms do not differ, else the difference to be found.
        level: of the comparison, its share of the family's.
        equivalence: whether "equivalent" is sought, else "better" or "worse".

    Returns None without a spread or a margin.
    """
    if not (0 < sd < math.inf and 0 < margin < math.inf and df > 0):
        return None
    ends = (sd * math.sqrt(df / special.chdtri(df, tail)) for tail in (0.05, 0.95))
    return Needed(*(_least(margin / spread, level, equivalence) for spread in (sd, *ends)))


def chance(n: int, planned: int, difference: float, sd: float, margin: float, level: float) -> float:
    """Chance of a verdict at the planned seeds if the seeds to come are as those that are there.

    Args:
        n, planned: seeds of now, and at the end.
        difference, sd: mean and standard deviation of the seeds' differences so far.
        margin: absolute, of equivalence; nan where there is none.
        level: of the comparison at the end.

    Returns nan where it cannot be said, or nothing is to come.
    """
    if not (1 < n < planned and sd > 0):
        return math.nan
    spread, error = sd * math.sqrt(planned - n) / planned, sd / math.sqrt(planned)
    edge = special.stdtrit(planned - 1, 1 - level / 2) * error
    far = special.ndtr((-edge - difference) / spread) + special.ndtr((difference - edge) / spread)
    inner = margin - special.stdtrit(planned - 1, 1 - level) * error
    near = 0.0
    if inner > 0:
        near = special.ndtr((inner - difference) / spread) - special.ndtr((-inner - difference) / spread)
    inner_and_far = edge < inner  # then one of them is sure
    return 1.0 if inner_and_far else float(far + near)


def _least(size: float, level: float, equivalence: bool) -> int | None:
    """The least number of seeds for a margin of `size` standard deviations; None beyond 1e9."""
    low, high = FEWEST - 1, FEWEST
    while _power(size, high, level, equivalence) < CHANCE:
        if high >= _MOST:
            return None
        low, high = high, min(_MOST, 2 * high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(size, middle, level, equivalence) >= CHANCE else (middle, high)
    return high


def _power(size: float, n: int, level: float, equivalence: bool) -> float:
    tails = level if equivalence else level / 2
    away, critical = size * math.sqrt(n), special.stdtrit(n - 1, 1 - tails)
    reached = special.ndtr(away - critical)
    if n <= _EXACT and away < 30:
        reached = 1 - special.nctdtr(n - 1, away, critical)
    return float(2 * reached - 1 if equivalence else reached)
