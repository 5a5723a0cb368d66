"""Precision and recall: are the generated pictures like real ones, and are all real ones covered?"""

from typing import ClassVar

from experiments.config.registries import METRICS
from experiments.scoring.extractors.base import Features


@METRICS.register("precision_recall")
class PrecisionRecall:
    """Shares of pictures inside the other set's balls to the 3rd nearest neighbour (arXiv:1904.06991).

    Neither is a square, and trained networks stay well below real pictures: half of the way from noise counts
    as learned. On digits noise has precision 0.33 and recall 0.11, real pictures 0.88 and 0.88, and trained
    arms 0.78 and 0.84: 0.18 and 0.05 of the way are left.

    Source: Kynkaanniemi et al., arXiv:1904.06991.
    """

    values: ClassVar[dict[str, str]] = {"precision": "higher", "recall": "higher"}
    ranges: ClassVar[dict[str, tuple[int, int]]] = {"precision": (0, 1), "recall": (0, 1)}
    learned: ClassVar[dict[str, float]] = {"precision": 0.5, "recall": 0.5}
    min_images = 4

    def measure(self, generated: Features, real: Features) -> dict[str, float]:
        """`precision`: generated pictures inside the real set; `recall`: real ones inside the generated."""
        from torch_fidelity.metric_prc import prc_features_to_metric

        # in parts, so that memory stays at 2000 rows of distances
        score = prc_features_to_metric(
            generated.pool, real.pool, verbose=False, save_cpu_ram=True, prc_batch_size=2000
        )
        return {name: score[name] for name in self.values}
