"""Kernel distance: unlike the Frechet distance, its expectation does not depend on the number of pictures."""

from typing import ClassVar

from experiments.config.registries import METRICS
from experiments.scoring.extractors.base import Features

SUBSET = 1000


@METRICS.register("kid")
class Kid:
    """Squared MMD of features with the kernel (x.y / D + 1)^3, unbiased, over 100 subsets (arXiv:1801.01401).

    A subset has 1000 pictures, or as many as there are on the smaller side. The value is the subsets' mean.
    It is a squared distance, so what counts as learned is as for the Frechet distance.

    Source: Binkowski et al., arXiv:1801.01401.
    """

    values: ClassVar[dict[str, str]] = {"kid": "lower"}
    learned: ClassVar[dict[str, float]] = {"kid": 0.1}
    min_images = 2

    def measure(self, generated: Features, real: Features) -> dict[str, float]:
        """`kid`; values slightly below 0 mean that the two sets are alike."""
        from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

        size = min(SUBSET, len(generated), len(real))
        score = kid_features_to_metric(generated.pool, real.pool, kid_subset_size=size, verbose=False)
        return {"kid": score[KEY_METRIC_KID_MEAN]}
