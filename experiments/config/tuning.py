"""What tuning searches: the space of a study file, and how much is spent on it."""

import math
from dataclasses import dataclass

from rope_dit.errors import check


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, on a logarithmic scale where `log`.

    They are rounded to 3 digits, or where `whole` are whole numbers: tuning says so of itself where a setting
    or option takes no others.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        ok = math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high
        check(ok, "Range", (self.low, self.high), "two rising finite numbers")
        check(not self.log or self.low > 0, "Range", self.low, "a lower end above 0 on a logarithmic scale")
        ok = not self.whole or (float(self.low).is_integer() and float(self.high).is_integer())
        check(ok, "Range", (self.low, self.high), "two whole numbers")


@dataclass(frozen=True)
class Choice:
    """One of some values, as they stand on the command line."""

    values: tuple[str, ...]

    def __init__(self, *values: object):
        check(len(set(values)) > 1, "Choice", values, "at least two different values")
        object.__setattr__(self, "values", tuple(map(str, values)))


@dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """Tuning by TPE with synchronous successive halving; every arm trains equally many steps."""

    trials: int = 18
    """configurations of each arm, the default one included"""
    width: int = 9
    """configurations that start together: TPE learns from one lot for the next"""
    rungs: int = 3
    """at each rung but the last, the best 1/eta train on"""
    eta: int = 3
    """how many times longer the next rung is"""
    seeds: int = 1
    """tuning seeds of each configuration; they begin at 1000, so that a comparison has fresh ones"""

    def __post_init__(self) -> None:
        limits = {
            "trials": (2, 10_000),
            "width": (1, 1000),
            "rungs": (1, 10),
            "eta": (2, 100),
            "seeds": (1, 1000),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            check(low <= value <= high, f"tune.{name}", value, f"{low} to {high:,}")
