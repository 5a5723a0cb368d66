"""Probes of a trained network -> rows of scores.csv, and the tables that some leave beside their values.

Does only what is missing, so it can be killed at any moment and called again.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from experiments.cli.progress import Progress
from experiments.config.measures import probe_values
from experiments.datasets.base import Images
from experiments.records.run_folder import RunFolder
from experiments.records.score import NOTHING, TRAINED, Score, ScoreKey
from experiments.scoring.generate import Generator
from experiments.scoring.jobs import Probing, suffix_of, unprobed
from experiments.scoring.probes import Found, find
from experiments.scoring.probes.base import Subject
from rope_dit.durable import write_durably
from rope_dit.ranks import ONE, Ranks
from rope_dit.registry import OBJECTIVES

FOLDER = "probes"
"""of a run, where tables are"""


@dataclass(frozen=True)
class Prober:
    """Measures one run's network itself, on held-out pictures.

    Args:
        arm: canonical spec of the variant.
        seed: training seed.
        generator: has the network; its weights are exchanged.
        images: the data set.
        folder: where values and tables go.
        ranks: rank 0 measures alone, while the others wait.
    """

    arm: str
    seed: int
    generator: Generator
    images: Images
    folder: RunFolder
    ranks: Ranks = ONE

    def unprobed(self, step: int, probings: Sequence[Probing]) -> list[Probing]:
        """Probes of which scores.csv has no value at training step `step`."""
        return unprobed(self.folder.scores(), step, probings)

    def measure(
        self, step: int, probings: Sequence[Probing], profiles: Mapping[str, Sequence[Tensor]]
    ) -> None:
        """Measure each missing probe; `profiles` are the weights at that step by their names."""
        for probing in self.ranks.first(lambda: self.unprobed(step, probings)):
            self.ranks.leading(partial(self._measure, step, probing, profiles[probing.average]), None)

    def _measure(self, step: int, probing: Probing, weights: Sequence[Tensor]) -> None:
        name = f"{probing.probe.partition(':')[0]}{self._suffix(probing)}"
        bar = Progress(f"probing {name}", 1, "probe")
        self.generator.take_tokens(TRAINED, "none")
        self.generator.load(weights, step)
        found = find(probing.probe, subject(self.generator, self.images, self.generator.stop))
        place = self.folder.path / FOLDER / f"{step:08d}-{name}"
        for table, frame in found.tables.items():
            write_table(place / f"{table}.csv", frame.to_csv(index=False))
        self.folder.add_scores(self._scores(step, probing, found))  # last: they say that it is done
        bar.close()

    def _suffix(self, probing: Probing) -> str:
        return suffix_of(probing.average, self.generator.config.main_average)

    def _scores(self, step: int, probing: Probing, found: Found) -> Iterator[Score]:
        better = probe_values(probing.probe)
        for value, number in found.values.items():
            key = ScoreKey(
                arm=self.arm, seed=self.seed, train_step=step, sampler=NOTHING, guidance=NOTHING, nfe=None,
                grid=NOTHING, tokens=TRAINED, extrapolation="none", classes=NOTHING, ema=probing.average,
                extractor=NOTHING, metric=value, n=None, n_real=None, sampling_seed=None,
            )  # fmt: skip
            yield Score(
                key=key, value=number, better=better[value], real_floor=None, images_sha256=NOTHING,
                reference_sha256=self.images.fingerprint, extractor_sha256=NOTHING, sampling_seconds=0.0,
                time=time.time(),
            )  # fmt: skip


def subject(
    generator: Generator, images: Images, stop: Callable[[], bool], most: int | None = None
) -> Subject:
    """What probes are given: the generator's network, and the first `most` held-out pictures, or all."""
    config = generator.config
    pixels, labels = (torch.from_numpy(part[:most]) for part in (images.held_out, images.held_out_labels))
    objective = OBJECTIVES.bind(config.train.objective)()
    return Subject(generator.model, objective, config, pixels, labels, stop)


def write_table(path: Path, text: str) -> None:
    """Write a CSV durably. Raises OSError, which names the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, text.encode())
