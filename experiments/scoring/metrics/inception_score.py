"""Inception score: sharp and varied class predictions. It never looks at the real pictures."""

from typing import ClassVar

from experiments.config.registries import METRICS
from experiments.scoring.extractors.base import Features


@METRICS.register("inception_score")
class InceptionScore:
    """exp of the mean KL divergence of predictions from their mean, over 10 splits (arXiv:1606.03498).

    It counts classes that are told apart: half of those that noise lacks must be there to count as learned.
    On digits noise has 1.6, real pictures 8.4 and trained arms 8.2.

    Source: Salimans et al., arXiv:1606.03498.
    """

    values: ClassVar[dict[str, str]] = {"is": "higher"}
    ranges: ClassVar[dict[str, tuple[int, None]]] = {"is": (1, None)}
    learned: ClassVar[dict[str, float]] = {"is": 0.5}
    min_images = 10  # one a split
    follows_order = True  # which pictures are in one split

    def measure(self, generated: Features, real: Features) -> dict[str, float]:
        """`is`, from 1 to the number of classes."""
        from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric

        return {"is": isc_features_to_metric(generated.logits, splits=self.min_images)[KEY_METRIC_ISC_MEAN]}
