"""Numbers and names as readers want them: as many digits as are known, a dash where there is none."""

import math

from analysis.stats import Interval

NONE = "\u2013"
FID_N = 50_000
"""pictures of the FID of papers; of fewer it is larger"""


def significant(value: float, digits: int = 4) -> str:
    """Round to so many significant digits, without an exponent for everyday sizes.

    >>> significant(1234567.0), significant(17.4839), significant(0.00012345, 2), significant(math.nan)
    ('1,234,567', '17.48', '0.00012', '\u2013')
    """
    if not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    return fixed(value, max(0, digits - 1 - math.floor(math.log10(abs(value)))))


def fixed(value: float, decimals: int) -> str:
    """Round to so many decimals; '-0.0' becomes '0.0'.

    >>> fixed(-0.04, 1), fixed(1234.5, 0)
    ('0.0', '1,234')
    """
    if not math.isfinite(value):
        return NONE
    text = f"{value:,.{min(decimals, 12)}f}"
    return text.lstrip("-") if float(text.replace(",", "")) == 0 else text


def decimals_of(half_width: float, value: float) -> int:
    """Decimals that show two significant digits of a half-width, or four of the value where there is none."""
    if math.isfinite(half_width) and half_width > 0:
        return max(0, 1 - math.floor(math.log10(half_width)))
    return max(0, 3 - math.floor(math.log10(abs(value)))) if math.isfinite(value) and value else 2


def plus_minus(value: float, half: float) -> str:
    """Value and half-width with the same decimals.

    >>> plus_minus(17.28123, 0.63411), plus_minus(17.28123, math.nan)
    ('17.28 \u00b1 0.63', '17.28')
    """
    decimals = decimals_of(half, value)
    if not math.isfinite(half):
        return fixed(value, decimals)
    return f"{fixed(value, decimals)} \u00b1 {fixed(half, decimals)}"


def bounds(interval: Interval) -> str:
    """Both ends of an interval.

    >>> bounds(Interval(17.28, 16.65, 17.91, 7))
    '16.65 to 17.91'
    """
    if not math.isfinite(interval.low):
        return NONE
    decimals = decimals_of(half_width(interval), interval.value)
    return f"{fixed(interval.low, decimals)} to {fixed(interval.high, decimals)}"


def half_width(interval: Interval) -> float:
    """Half the width of an interval; nan where it has none."""
    return (interval.high - interval.low) / 2


def p_value(p: float, *levels: float) -> str:
    """A p-value as it is read: three digits, or as many as keep it on its side of 0.05 and of other levels.

    Args:
        p: the number.
        levels: others that it is held against, such as the alpha of a look.

    >>> p_value(0.125), p_value(0.0625), p_value(0.21875), p_value(0.0469), p_value(0.2), p_value(1.0)
    ('0.125', '0.0625', '0.219', '0.0469', '0.2', '1')
    >>> p_value(0.04996), p_value(0.05), p_value(0.0500004), p_value(0.024996, 0.025), p_value(0.024996)
    ('0.04996', '0.05', '0.0500004', '0.024996', '0.025')
    >>> p_value(0.0009), p_value(0.0007, 0.0008), p_value(0.00003, 0.0008), p_value(math.nan)
    ('< 0.001', '0.0007', '< 0.0001', '\u2013')
    """
    if not math.isfinite(p):
        return NONE
    held = (0.05, *levels)
    least = 10.0 ** min(-3, math.floor(math.log10(min(held))))
    if p < least:
        return f"< {least:g}"
    texts = (f"{p:.{digits}g}" for digits in range(3, 18))
    return next(text for text in texts if all(_side(float(text), level) == _side(p, level) for level in held))


def _side(number: float, level: float) -> int:
    """-1 below the level, 0 at it, 1 above."""
    return (number > level) - (number < level)


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them.

    >>> duration(42.3), duration(600), duration(9000)
    ('42 s', '10.0 min', '2.5 h')
    """
    if not math.isfinite(seconds):
        return NONE
    if seconds < 120:
        return f"{significant(seconds, 2)} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def flops(giga: float) -> str:
    """Floating-point operations, given in 10**9, in the unit that suits them.

    >>> flops(0.000967), flops(12.34), flops(4321)
    ('0.967 M', '12.3 G', '4.32 T')
    """
    if not math.isfinite(giga):
        return NONE
    size, unit = (giga * 1000, "M") if giga < 1 else (giga, "G") if giga < 1000 else (giga / 1000, "T")
    return f"{significant(size, 3)} {unit}"


def value_of(metric: str, extractor: str) -> str:
    """A metric's name without that of the extractor, which is not part of it where it is an FID's.

    >>> value_of("fd_digits", "digits"), value_of("density_k5_my_own", "my_own"), value_of("fid", "inception")
    ('fd', 'density_k5', 'fid')
    """
    return metric.removesuffix(f"_{extractor}")


def with_n(title: str, metric: str, n: int | None) -> str:
    """A title with the number of pictures, where it is an FID of fewer than those of papers.

    >>> with_n("fid", "fid", 10_000), with_n("fid", "fid", 50_000), with_n("kid", "kid", 10_000)
    ('fid (n = 10,000)', 'fid', 'kid')
    """
    return f"{title} (n = {n:,})" if metric == "fid" and n is not None and n < FID_N else title


def metric_title(metric: str, extractor: str, n: int | None = None) -> str:
    """Name of a metric for headings; the extractor stands in brackets, where it is part of the name.

    An FID of fewer pictures than those of papers says of how many, `n`.

    >>> metric_title("fid", "inception"), metric_title("fd_digits", "digits")
    ('FID', 'FD (digits)')
    >>> metric_title("density_k5_digits", "digits")
    'Density k5 (digits)'
    >>> metric_title("fid", "inception", 10_000), metric_title("fid", "inception", 50_000)
    ('FID (n = 10,000)', 'FID')
    """
    value = value_of(metric, extractor)
    title = value.upper() if len(value) <= 3 else value.replace("_", " ").capitalize()
    return with_n(title, metric, n) if value == metric else f"{title} ({extractor})"
