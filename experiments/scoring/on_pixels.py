"""What is measured on pixels, and both ends of its scale: held-out pictures and an untrained network."""

from dataclasses import dataclass, field

import torch

from experiments.datasets.base import Images
from experiments.scoring.floors import Floor, finite
from experiments.scoring.picture_metrics import measure_pictures
from experiments.scoring.picture_metrics.base import Pictures
from experiments.scoring.untrained import untrained_pictures


@dataclass(frozen=True)
class OnPixels:
    """Picture metrics of one data set.

    Args:
        images: the data set; its held-out part is what real pictures are.
        data_set: its name, as registered.
        patch: side of a token in pixels.
    """

    images: Images
    data_set: str
    patch: int
    _kept: dict[tuple[str, int], dict[str, float]] = field(default_factory=dict, init=False, repr=False)

    def values(self, generated: Pictures) -> dict[str, float]:
        """What these pictures score."""
        return measure_pictures(generated, self._real(len(self.images.held_out)), self.data_set)

    def floors(self, n: int) -> dict[str, Floor]:
        """What `n` held-out pictures score, or all where they are fewer."""
        size = min(n, len(self.images.held_out))
        return {value: Floor(finite(one), size) for value, one in self._once("held-out", size).items()}

    @property
    def untrained(self) -> dict[str, float]:
        """What pictures of a network that has learned nothing score: as many as are held out."""
        return self._once("untrained", len(self.images.held_out))

    def _once(self, part: str, n: int) -> dict[str, float]:
        if (part, n) not in self._kept:
            some = self._real(n)
            if part == "untrained":
                pixels = untrained_pictures(range(n), self.images.train.shape[1:])
                some = Pictures(pixels, some.labels, self.patch)
            self._kept[part, n] = self.values(some)
        return self._kept[part, n]

    def _real(self, n: int) -> Pictures:
        """Held-out pictures, evenly spread over all, for they may lie class by class."""
        chosen = torch.arange(n) * len(self.images.held_out) // n
        pixels, labels = map(torch.from_numpy, (self.images.held_out, self.images.held_out_labels))
        return Pictures(pixels[chosen], labels[chosen], self.patch)
