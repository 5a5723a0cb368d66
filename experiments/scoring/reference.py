"""Features of real pictures: the reference that scores are made against, and the floor beside them."""

import hashlib
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from experiments.cli.plugins import plugin_errors
from experiments.cli.progress import Progress
from experiments.config.measures import measures
from experiments.config.registries import METRICS
from experiments.datasets.base import Images, Pixels
from experiments.datasets.image_files.cache import cache_folder
from experiments.scoring.extractors.base import Extractor, Features
from experiments.scoring.metrics import measure_all, real_floor
from rope_dit.durable import write_durably
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
    _kept: dict[str, Features] = field(default_factory=dict)
    """what the disk did not take, by part"""

    def make(self) -> None:
        """Make what is not on the disk yet."""
        for part, pictures in {"train": self.images.train, "held-out": self.images.held_out}.items():
            if self.ranks.first(partial(self._is_missing, part)):
                self._make(part, pictures)

    @cached_property
    def train(self) -> Features:
        """Features of the training pictures."""
        return self._read("train")

    @cached_property
    def held_out(self) -> Features:
        """Features of the held-out pictures."""
        return self._read("held-out")

    def floors(self, n: int) -> dict[str, float]:
        """What real pictures would score: an estimate for `n` of them where it is the Frechet distance.

        The floor of every other value is what the held-out pictures themselves score.
        """
        return self._held_out_values | {"fd": real_floor(self.held_out, n, len(self.train))}

    def try_metrics(self) -> None:
        """Measure the held-out pictures, as every floor needs. Raises UserError where a metric fails."""
        for name, value in self._held_out_values.items():
            entry = METRICS[measures()[name].metric]
            with plugin_errors(entry):
                if entry.is_plugin and not math.isfinite(value):
                    raise ValueError(f"returned {name} = {value} of real pictures, expected a number")

    @cached_property
    def _held_out_values(self) -> dict[str, float]:
        return measure_all(self.held_out, self.train)

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
        try:
            file = self._file(part)
            file.parent.mkdir(parents=True, exist_ok=True)
            write_durably(file, safetensors.torch.save(features.tensors()))
        except OSError as error:  # a cache is never needed
            if not self._kept:
                _log.warning("features of real pictures cannot be cached (%s); this process keeps them, and "
                             "the next one makes them again", error)  # fmt: skip
            self._kept[part] = features

    def _is_missing(self, part: str) -> bool:
        return self._found(part) is None

    def _found(self, part: str) -> Features | None:
        """What was made; None where nothing was, or where its file is torn or cannot be read."""
        if part in self._kept:
            return self._kept[part]
        try:
            found = read_tensors(self._file(part))
        except OSError:
            return None
        return None if found is None else Features(**found)

    def _file(self, part: str) -> Path:
        key = f"{self.images.fingerprint} {part} {self.extractor.name} {self.extractor.sha256}"
        return cache_folder() / f"features-{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"

    def _read(self, part: str) -> Features:
        found = self._found(part)
        assert found is not None, "make() comes first"
        return found


def read_tensors(file: Path) -> dict[str, Tensor] | None:
    """Tensors of a file, or None where there is none or it is torn: it is made again."""
    try:
        return safetensors.torch.load(file.read_bytes())
    except (FileNotFoundError, safetensors.SafetensorError, KeyError):
        return None
