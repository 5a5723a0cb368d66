"""Frechet distance between two Gaussians fitted to the features."""

from typing import ClassVar

from experiments.config.registries import METRICS
from experiments.scoring.extractors.base import Features


@METRICS.register("frechet")
class Frechet:
    """Distance of two fitted Gaussians, |mu1 - mu2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) (arXiv:1706.08500).

    Means and covariances are float64. Below about D pictures the covariances lack rank: the value is finite
    but its bias is large. It is FID only with the FID paper's Inception.

    sFID (arXiv:2103.03841), the same distance of features that still have places, would need extractors to
    give them: the first 7 channels of Inception's mixed_6 layer, 17x17x7 = 2,023 a picture, as one more field
    of `Features`. Torch-fidelity's Inception gives that layer averaged over places.

    It is a squared distance: where a tenth of it is left, a third of the distance itself is. On digits, where
    noise scores 25 and real pictures 0.1, trained arms have 0.03 of it left, an arm that cannot tell where
    its patches are 0.47, and 20 steps of the smoke preset leave 0.88. Only the first have learned.

    Source: Heusel et al., arXiv:1706.08500.
    """

    values: ClassVar[dict[str, str]] = {"fd": "lower"}
    ranges: ClassVar[dict[str, tuple[int, None]]] = {"fd": (0, None)}
    min_images = 2
    learned: ClassVar[dict[str, float]] = {"fd": 0.1}
    needs_rank = True  # with no more pictures than features it says little

    def measure(self, generated: Features, real: Features) -> dict[str, float]:
        """`fd`; the real pictures' statistics are computed once for each `real`."""
        from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric

        score = fid_statistics_to_metric(generated.statistics, real.statistics, verbose=False)
        return {"fd": score[KEY_METRIC_FID]}
