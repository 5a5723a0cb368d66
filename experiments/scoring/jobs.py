"""What is to be sampled and scored. Imports no torch."""

from dataclasses import dataclass

from experiments.config.run import RunConfig
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
    """

    sampler: SamplerSpec
    guidance: GuidanceSpec
    ns: tuple[int, ...]
    average: str
    suffix: str = ""
    sampling_seed: int = 0

    def name(self, step: int) -> str:
        """Name for files, for example `00000800-heun-25-cfg1-seed0`."""
        made = f"{self.sampler.slug}-{self.guidance.slug}"
        return f"{step:08d}-{made}-seed{self.sampling_seed}{self.suffix}"


def final_jobs(config: RunConfig) -> list[Job]:
    """What is scored once training has ended: seeds x averages x samplers x guidances."""
    return [
        Job(sampler, guidance, config.eval.n, average, suffix_of(average, config.main_average), seed)
        for seed in range(config.eval.sampling_seeds)
        for average in config.averages
        for sampler in config.eval.sampler_specs
        for guidance in config.eval.guidance_specs
    ]


def curve_jobs(config: RunConfig) -> list[Job]:
    """What is scored during training: the first sampler and guidance, the main average, few pictures."""
    first = config.eval
    return [Job(first.sampler_specs[0], first.guidance_specs[0], (first.every_n,), config.main_average)]


def suffix_of(average: str, main: str) -> str:
    """What names of files and scores end with for this average, in a run whose scores count for another."""
    return "" if average == main else f"-ema-{average}"
