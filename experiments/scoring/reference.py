"""Features of real pictures: the reference that scores are made against, and both ends of their scale."""

import hashlib
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor

from experiments.cli.plugins import plugin_errors
from experiments.cli.progress import Progress
from experiments.config.measures import measures
from experiments.config.registries import METRICS
from experiments.config.text import digest
from experiments.datasets.base import Images
from experiments.datasets.image_files.cache import cache_folder
from experiments.scoring.extractors.base import Extractor, Features
from experiments.scoring.metrics import measure_all, real_floor
from experiments.scoring.stored import About, read_tensors, write_tensors
from experiments.scoring.untrained import untrained_pictures
from rope_dit.ranks import ONE, Ranks

BLOCK = 1000  # pictures a rank turns into features at a time
KNOWN = "known of train"  # part of what metrics know of the training pictures alone
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reference:
    """Features of a data set, made once for each (data, part, extractor) and kept on disk.

    Its parts are the training pictures, the held-out ones, and as many of an untrained network as are held
    out. Where the disk cannot be written they are kept in memory, which is said.

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
    _values: dict[str, dict[str, float]] = field(default_factory=dict, init=False, repr=False)
    _uncached: list[str] = field(default_factory=list, init=False, repr=False)

    def make(self) -> None:
        """Make what is not on the disk yet, or is damaged there."""
        for part in self._sizes:
            if self.ranks.first(partial(self._is_missing, part)):
                self._make(part)
        if self.ranks.leads and not self.train.known:
            self.train.known.update(read_tensors(self._file(KNOWN), self._about(KNOWN)) or {})

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

    @property
    def untrained(self) -> dict[str, float]:
        """What pictures of a network that has learned nothing score, see `untrained_pictures`.

        Of as many as are held out, whatever the number that is scored: it is the far end of a scale, where a
        few hundredths more or less change nothing.
        """
        return self._measured("untrained", lambda: measure_all(self._kept["untrained"], self.train))

    def try_metrics(self) -> None:
        """Measure what is not generated, as all scores need. Raises UserError where a metric fails.

        What metrics know of the training pictures alone is then kept on the disk, as those values are.
        """
        known = {*self.train.known}
        self._held_out_values, self.untrained  # noqa: B018
        if not self.train.known.keys() <= known:
            self._write(KNOWN, self.train.known)

    @cached_property
    def _held_out_values(self) -> dict[str, float]:
        """Values of all metrics; those that are no numbers are said, once."""
        found = self._measured("held-out", lambda: measure_all(self.held_out, self.train))
        for name, value in found.items():
            entry = METRICS[measures()[name].metric]
            with plugin_errors(entry):
                if not math.isfinite(value):
                    text = "metric %s: %s is %s of the held-out pictures; reports have a dash for it"
                    _log.warning(text, entry.name, name, value)
        return found

    @property
    def _sizes(self) -> dict[str, int]:
        held_out = len(self.images.held_out)
        return {"train": len(self.images.train), "held-out": held_out, "untrained": held_out}

    def _pictures(self, part: str, indices: range) -> Tensor:
        if part == "untrained":
            return untrained_pictures(indices, self.images.train.shape[1:])
        pixels = self.images.train if part == "train" else self.images.held_out
        return torch.from_numpy(pixels[indices.start : indices.stop])

    def _make(self, part: str) -> None:
        count = self._sizes[part]
        blocks = [range(i, min(i + BLOCK, count)) for i in range(0, count, BLOCK)]
        bar = Progress(f"features of {count} {part} pictures", count, "picture")
        made: list[Features] = []
        for some in self.ranks.divide(
            blocks, lambda block: self.extractor(self._pictures(part, block)), self.stop
        ):
            made += [features for _, features in some]
            bar.update(sum(map(len, made)))
        bar.close()
        if self.ranks.leads:
            features = Features.cat(made)
            features.check_finite()
            self._keep(part, features)

    def _measured(self, name: str, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
        """Values of real or untrained pictures, which depend on no run: measured where they are not known."""
        part = f"values: {name}"
        if part not in self._values:
            found = read_tensors(self._file(part), self._about(part))
            values = measure() if found is None else {value: one.item() for value, one in found.items()}
            self._values[part] = values
            if found is None:
                self._write(part, _as_tensors(values))
        return self._values[part]

    def _keep(self, part: str, features: Features) -> None:
        self._kept[part] = features
        self._write(part, features.tensors())

    def _write(self, part: str, tensors: Mapping[str, Tensor]) -> None:
        try:
            write_tensors(self._file(part), self._about(part), tensors)
        except OSError as error:  # a cache is never needed
            if not self._uncached:
                _log.warning("features of real pictures cannot be cached (%s); this process keeps them, and "
                             "the next one makes them again", error)  # fmt: skip
            self._uncached.append(part)

    def _file(self, part: str) -> Path:
        key = f"{self.images.fingerprint} {part} {self.extractor.name} {self.extractor.sha256}"
        if part in self._sizes:
            kind = "features"
        else:
            kind, key = "measured", f"{key} {_metrics()}"
        return cache_folder() / f"{kind}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"

    def _about(self, part: str) -> About:
        extractor = {"extractor": self.extractor.name, "extractor_sha256": self.extractor.sha256}
        if part in self._sizes:
            what: About = {"pictures": self._sizes[part]}
        else:
            what = {"metrics": _metrics()}
        return {"data": self.images.fingerprint, "part": part, **what, **extractor}

    def _is_missing(self, part: str) -> bool:
        """Read a part, unless it was read before."""
        if part not in self._kept and (found := read_tensors(self._file(part), self._about(part))):
            self._kept[part] = Features(**found)
        return part not in self._kept


def _as_tensors(values: Mapping[str, float]) -> dict[str, Tensor]:
    return {value: torch.tensor(number, dtype=torch.float64) for value, number in values.items()}


def _metrics() -> str:
    """SHA-256 of all metrics as they are: versions of those that ship, contents of plug-ins."""
    return digest([METRICS.identity(name) | {"version": METRICS[name].version} for name in METRICS.names()])
