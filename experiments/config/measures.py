"""What metrics claim of the values that they return, read from their files and checked. Imports no torch."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from experiments.config.registries import METRICS, PICTURE_METRICS, PROBES
from experiments.config.text import NOTHING
from rope_dit.errors import UserError
from rope_dit.registry import Entry

_ROUNDING = 1e-3  # distances of two sets that are alike come out slightly below 0
EXPECTED = {
    "values": "values = {'name': 'lower'}, or 'higher', for all that it returns",
    "min_images": "min_images = N, a whole number of at least 1",
    "needs_rank": "needs_rank = True or False",
    "ranges": "ranges = {'name': (lowest, highest)} for some of its values, None where there is no end",
    "learned": "learned = {'name': SHARE} for some of its values, a number above 0 and below 1",
    "data_set": "data_set = 'NAME', where it means nothing on others",
}


@dataclass(frozen=True)
class Measure:
    """What is claimed of a value.

    Args:
        kind: what the metric measures, as its registry says.
        metric: name of the metric that returns it.
        better: the direction that is better, lower or higher.
        min_images: how many pictures it needs on each side.
        needs_rank: whether it says little with no more pictures than features.
        low, high: what the value cannot be beyond, but for rounding.
        learned: a network has learned something where at most this share of the way from the score of an
            untrained one to the real floor is left; None where the metric does not say.
        data_set: the only one on which it means anything; None where it does on all.
    """

    kind: str
    metric: str
    better: str
    min_images: int
    needs_rank: bool
    low: float = -math.inf
    high: float = math.inf
    learned: float | None = None
    data_set: str | None = None

    def seen_by(self, extractor: str) -> str:
        """Name of the extractor that it is measured with: this one, or none."""
        return extractor if self.kind == METRICS.kind else NOTHING

    def can_be(self, value: float) -> bool:
        """Whether the metric can have that value."""
        return self.low - _ROUNDING <= value <= self.high + _ROUNDING


def measures() -> dict[str, Measure]:
    """Every value of every metric, of features and of pictures.

    Raises UserError where a metric does not say what it must, and where two return values of one name.
    """
    found: dict[str, Measure] = {}
    items = [(entry, registry.kind) for registry in (METRICS, PICTURE_METRICS) for entry in registry]
    for entry, kind in sorted(items, key=lambda item: item[0].is_plugin):  # it is they that must give way
        for value, one in _of(entry, kind).items():
            if value in found:
                raise UserError(f"metric '{entry.name}': got the value '{value}', which is one of metric "
                                f"'{found[value].metric}'; rename it in {entry.path}.")  # fmt: skip
            found[value] = one
    return found


def measures_on(data_set: str) -> dict[str, Measure]:
    """Those that mean something on this data set, named as registered."""
    return {value: one for value, one in measures().items() if one.data_set in (None, data_set)}


def probe_values(spec: str) -> dict[str, str]:
    """What a probe returns, and which direction of each is better. Raises UserError where it does not say."""
    entry = PROBES[spec.partition(":")[0]]
    values: Any = entry.claims.get("values")
    ok = isinstance(values, dict) and len(values) > 0
    ok = ok and all(isinstance(name, str) and way in ("lower", "higher") for name, way in values.items())
    _check(ok, entry, "values", values, PROBES.kind)
    return dict(values)


def check_values(found: Mapping[str, Any], claimed: Collection[str]) -> None:
    """Raise ValueError or TypeError where a metric returned other values than it claims, or no numbers."""
    if found.keys() != {*claimed}:
        got, expected = (", ".join(sorted(keys)) or "nothing" for keys in (found, claimed))
        raise ValueError(f"returned {got}; expected {expected}, which it claims as its values")
    for value, got in found.items():
        if not isinstance(got, Real):
            raise TypeError(f"returned {value} = {got!r}, expected a number, as float() makes it")


def most_images() -> int:
    """How many pictures all metrics together need on each side."""
    return max(one.min_images for one in measures().values())


def _of(entry: Entry, kind: str) -> dict[str, Measure]:
    """What one metric of this kind claims, by value."""
    claimed: Mapping[str, Any] = {
        "values": None, "min_images": None, "needs_rank": False, "ranges": {}, "learned": {}, "data_set": None
    }  # fmt: skip
    values, least, rank, ranges, learned, data_set = ({**claimed, **entry.claims}[name] for name in EXPECTED)
    ok = isinstance(values, dict) and len(values) > 0
    ok = ok and all(isinstance(name, str) and way in ("lower", "higher") for name, way in values.items())
    _check(ok, entry, "values", values)
    _check(type(least) is int and least >= 1, entry, "min_images", least)
    _check(type(rank) is bool, entry, "needs_rank", rank)
    ok = isinstance(ranges, dict) and ranges.keys() <= values.keys() and all(map(_is_range, ranges.values()))
    _check(ok, entry, "ranges", ranges)
    ok = isinstance(learned, dict) and learned.keys() <= values.keys()
    ok = ok and all(type(share) is float and 0 < share < 1 for share in learned.values())
    _check(ok, entry, "learned", learned)
    _check(data_set is None or isinstance(data_set, str), entry, "data_set", data_set)
    return {
        value: Measure(
            kind,
            entry.name,
            better,
            least,
            rank,
            *_ends(*ranges.get(value, (None, None))),
            learned.get(value),
            data_set,
        )
        for value, better in values.items()
    }


def _is_range(ends: Any) -> bool:
    return (
        isinstance(ends, tuple) and len(ends) == 2 and all(type(e) in (int, float, type(None)) for e in ends)
    )


def _ends(low: float | None, high: float | None) -> tuple[float, float]:
    return -math.inf if low is None else low, math.inf if high is None else high


def _check(ok: bool, entry: Entry, claim: str, got: Any, kind: str = "metric") -> None:
    if not ok:
        had = f"got {claim} = {got!r}" if claim in entry.claims else f"got no plain value of {claim}"
        raise UserError(f"{kind} '{entry.name}', {entry.path.name}: {had}, expected {EXPECTED[claim]}.")
