"""Density and coverage: how crowded with real pictures are the generated ones, and how many real are met?"""

from typing import ClassVar

from experiments.config.registries import METRICS
from experiments.scoring.extractors.base import Features
from experiments.scoring.metrics.neighbours import known_radii, met_balls

K = 5


@METRICS.register("density_coverage")
class DensityCoverage:
    """Balls of real pictures to their 5th nearest other that hold generated pictures (arXiv:2002.09797).

    `density`: in how many of them a generated picture lies on average, over K = 5; real pictures get about 1,
    and more is possible where samples gather in few dense places. `coverage`: the share of balls with a
    generated picture in them; fewer pictures cover less, n = N fresh real ones 1 - 1 / 2^K = 0.97. Unlike
    precision and recall it takes no ball around a generated picture, so that one outlier adds nothing.

    Edges count as inside, where the authors' code leaves them out: balls between copies have no width.
    Distances are float64. The paper's features are those of VGG16.

    Half of the way from noise counts as learned, as for precision and recall. On digits 360
    pictures of noise have density 0.2 and coverage 0.03, as many real ones 1.01 and 0.69.

    Source: Naeem et al., arXiv:2002.09797, equations 5 and 6, and the authors' code (clovaai,
    generative-evaluation-prdc).
    """

    values: ClassVar[dict[str, str]] = {"density": "higher", "coverage": "higher"}
    ranges: ClassVar[dict[str, tuple[int, int | None]]] = {"density": (0, None), "coverage": (0, 1)}
    learned: ClassVar[dict[str, float]] = {"density": 0.5, "coverage": 0.5}
    min_images = 6  # K and itself

    def measure(self, generated: Features, real: Features) -> dict[str, float]:
        """`density`, 0 and more; `coverage`, from 0 to 1."""
        a, b = generated.pool, real.pool
        counts, met = met_balls(a, b, known_radii(real, K))
        return {"density": float(counts.double().mean()) / K, "coverage": float(met.double().mean())}
