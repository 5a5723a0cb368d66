"""Features of real pictures: the reference that scores are made against, and both ends of their scale."""

import hashlib
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
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
from experiments.scoring.floors import (
    RANK,
    Floor,
    copies,
    distance,
    finite,
    floor_size,
    frechet_floor,
    of_draws,
)
from experiments.scoring.metrics import measure_all
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
    _unknown: list[int] = field(default_factory=list, init=False, repr=False)
    _tried: list[bool] = field(default_factory=list, init=False, repr=False)

    def make(self) -> None:
        """Make what is not on the disk yet, or is damaged there."""
        for part in self._sizes:
            if self.ranks.first(partial(self._is_missing, part)):
                self._make(part)
        if self.ranks.leads and self.train.held_out is None:
            self._kept["train"] = Features(**self.train.tensors(), held_out=self.held_out)
            self.train.known.update(read_tensors(self._file(KNOWN), self._about(KNOWN)) or {})

    @property
    def train(self) -> Features:
        """Features of the training pictures."""
        return self._kept["train"]

    @property
    def held_out(self) -> Features:
        """Features of the held-out pictures."""
        return self._kept["held-out"]

    def floors(self, n: int, classes: str) -> dict[str, Floor]:
        """What `n` real pictures would score, with their classes drawn so: held-out ones, or all of them.

        The floor of the Frechet distance is an estimate for `n` of them where there are fewer.
        """
        size = floor_size(n, len(self.held_out), classes)
        found = {value: Floor(finite(one), size) for value, one in self._drawn(size, classes).items()}
        whole = len(self.held_out)
        everything = Floor(finite(self._drawn(whole, "proportional")["fd"]), whole)
        width = self.train.pool.shape[1]
        estimate = frechet_floor(found["fd"], everything, n, len(self.train), width)
        if estimate is None and n not in self._unknown:
            self._unknown.append(n)
            _log.warning(
                "fd of %d real pictures cannot be told from %d held-out ones: that takes at least %d, twice "
                "the features of %s; reports have a dash for the real floor",
                n, size, RANK * width, self.extractor.name,
            )  # fmt: skip
        return found | {"fd": Floor(estimate, size)}

    def from_held_out(self, generated: Features, classes: str) -> dict[str, float]:
        """Distance from the held-out pictures, which tells copies of training pictures from new ones.

        `held_out` is that of the generated ones, `held_out_floor` that of as many training pictures, drawn
        with replacement. So copies of training pictures come out at it, though they lie below the floor of
        the distance from the training pictures. Few held-out pictures raise both, so each compares with the
        other only. 1,000 copies of digits, with each class in proportion, get 0.05 from the training
        pictures, whose floor is 0.06, and 0.18 from the 360 held-out ones, whose floor is 0.18.
        """
        n, known = len(generated), (self.train, self.images.train_labels, self.held_out)
        floor = self._measured(f"copies: {n} {classes}", lambda: {"fd": copies(*known, n, classes)})
        return {"held_out": distance(generated, self.held_out), "held_out_floor": floor["fd"]}

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
        self._say_what_is_no_number(self._drawn(len(self.held_out), "proportional"))
        self.untrained  # noqa: B018
        if not self.train.known.keys() <= known:
            self._write(KNOWN, self.train.known)

    def _drawn(self, n: int, classes: str) -> dict[str, float]:
        """Values of all metrics of `n` held-out pictures, the mean over draws of their classes."""
        labels, train_labels = self.images.held_out_labels, self.images.train_labels
        return self._measured(
            f"held-out: {n} {classes}",
            lambda: of_draws(self.held_out, labels, self.train, train_labels, n, classes),
        )

    def _say_what_is_no_number(self, found: Mapping[str, float]) -> None:
        if self._tried:
            return
        self._tried.append(True)
        for name, value in found.items():
            entry = METRICS[measures()[name].metric]
            with plugin_errors(entry):
                if not math.isfinite(value):
                    text = "metric %s: %s is %s of the held-out pictures; reports have a dash for it"
                    _log.warning(text, entry.name, name, value)

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
            self._kept[part] = Features(found["pool"], found["logits"])
        return part not in self._kept


def _as_tensors(values: Mapping[str, float]) -> dict[str, Tensor]:
    return {value: torch.tensor(number, dtype=torch.float64) for value, number in values.items()}


def _metrics() -> str:
    """SHA-256 of all metrics as they are: versions of those that ship, contents of plug-ins."""
    return digest([METRICS.identity(name) | {"version": METRICS[name].version} for name in METRICS.names()])
