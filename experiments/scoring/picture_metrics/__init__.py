"""Picture metrics, one file each: from the pixels of pictures to numbers, without a network.

A picture metric is a class registered in `PICTURE_METRICS`, with the claims of a metric and one method:
`measure(generated, real)` takes two `Pictures`, of which the real ones are held out, and returns a dict with
the keys of `values`. `data_set = "NAME"` says that it means something on that data set alone.
Picture metrics see pixels and nothing else: they import the registry and claims, errors, and what the data
set that they judge is drawn with.
"""

from typing import TYPE_CHECKING

from experiments.cli.plugins import plugin_errors
from experiments.config.measures import check_values, measures_on
from experiments.config.registries import PICTURE_METRICS

if TYPE_CHECKING:
    from experiments.scoring.picture_metrics.base import Pictures

__all__ = ["measure_pictures"]


def measure_pictures(generated: "Pictures", real: "Pictures", data_set: str) -> dict[str, float]:
    """Values of every picture metric that means something on this data set, keyed as in its `values`.

    Raises UserError for a plug-in that returns other values than it claims.
    """
    known = {value: one for value, one in measures_on(data_set).items() if one.kind == PICTURE_METRICS.kind}
    scores: dict[str, float] = {}
    for name in dict.fromkeys(one.metric for one in known.values()):
        with plugin_errors(PICTURE_METRICS[name]):
            found = PICTURE_METRICS.load(name)().measure(generated, real)
            check_values(found, {value for value, one in known.items() if one.metric == name})
        scores |= found
    return scores
