"""An average whose width grows with the training."""

from functools import lru_cache

from rope_dit.errors import check
from rope_dit.registry import AVERAGES


@AVERAGES.register("power")
def power(step: int, *, std: float = 0.1) -> float:
    """Power-function average of EDM2: weights of step s count in proportion to s^gamma (arXiv:2312.02696).

    Its standard deviation is `std` times the steps made (0.05 and 0.1 there). The decay of step t, from 1, is
    (1 - 1/t)^(gamma + 1), which forgets the initial weights at once.

    Source: EDM2 (arXiv:2312.02696, section 3).

    >>> power(0), round(power(1, std=0.1), 4)  # all of the first step; then 1 - (1/2)^7.94
    (1.0, 0.9959)
    """
    check(0.01 <= std <= 0.28, "power: option 'std'", std, "a number from 0.01 to 0.28")
    return float(1 - (step / (step + 1)) ** (exponent(std) + 1))


@lru_cache
def exponent(std: float) -> float:
    """Gamma of a relative standard deviation: std^2 = (gamma + 1) / ((gamma + 2)^2 (gamma + 3)).

    >>> round(exponent(0.1), 2), round(exponent(0.05), 2)
    (6.94, 16.97)
    """
    low, high = 0.0, 1e3
    for _ in range(100):  # it falls in gamma, so halving finds it
        middle = (low + high) / 2
        wide = (middle + 1) / ((middle + 2) ** 2 * (middle + 3)) > std**2
        low, high = (middle, high) if wide else (low, middle)
    return (low + high) / 2
