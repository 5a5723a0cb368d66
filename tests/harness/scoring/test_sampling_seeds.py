"""Noise and classes of the scoring: equal across arms, others for each training seed and sampling."""

import itertools
from dataclasses import replace

import pytest

from experiments.config.presets import preset
from experiments.config.run import MOST_SAMPLINGS, RunConfig
from experiments.records.score import sampling_index, sampling_seed, sampling_seeds
from experiments.scoring.jobs import curve_jobs, final_jobs

SMOKE = preset("smoke")
SEEDS = (0, 1, 2, 999, 1000, 2**63 // 1000 - 1, 2**53 + 1)
INDICES = (0, 1, MOST_SAMPLINGS - 1)


def run(seed: int, variant: str = "rope2d", **scoring: object) -> RunConfig:
    """A run whose scoring is repeated three times."""
    return replace(SMOKE, seed=seed, variant=variant, eval=replace(SMOKE.eval, sampling_seeds=3, **scoring))


def seeds_of(config: RunConfig) -> list[int]:
    return list(dict.fromkeys(job.sampling_seed for job in final_jobs(config)))


def test_no_two_samplings_have_one_seed_and_each_tells_its_index():
    found = {(seed, i): sampling_seed(seed, i) for seed, i in itertools.product(SEEDS, INDICES)}
    assert len(set(found.values())) == len(SEEDS) * len(INDICES)
    assert all(sampling_index(value) == i for (_, i), value in found.items())
    assert 0 <= min(found.values()) <= max(found.values()) < 2**63
    assert sampling_seed(2**63 - 1, MOST_SAMPLINGS - 1) < 2**63


@pytest.mark.parametrize("index", [-1, MOST_SAMPLINGS])
def test_a_sampling_that_would_have_the_seed_of_another_network_is_a_mistake(index):
    with pytest.raises(AssertionError, match="has no seed"):
        sampling_seed(3, index)


def test_a_run_is_scored_with_the_noise_of_its_seed_in_every_arm():
    assert seeds_of(run(2)) == seeds_of(run(2, "learned")) == [2000, 2001, 2002]
    assert seeds_of(run(0)) == [0, 1, 2]
    assert [job.sampling_seed for job in curve_jobs(run(2))] == [2000]


def test_fixed_noise_is_that_of_earlier_versions():
    for seed in (0, 2):
        assert seeds_of(run(seed, fixed_noise=True)) == [0, 1, 2]
        assert [job.sampling_seed for job in curve_jobs(run(seed, fixed_noise=True))] == [0]
    assert list(sampling_seeds(7, 2, fixed=True)) == [0, 1]
