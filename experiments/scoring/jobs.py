"""What is to be sampled and scored, and what of it is still to be done. Imports no torch."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from experiments.config.measures import measures_on
from experiments.config.run import RunConfig
from experiments.records.score import NOTHING, Score, sampling_seeds
from experiments.scoring.metrics import value_name
from rope_dit.averages.names import named
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.samplers.spec import SamplerSpec


@dataclass(frozen=True)
class Job:
    """One set of pictures and the numbers of pictures to score of it.

    Args:
        sampler, guidance: how they are made.
        ns: numbers of pictures.
        average: name of the weights that make them.
        suffix: what tells the weights apart in files' names; empty for the run's first average.
        sampling_seed: of noise and classes.
        classes: how these are drawn.
    """

    sampler: SamplerSpec
    guidance: GuidanceSpec
    ns: tuple[int, ...]
    average: str
    suffix: str = ""
    sampling_seed: int = 0
    classes: str = "data"

    def name(self, step: int) -> str:
        """Name for files, for example `00000800-heun-25-cfg1-seed0`."""
        made = f"{self.sampler.slug}-{self.guidance.slug}"
        return f"{step:08d}-{made}-seed{self.sampling_seed}{self.suffix}"


def final_jobs(config: RunConfig) -> list[Job]:
    """What is scored once training has ended: seeds x averages x samplers x guidances.

    Without the average that a guidance takes for the weaker weights: it would guide itself.
    """
    return [
        Job(sampler, guidance, config.eval.n, average, suffix_of(average, config.main_average), seed,
            config.eval.classes)
        for seed in _seeds(config, config.eval.sampling_seeds)
        for average in config.averages
        for sampler in config.eval.sampler_specs
        for guidance in config.eval.guidance_specs
        if not guidance.weak or named(guidance.weak, [average]) is None
    ]  # fmt: skip


def curve_jobs(config: RunConfig) -> list[Job]:
    """What is scored during training: the first sampler and guidance, the main average, few pictures."""
    first = config.eval
    return [
        Job(sampler=first.sampler_specs[0], guidance=first.guidance_specs[0], ns=(first.every_n,),
            average=config.main_average, sampling_seed=seed, classes=first.classes)
        for seed in _seeds(config, 1)
    ]  # fmt: skip


def _seeds(config: RunConfig, count: int) -> range:
    return sampling_seeds(config.seed, count, fixed=config.eval.fixed_noise)


def unscored(
    scores: Iterable[Score],
    extractor: str,
    data_set: str,
    step: int,
    jobs: Sequence[Job],
    metrics: Collection[str] | None = None,
) -> list[Job]:
    """Jobs at training step `step` of which these scores lack one.

    Args:
        scores: those there are.
        extractor: name by which scores are called, such as digits; those of others do not count.
        data_set: name of the pictures' data set, as registered.
        step: training step.
        jobs: what is asked for.
        metrics: names of scores that each job is to have; by default of all metrics that are registered.
    """
    metrics = registered(extractor, data_set) if metrics is None else metrics
    keys = (score.key for score in scores)
    there = {
        (key.sampler, key.guidance, key.ema, key.sampling_seed, key.classes, key.n, key.metric)
        for key in keys
        if key.train_step == step and key.extractor in (extractor, NOTHING)
    }

    def done(job: Job) -> bool:
        made = (str(job.sampler), str(job.guidance), job.average, job.sampling_seed, job.classes)
        return all((*made, n, metric) in there for n in job.ns for metric in metrics)

    return [job for job in jobs if not done(job)]


def registered(extractor: str, data_set: str) -> list[str]:
    """Names of all scores that the registered metrics give with this extractor on this data set."""
    return [value_name(value, one.seen_by(extractor)) for value, one in measures_on(data_set).items()]


def suffix_of(average: str, main: str) -> str:
    """What names of files and scores end with for this average, in a run whose scores count for another."""
    return "" if average == main else f"-ema-{average}"
