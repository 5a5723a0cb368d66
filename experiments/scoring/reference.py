"""Features of real pictures: the reference that scores are made against, and the floor beside them."""

import hashlib
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import torch

from experiments.cli.plugins import plugin_errors
from experiments.cli.progress import Progress
from experiments.config.measures import measures
from experiments.config.registries import METRICS
from experiments.datasets.base import Images, Pixels
from experiments.datasets.image_files.cache import cache_folder
from experiments.scoring.extractors.base import Extractor, Features
from experiments.scoring.metrics import measure_all, real_floor
from experiments.scoring.stored import About, read_tensors, write_tensors
from rope_dit.ranks import ONE, Ranks

BLOCK = 1000  # pictures a rank turns into features at a time
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reference:
    """Features of a data set, made once for each (data, part, extractor) and kept on disk.

    Where the disk cannot be written they are kept in memory, which is said.

    Args:
        images: the data set; its train part is the reference, its held-out part gives the real floor.
        extractor: turns pictures into features.
        stop: asked between blocks; a True raises Stopped.
        ranks: processes that divide the work; all must call `make`, and rank 0 alone may use the rest.
    """

    images: Images
    extractor: Extractor
    stop: Callable[[], bool]
    ranks: Ranks = ONE
    _kept: dict[str, Features] = field(default_factory=dict, init=False, repr=False)
    _uncached: list[str] = field(default_factory=list, init=False, repr=False)

    def make(self) -> None:
        """Make what is not on the disk yet, or is damaged there."""
        for part, pictures in self._parts.items():
            if self.ranks.first(partial(self._is_missing, part)):
                self._make(part, pictures)

    @property
    def train(self) -> Features:
        """Features of the training pictures."""
        return self._kept["train"]

    @property
    def held_out(self) -> Features:
        """Features of the held-out pictures."""
        return self._kept["held-out"]

    def floors(self, n: int) -> dict[str, float]:
        """What real pictures would score: an estimate for `n` of them where it is the Frechet distance.

        The floor of every other value is what the held-out pictures themselves score.
        """
        return self._held_out_values | {"fd": real_floor(self.held_out, n, len(self.train))}

    def try_metrics(self) -> None:
        """Measure the held-out pictures, as every floor needs. Raises UserError where a metric fails."""
        self._held_out_values  # noqa: B018

    @cached_property
    def _held_out_values(self) -> dict[str, float]:
        """Values of all metrics; those that are no numbers are said, once."""
        found = measure_all(self.held_out, self.train)
        for name, value in found.items():
            entry = METRICS[measures()[name].metric]
            with plugin_errors(entry):
                if not math.isfinite(value):
                    text = "metric %s: %s is %s of the held-out pictures; reports have a dash for it"
                    _log.warning(text, entry.name, name, value)
        return found

    @property
    def _parts(self) -> dict[str, Pixels]:
        return {"train": self.images.train, "held-out": self.images.held_out}

    def _make(self, part: str, pictures: Pixels) -> None:
        blocks = [pictures[i : i + BLOCK] for i in range(0, len(pictures), BLOCK)]
        bar = Progress(f"features of {len(pictures)} {part} pictures", len(pictures), "picture")
        made: list[Features] = []
        for some in self.ranks.divide(blocks, lambda b: self.extractor(torch.from_numpy(b)), self.stop):
            made += [features for _, features in some]
            bar.update(sum(map(len, made)))
        bar.close()
        if self.ranks.leads:
            features = Features.cat(made)
            features.check_finite()
            self._keep(part, features)

    def _keep(self, part: str, features: Features) -> None:
        self._kept[part] = features
        try:
            write_tensors(self._file(part), self._about(part), features.tensors())
        except OSError as error:  # a cache is never needed
            if not self._uncached:
                _log.warning("features of real pictures cannot be cached (%s); this process keeps them, and "
                             "the next one makes them again", error)  # fmt: skip
            self._uncached.append(part)

    def _file(self, part: str) -> Path:
        key = f"{self.images.fingerprint} {part} {self.extractor.name} {self.extractor.sha256}"
        return cache_folder() / f"features-{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"

    def _about(self, part: str) -> About:
        extractor = {"extractor": self.extractor.name, "extractor_sha256": self.extractor.sha256}
        count = len(self._parts[part])
        return {"data": self.images.fingerprint, "part": part, "pictures": count, **extractor}

    def _is_missing(self, part: str) -> bool:
        """Read a part, unless it was read before."""
        if part not in self._kept and (found := read_tensors(self._file(part), self._about(part))):
            self._kept[part] = Features(**found)
        return part not in self._kept
