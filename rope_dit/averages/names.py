"""Names of averages in scores and files. Imports no torch."""

import re
from collections.abc import Iterable

from rope_dit.registry import AVERAGES, Part

RAW = "raw"
"""the weights themselves"""


def average_name(spec: str) -> str:
    """Short unique name of an average; that of `warmup` is its decay, as it was when there was no other.

    >>> average_name("warmup:decay=0.9990"), average_name("power:std=0.05"), average_name("raw")
    ('0.999', 'power-std0.05', 'raw')
    """
    if spec == RAW:
        return RAW
    part = Part.parse(AVERAGES.canonical(spec))
    if part.name == "warmup":
        decay = dict(part.options)["decay"]
        return short if float(short := f"{float(decay):.9g}") == float(decay) else decay
    return AVERAGES.slug(spec)


def named(word: str, names: Iterable[str]) -> str | None:
    """Which of these averages a word of a spec's option means: words have _ for each - and dot.

    >>> named("0_999", ["0.99", "0.999", "raw"]), named("power_std0_05", ["power-std0.05"]), named("0_9", [])
    ('0.999', 'power-std0.05', None)
    """
    return next((name for name in names if re.sub("[-.]", "_", name) == word), None)
