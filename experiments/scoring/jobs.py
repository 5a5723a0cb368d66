"""What is to be sampled and scored. Imports no torch."""

from dataclasses import dataclass

from experiments.config.run import EvalConfig
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.samplers.spec import SamplerSpec


@dataclass(frozen=True)
class Job:
    """One set of pictures and the numbers of pictures to score of it."""

    sampler: SamplerSpec
    guidance: GuidanceSpec
    ns: tuple[int, ...]
    sampling_seed: int = 0

    def name(self, step: int) -> str:
        """Name for files, for example `00000800-heun-25-cfg1-seed0`."""
        return f"{step:08d}-{self.sampler.slug}-{self.guidance.slug}-seed{self.sampling_seed}"


def final_jobs(config: EvalConfig) -> list[Job]:
    """What is scored once training has ended: seeds x samplers x guidances."""
    return [
        Job(sampler, guidance, config.n, seed)
        for seed in range(config.sampling_seeds)
        for sampler in config.sampler_specs
        for guidance in config.guidance_specs
    ]


def curve_jobs(config: EvalConfig) -> list[Job]:
    """What is scored during training: the first sampler at the first guidance, with few pictures."""
    return [Job(config.sampler_specs[0], config.guidance_specs[0], (config.every_n,))]
