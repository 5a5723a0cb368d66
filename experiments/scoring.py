"""One pass: sample -> uint8 pictures -> features, once -> every metric -> rows of scores.csv.

Does only what is missing, so it can be killed at any moment and called again.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from experiments.config import EvalConfig, ScoreKey, guidance_name
from experiments.datasets.base import Images
from experiments.datasets.cache import cache_folder
from experiments.features import Extractor, Features
from experiments.metrics import measure_all, real_floor, value_name
from experiments.pictures import write_grid
from experiments.progress import Progress
from experiments.registries import METRICS
from experiments.runfolder import RunFolder
from experiments.sampling import Generator
from rope_dit.durable import write_durably
from rope_dit.errors import Stopped, UserError
from rope_dit.ranks import ONE, Ranks
from rope_dit.samplers.spec import SamplerSpec


@dataclass(frozen=True)
class Job:
    """One set of pictures and the numbers of pictures to score of it."""

    sampler: SamplerSpec
    weight: float
    interval: tuple[float, float]
    ns: tuple[int, ...]
    sampling_seed: int = 0

    @property
    def guidance(self) -> str:
        """Guidance as it stands in the ScoreKey."""
        return guidance_name(self.weight, self.interval)

    def name(self, step: int) -> str:
        """Name for files, for example `00000800-heun-25-cfg1-seed0`."""
        return f"{step:08d}-{self.sampler.slug}-cfg{self.guidance}-seed{self.sampling_seed}"


def final_jobs(config: EvalConfig) -> list[Job]:
    """What is scored once training has ended: seeds x samplers x guidances."""
    return [
        Job(SamplerSpec.parse(sampler), weight, config.guidance_interval, config.n, seed)
        for seed in range(config.sampling_seeds)
        for sampler in config.samplers
        for weight in config.guidances
    ]


def curve_jobs(config: EvalConfig) -> list[Job]:
    """What is scored during training: the first sampler at the first guidance, with few pictures."""
    sampler = SamplerSpec.parse(config.samplers[0])
    return [Job(sampler, config.guidances[0], config.guidance_interval, (config.every_n,))]


@dataclass(frozen=True)
class Scorer:
    """Scores one run against the training pictures.

    Args:
        arm: canonical spec of the variant.
        seed: training seed.
        ema: name of the weight profile that is scored.
        generator: makes the pictures of a job.
        extractor: turns pictures into features.
        images: the data set; its train part is the reference, its held-out part gives the real floor.
        folder: where scores, pictures and unfinished samples go.
        stop: asked between chunks; a True raises Stopped.
        ranks: processes that divide the sampling; all must make the same calls, and rank 0 does the rest.
    """

    arm: str
    seed: int
    ema: str
    generator: Generator
    extractor: Extractor
    images: Images
    folder: RunFolder
    stop: Callable[[], bool]
    ranks: Ranks = ONE

    def missing(self, step: int, jobs: list[Job]) -> list[Job]:
        """Jobs of which scores.csv lacks a row.

        Raises UserError where its rows were made with other weights of an extractor of the same name.
        """
        return self.ranks.first(lambda: self._missing(step, jobs))

    def _missing(self, step: int, jobs: list[Job]) -> list[Job]:
        rows, name = self.folder.scores(), self.extractor.name
        if any(r["extractor"] == name and r["extractor_sha256"] != self.extractor.sha256 for r in rows):
            raise UserError(
                f"{self.folder.path} was scored with another extractor {name}; give this file another name."
            )
        names = ("train_step", "sampler", "guidance", "sampling_seed", "n", "ema", "extractor", "metric")
        there = {tuple(row[name] for name in names) for row in rows}
        values = [value_name(value, name) for metric in METRICS for value in metric.claims["values"]]

        def done(job: Job, n: int) -> bool:
            key = (step, job.sampler, job.guidance, job.sampling_seed, n, self.ema, name)
            return all((*map(str, key), value) in there for value in values)

        return [job for job in jobs if not all(done(job, n) for n in job.ns)]

    def score(self, step: int, jobs: list[Job]) -> None:
        """Sample and score each missing job at training step `step`, and write a sample grid of it."""
        for job in self.missing(step, jobs):
            samples = self._sample(step, job)
            self.ranks.first(lambda job=job, samples=samples: self._measure(step, job, samples))

    def _measure(self, step: int, job: Job, samples: "Samples") -> None:
        features = self.extractor(samples.pictures)
        features.check_finite()
        grid = self.folder.path / "pictures" / f"{job.name(step)}.png"
        labels = self.generator.labels(range(len(samples.pictures)), job.sampling_seed).cpu()
        write_grid(grid, samples.pictures.numpy(), labels.numpy(), len(self.images.classes))
        for n in job.ns:  # the rows come last: they say that the job is done
            sha256 = hashlib.sha256(samples.pictures[:n].numpy().tobytes()).hexdigest()
            seconds = samples.seconds * n / len(samples.pictures)
            made = {"images_sha256": sha256, "sampling_seconds": round(seconds, 3)}
            self._write(step, job, n, features[:n], samples.nfe, made)
        for file in self._chunk_files(step, job):
            file.unlink(missing_ok=True)

    def clean(self) -> None:
        """Remove samples of jobs that are done but were killed before they cleaned up."""
        shutil.rmtree(self.folder.path / "samples", ignore_errors=True)

    def _write(
        self, step: int, job: Job, n: int, features: Features, nfe: float, made: dict[str, object]
    ) -> None:
        values = measure_all(features, self.reference)
        floors = self._held_out_values | {"fd": real_floor(self.held_out, n, len(self.reference))}
        better = {
            value: direction for metric in METRICS for value, direction in metric.claims["values"].items()
        }
        keys = [
            ScoreKey(
                arm=self.arm,
                seed=self.seed,
                train_step=step,
                sampler=str(job.sampler),
                guidance=job.guidance,
                nfe=nfe,
                grid=job.sampler.grid,
                ema=self.ema,
                extractor=self.extractor.name,
                metric=value_name(value, self.extractor.name),
                n=n,
                n_real=len(self.reference),
                sampling_seed=job.sampling_seed,
            )
            for value in values
        ]
        rest = {**made, "reference_sha256": self.images.fingerprint,
                "extractor_sha256": self.extractor.sha256}  # fmt: skip
        rows = [{**rest, "value": values[v], "better": better[v], "real_floor": floors[v]} for v in values]
        self.folder.add_scores(keys, rows)

    def _sample(self, step: int, job: Job) -> "Samples":
        """Make what is missing; what it returns holds all pictures on rank 0."""
        n, files = max(job.ns), list(self._chunk_files(step, job))
        bar = Progress(f"sampling {job.sampler.slug}", n, "picture")
        chunks = [_read_chunk(file) if self.ranks.leads and file.exists() else None for file in files]
        missing = self.ranks.first(lambda: [i for i, chunk in enumerate(chunks) if chunk is None])
        for begin in range(0, len(missing), self.ranks.size):
            numbers = missing[begin : begin + self.ranks.size]
            for number, chunk in zip(numbers, self._chunks(job, numbers), strict=False):
                chunks[number] = chunk
                files[number].parent.mkdir(parents=True, exist_ok=True)
                write_durably(files[number], safetensors.torch.save(chunk))
            bar.update(min(n, (numbers[-1] + 1) * self.generator.chunk))
        bar.close()
        return Samples.of([chunk for chunk in chunks if chunk is not None], n)

    def _chunks(self, job: Job, numbers: list[int]) -> list[dict[str, Tensor]]:
        """Make these chunks, one a rank, and return them on rank 0. Raises Stopped on all ranks."""
        mine, stopped = None, self.stop()
        if self.ranks.rank < len(numbers) and not stopped:
            try:
                mine = self._chunk(job, numbers[self.ranks.rank])
            except Stopped:
                stopped = True
        if self.ranks.any(stopped):
            raise Stopped
        return [chunk for chunk in self.ranks.gather(mine) if chunk is not None]

    def _chunk(self, job: Job, number: int) -> dict[str, Tensor]:
        begun = time.perf_counter()
        pictures, nfe = self.generator.chunk_of(
            number, job.sampler, job.weight, job.interval, job.sampling_seed
        )
        made = {"pictures": pictures.cpu(), "nfe": torch.tensor(nfe, dtype=torch.float64)}
        return {**made, "seconds": torch.tensor(time.perf_counter() - begun, dtype=torch.float64)}

    def _chunk_files(self, step: int, job: Job) -> Iterator[Path]:
        for i in range(-(-max(job.ns) // self.generator.chunk)):
            yield self.folder.path / "samples" / f"{job.name(step)}-{i:05d}.safetensors"

    @cached_property
    def reference(self) -> Features:
        """Features of the training pictures."""
        return self._real(self.images.train, "train")

    @cached_property
    def held_out(self) -> Features:
        """Features of the held-out pictures."""
        return self._real(self.images.held_out, "held-out")

    @cached_property
    def _held_out_values(self) -> dict[str, float]:
        """What held-out pictures themselves score: the floor of every value but the Frechet distance's."""
        return measure_all(self.held_out, self.reference)

    def _real(self, pictures: np.ndarray, part: str) -> Features:
        """Compute features of real pictures once for each (data, part, extractor), and keep them on disk."""
        key = f"{self.images.fingerprint} {part} {self.extractor.name} {self.extractor.sha256}"
        file = cache_folder() / f"features-{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"
        found = _read_chunk(file) if file.exists() else None
        if found is None:
            bar = Progress(f"features of {len(pictures)} {part} pictures", len(pictures), "picture")
            parts = []
            for i in range(0, len(pictures), 1000):
                parts.append(self.extractor(torch.from_numpy(pictures[i : i + 1000])))
                bar.update(min(i + 1000, len(pictures)))
            bar.close()
            features = Features.cat(parts)
            features.check_finite()
            found = {"pool": features.pool, "logits": features.logits}
            file.parent.mkdir(parents=True, exist_ok=True)
            write_durably(file, safetensors.torch.save(found))
        return Features(found["pool"], found["logits"])


@dataclass(frozen=True)
class Samples:
    """Pictures [n, C, H, W] uint8, network evaluations a picture, seconds that one device would take."""

    pictures: Tensor
    nfe: float
    seconds: float

    @classmethod
    def of(cls, chunks: list[dict[str, Tensor]], n: int) -> "Samples":
        """The first `n` pictures of these chunks, none where there are none."""
        pictures = [chunk["pictures"] for chunk in chunks]
        made = sum(map(len, pictures))
        nfe, seconds = (sum(chunk[key].item() for chunk in chunks) for key in ("nfe", "seconds"))
        return cls(
            torch.cat(pictures or [torch.empty(0)])[:n], nfe / max(1, len(chunks)), seconds * n / max(1, made)
        )


def _read_chunk(file: Path) -> dict[str, Tensor] | None:
    """Tensors of a file, or None where it is torn: it is made again."""
    try:
        return safetensors.torch.load(file.read_bytes())
    except (safetensors.SafetensorError, KeyError):
        return None
