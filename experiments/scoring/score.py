"""One pass: sample -> uint8 pictures -> features, once -> every metric -> rows of scores.csv.

Does only what is missing, so it can be killed at any moment and called again.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from experiments.cli.progress import Progress
from experiments.config.measures import measures_on
from experiments.records.run_folder import RunFolder
from experiments.records.score import NOTHING, TRAINED, Score, ScoreKey, larger_name
from experiments.scoring.apart.sample_grid import write_grid
from experiments.scoring.extractors.base import Extractor, Features
from experiments.scoring.generate import Generator
from experiments.scoring.jobs import Job, Work, unscored
from experiments.scoring.metrics import measure_all, value_name
from experiments.scoring.on_pixels import OnPixels
from experiments.scoring.picture_metrics.base import Pictures
from experiments.scoring.probing import Prober
from experiments.scoring.reference import Reference
from experiments.scoring.stored import About, read_tensors, write_tensors
from rope_dit.errors import UserError
from rope_dit.ranks import ONE, Ranks


@dataclass(frozen=True)
class Scorer:
    """Scores one run against the training pictures.

    Args:
        arm: canonical spec of the variant.
        seed: training seed.
        generator: makes the pictures of a job.
        reference: the real pictures, and the extractor that turns pictures into features.
        folder: where scores, pictures and unfinished samples go.
        stop: asked between chunks; a True raises Stopped.
        ranks: processes that divide sampling and features; all make the same calls, rank 0 does the rest.
    """

    arm: str
    seed: int
    generator: Generator
    reference: Reference
    folder: RunFolder
    stop: Callable[[], bool]
    ranks: Ranks = ONE

    @property
    def extractor(self) -> Extractor:
        """What turns pictures into features."""
        return self.reference.extractor

    @cached_property
    def on_pixels(self) -> OnPixels:
        """What is measured without an extractor."""
        return OnPixels(self.reference.images, self.data_set, self.generator.config.model.patch)

    @property
    def data_set(self) -> str:
        """Name of the data set, as registered."""
        return self.generator.config.data.data_set

    @property
    def prober(self) -> Prober:
        """What measures the network itself."""
        return Prober(self.arm, self.seed, self.generator, self.reference.images, self.folder, self.ranks)

    def finish(self, step: int, work: Work, profiles: Mapping[str, Sequence[Tensor]]) -> None:
        """Do all that is missing of the final work, pictures first, and clean up."""
        self.score(step, work.jobs, profiles)
        self.prober.measure(step, work.probings, profiles)
        self.clean()

    def undone(self, step: int, work: Work) -> Work:
        """What of the final work scores.csv lacks, for one rank alone. Raises as `missing`."""
        jobs, probings = self.unscored(step, work.jobs), self.prober.unprobed(step, work.probings)
        return Work(tuple(jobs), tuple(probings))

    def missing(self, step: int, jobs: Sequence[Job]) -> list[Job]:
        """Jobs of which scores.csv lacks a row.

        Raises UserError where its rows were made with other weights of an extractor of the same name.
        """
        return self.ranks.first(lambda: self.unscored(step, jobs))

    def unscored(self, step: int, jobs: Sequence[Job]) -> list[Job]:
        """As `missing`, for one rank alone."""
        scores, name = self.folder.scores(), self.extractor.name
        mine = [score for score in scores if score.key.extractor == name]
        of_pixels = [score for score in scores if score.key.extractor == NOTHING]
        if any(score.extractor_sha256 != self.extractor.sha256 for score in mine):
            raise UserError(
                f"{self.folder.path} was scored with another extractor {name}; give this one another name."
            )
        return unscored([*mine, *of_pixels], name, self.data_set, step, jobs)

    def score(self, step: int, jobs: Sequence[Job], profiles: Mapping[str, Sequence[Tensor]]) -> None:
        """Sample and score each missing job at training step `step`, and write a sample grid of it.

        `profiles` are the weights at that step by the names that jobs have for them.
        """
        for job in self.missing(step, jobs):
            self.prepare()
            self.generator.take_tokens(job.tokens, job.extrapolation)
            self.generator.load_for(job.guidance, job.average, profiles, step)
            samples = self._sample(step, job)
            self.ranks.first(partial(self._measure, step, job, samples))

    def prepare(self) -> None:
        """Make the features of real pictures and try all metrics on them, before anything is sampled.

        Raises UserError where a metric fails.
        """
        self.reference.make()
        self.ranks.first(self.reference.try_metrics)
        self.ranks.first(lambda: self.on_pixels.untrained)

    def clean(self) -> None:
        """Remove samples of jobs that are done but were killed before they cleaned up."""
        if self.ranks.leads:
            shutil.rmtree(self.folder.path / "samples", ignore_errors=True)

    def _sample(self, step: int, job: Job) -> "Samples":
        """Make what is missing; what it returns holds all pictures on rank 0."""
        n, files = max(job.ns), self._chunk_files(step, job)
        bar = Progress(
            f"sampling {job.sampler.slug}{larger_name(job.tokens, job.extrapolation)}", n, "picture"
        )
        chunks = [read_tensors(*file) if self.ranks.leads else None for file in files]
        missing = self.ranks.first(lambda: [i for i, chunk in enumerate(chunks) if chunk is None])
        for made in self.ranks.divide(missing, lambda number: self._chunk(job, number), self.stop):
            for number, chunk in made:
                chunks[number] = chunk
                write_tensors(*files[number], chunk)
                bar.update(min(n, (number + 1) * self.generator.chunk))
        bar.close()
        return Samples.of([chunk for chunk in chunks if chunk is not None], n)

    def _chunk(self, job: Job, number: int) -> dict[str, Tensor]:
        """Pictures of a chunk and, in the trained size, their features, made where the pictures are."""
        begun = time.perf_counter()
        pictures, nfe = self.generator.chunk_of(number, job.sampler, job.guidance, job.sampling_seed)
        made = {"pictures": pictures.cpu(), "nfe": torch.tensor(nfe, dtype=torch.float64)}
        made["seconds"] = torch.tensor(time.perf_counter() - begun, dtype=torch.float64)
        return {**made, **self.extractor(self.generator.at_trained_size(pictures)).tensors()}

    def _about(self, step: int, job: Job) -> About:
        """What chunks of a job belong to; the run's id stands for its weights."""
        record = self.folder.record
        larger = {} if job.tokens == TRAINED else {"tokens": job.tokens, "extrapolation": job.extrapolation}
        return {
            **larger,
            "run": record.id if record else "",
            "step": step,
            "average": job.average,
            "sampler": str(job.sampler),
            "guidance": str(job.guidance),
            "sampling_seed": job.sampling_seed,
            "classes": job.classes,
            "pictures": self.generator.chunk,
            "extractor": self.extractor.name,
            "extractor_sha256": self.extractor.sha256,
        }

    def _chunk_files(self, step: int, job: Job) -> list[tuple[Path, About]]:
        """Files of a job's chunks, and what each belongs to; named after it as far as a name can be."""
        made = f"{job.name(step)}-{self.extractor.sha256[:8]}-{self.generator.chunk}"
        chunks = range(-(-max(job.ns) // self.generator.chunk))
        folder, about = self.folder.path / "samples", self._about(step, job)
        return [(folder / f"{made}-{i:05d}.safetensors", {**about, "chunk": i}) for i in chunks]

    def _measure(self, step: int, job: Job, samples: "Samples") -> None:
        samples.features.check_finite()
        grid = self.folder.path / "pictures" / f"{job.name(step)}.png"
        made = range(len(samples.pictures))
        labels = self.generator.labels(made, job.sampling_seed).cpu()
        pictures = Pictures(samples.pictures, labels, self.on_pixels.patch)
        classes = len(self.reference.images.classes)
        write_grid(grid, samples.pictures.numpy(), labels.numpy(), classes)
        for n in job.ns:  # the rows come last: they say that the job is done
            sha256 = hashlib.sha256(samples.pictures[:n].numpy().tobytes()).hexdigest()
            seconds = samples.seconds * n / len(samples.pictures)
            facts = {"images_sha256": sha256, "sampling_seconds": round(seconds, 3)}
            self.folder.add_scores(self._scores(step, job, n, samples, pictures, facts))
        for file, _ in self._chunk_files(step, job):
            file.unlink(missing_ok=True)

    def _scores(
        self, step: int, job: Job, n: int, samples: "Samples", pictures: Pictures, made: Mapping[str, Any]
    ) -> Iterator[Score]:
        """Every metric of the first `n` pictures."""
        real, pixels = self.reference, self.on_pixels
        features = samples.features[:n]
        values = measure_all(features, real.train) | pixels.values(pictures.first(n))
        ends: dict[str, dict[str, Any]] = {}  # of the scale, and the score against held-out pictures
        if job.tokens == TRAINED:
            floors = real.floors(n, job.classes) | pixels.floors(n)
            untrained = real.untrained | pixels.untrained
            for value, floor in floors.items():
                ends[value] = {"real_floor": floor.value, "floor_n": floor.n, "untrained": untrained[value]}
            ends["fd"] |= real.from_held_out(features, job.classes)
        for value, claimed in measures_on(self.data_set).items():
            name = claimed.seen_by(self.extractor.name)
            key = ScoreKey(
                arm=self.arm,
                seed=self.seed,
                train_step=step,
                sampler=str(job.sampler),
                guidance=str(job.guidance),
                nfe=samples.nfe,
                grid=job.sampler.grid or NOTHING,
                tokens=job.tokens,
                extrapolation=job.extrapolation,
                classes=job.classes,
                ema=job.average,
                extractor=name,
                metric=value_name(value, name),
                n=n,
                n_real=len(real.images.held_out if name == NOTHING else real.train),
                sampling_seed=job.sampling_seed,
            )
            yield Score(key=key, value=values[value], better=claimed.better,
                        reference_sha256=real.images.fingerprint,
                        extractor_sha256=NOTHING if name == NOTHING else self.extractor.sha256,
                        time=time.time(),
                        **made, **{"real_floor": None, **ends.get(value, {})})  # fmt: skip


@dataclass(frozen=True)
class Samples:
    """Pictures [n, C, H, W] uint8, their features, evaluations a picture, seconds that one device takes."""

    pictures: Tensor
    features: Features
    nfe: float
    seconds: float

    @classmethod
    def of(cls, chunks: list[dict[str, Tensor]], n: int) -> "Samples":
        """The first `n` pictures of these chunks, none where there are none."""

        def joined(key: str) -> Tensor:
            return torch.cat([chunk[key] for chunk in chunks] or [torch.empty(0)])

        pictures, features = joined("pictures"), Features(joined("pool"), joined("logits"))
        nfe, seconds = (sum(chunk[key].item() for chunk in chunks) for key in ("nfe", "seconds"))
        return cls(pictures[:n], features[:n], nfe / max(1, len(chunks)), seconds * n / max(1, len(pictures)))
