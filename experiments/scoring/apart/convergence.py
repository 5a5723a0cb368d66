"""How far samplers are from the exact solution of a network's equation, and what their pictures score.

The exact solution is classical Runge-Kutta's at `EXACT`. Distances are those of the same pictures: the same
network, noise and classes. Stochastic samplers have none, because their paths are others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from experiments.cli.progress import Progress
from experiments.datasets.batches import to_uint8
from experiments.scoring.extractors.base import Features
from experiments.scoring.metrics import measure_all
from experiments.scoring.score import Scorer
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.registry import SOLVERS
from rope_dit.samplers.spec import SamplerSpec

EXACT = SamplerSpec.parse("rk4:steps=1000")


@dataclass(frozen=True)
class Point:
    """A sampler at one cost.

    Args:
        sampler: its spec.
        nfe: network evaluations a picture, counted.
        distance: root mean square over pixels in [-1, 1] and pictures; nan of stochastic samplers.
        values: of all metrics.
    """

    sampler: SamplerSpec
    nfe: float
    distance: float
    values: dict[str, float]


def at_equal_cost(
    solvers: Sequence[str], nfes: Sequence[int], tolerances: Sequence[float]
) -> list[SamplerSpec]:
    """Each solver with as many steps as each number of evaluations allows, where it allows one.

    Adaptive solvers come with each tolerance, for `rtol` and `atol` alike.

    >>> [str(s) for s in at_equal_cost(["heun", "rk4", "dopri5"], [2, 4], [0.01])]
    ['heun:grid=uniform,steps=1', 'heun:grid=uniform,steps=2', 'rk4:grid=uniform,steps=1', \
'dopri5:atol=0.01,rtol=0.01']
    """
    made: list[SamplerSpec] = []
    for solver in solvers:
        name, colon, options = solver.partition(":")
        joined = f"{name}:{options}," if colon else f"{name}:"
        claims = SOLVERS[name].claims
        if claims.get("adaptive"):
            texts = [f"{joined}rtol={tolerance:g},atol={tolerance:g}" for tolerance in tolerances]
            made += map(SamplerSpec.parse, texts)
            continue
        for nfe in nfes:
            steps = (nfe - int(claims.get("start_evals", 0))) // int(claims["evals_per_step"])
            if steps >= 1:
                made.append(SamplerSpec.parse(f"{joined}steps={steps}"))
    return made


def converge(
    scorer: Scorer, samplers: Sequence[SamplerSpec], guidance: GuidanceSpec, n: int, sampling_seed: int
) -> Iterator[Point]:
    """Yield a point of each sampler; distances are those of the first chunk of pictures.

    Args:
        scorer: of the run; its generator has the weights.
        samplers: what to compare.
        guidance: the same for all.
        n: pictures that scores are made of.
        sampling_seed: of noise and classes.
    """
    generator, reference = scorer.generator, scorer.reference
    bar = Progress("exact solution, then samplers", len(samplers) + 1, "sampler")
    exact, _ = generator.solved(0, EXACT, guidance, sampling_seed)
    for done, sampler in enumerate(samplers, 1):
        bar.update(done, str(sampler))
        features, distance, nfe = [], float("nan"), 0.0
        for number in range(-(-n // generator.chunk)):
            x, nfe = generator.solved(number, sampler, guidance, sampling_seed)
            if number == 0 and not SOLVERS[sampler.solver].claims.get("stochastic"):
                distance = rms(x, exact)
            features.append(scorer.extractor(to_uint8(x)))
        yield Point(sampler, nfe, distance, measure_all(Features.cat(features)[:n], reference.train))
    bar.update(len(samplers) + 1)
    bar.close()


def rms(x: Tensor, exact: Tensor) -> float:
    """Root mean square of a difference.

    >>> from torch import tensor
    >>> rms(tensor([1.0, 2.0, 0.0, 0.0]), tensor([1.0, 0.0, 0.0, 0.0]))
    1.0
    """
    return float((x - exact).double().square().mean().sqrt())
