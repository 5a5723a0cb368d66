"""Metrics, one file each: from the features of generated and real pictures to numbers.

A metric is a class registered in `METRICS`, with two claims and one method. `values` says what it returns,
under names that no other metric has, and which direction is better, `min_images` how many pictures it needs
on each side, and `measure(generated, real)` takes two `Features` and returns a dict with the keys of
`values`. Five more claims: `ranges` says what values cannot be, so that nobody believes one that was
changed since, `learned` which share of the way from the score of an untrained network to the real floor may
be left where something was learned, so that nothing is called equivalent to what has not, `follows_order =
True` where another order of the pictures changes it a little, `needs_rank = True` where it says little with
no more pictures than features, so that no endpoint may be that, `of_copies` names values that say how many
pictures are copies, whatever their quality.
Metrics see features and nothing else: they import the registry and claims, the extractors' types,
errors and random numbers of a fixed seed.
"""

from typing import TYPE_CHECKING

from experiments.cli.plugins import plugin_errors
from experiments.config.measures import check_values, measures
from experiments.config.registries import METRICS
from experiments.config.text import NOTHING
from rope_dit.errors import UserError

if TYPE_CHECKING:
    from experiments.scoring.extractors.base import Features

_OF_INCEPTION = {"fd": "fid", "kid": "kid", "is": "is"}

__all__ = ["measure_all", "value_name"]


def value_name(value: str, extractor: str) -> str:
    """Name a metric's value. Only the FID paper's Inception makes a Frechet distance an FID.

    The names of values whose papers use Inception stand for themselves; the others say it, so that nobody
    takes them for those of VGG16, with which their papers measure.

    >>> value_name("fd", "inception"), value_name("fd", "digits"), value_name("kid", "inception")
    ('fid', 'fd_digits', 'kid')
    >>> value_name("precision", "inception"), value_name("precision", "digits")
    ('precision_inception', 'precision_digits')

    What is measured without an extractor has its own name.

    >>> value_name("seam", "-")
    'seam'
    """
    if extractor == NOTHING:
        return value
    if extractor == "inception" and value in _OF_INCEPTION:
        return _OF_INCEPTION[value]
    return f"{value}_{extractor}"


def measure_all(generated: "Features", real: "Features") -> dict[str, float]:
    """Every registered metric's values, keyed as in its `values`.

    Raises UserError for features that are not finite, for too few pictures, and for a metric that returns
    other values than it claims.
    """
    generated.check_finite()
    real.check_finite()
    scores: dict[str, float] = {}
    known = {value: one for value, one in measures().items() if one.kind == METRICS.kind}
    there = min(len(generated), len(real))
    for name, needed in {one.metric: one.min_images for one in known.values()}.items():
        if there < needed:
            raise UserError(f"{name} needs at least {needed} generated and real pictures; got {there}.")
        with plugin_errors(METRICS[name]):
            found = METRICS.load(name)().measure(generated, real)
            check_values(found, {value for value, one in known.items() if one.metric == name})
        scores |= found
    return scores
