"""What is to be sampled, scored and probed, and what of it is still to be done.

Imports no torch, unless it has to ask what an extrapolation means for a variant.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from experiments.config.measures import measures_on, probe_values
from experiments.config.run import ALL, EvalConfig, RunConfig
from experiments.records.score import NOTHING, TRAINED, Score, larger_name, sampling_seeds
from experiments.scoring.metrics import value_name
from rope_dit.averages.names import named
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.registry import EXTRAPOLATIONS
from rope_dit.samplers.spec import SamplerSpec
from rope_dit.words import listed

ANY_GRID = (8, 8)
"""of tokens: what an extrapolation means for a variant does not depend on it"""


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
        tokens: grid of tokens, as `12x12`; `trained` for that of the training.
        extrapolation: what is done about places beyond the trained ones.
    """

    sampler: SamplerSpec
    guidance: GuidanceSpec
    ns: tuple[int, ...]
    average: str
    suffix: str = ""
    sampling_seed: int = 0
    classes: str = "data"
    tokens: str = TRAINED
    extrapolation: str = "none"

    def name(self, step: int) -> str:
        """Name for files, for example `00000800-heun-25-cfg1-seed0`."""
        made = f"{self.sampler.slug}-{self.guidance.slug}{larger_name(self.tokens, self.extrapolation)}"
        return f"{step:08d}-{made}-seed{self.sampling_seed}{self.suffix}"

    def __str__(self) -> str:
        """For people."""
        made = f"{self.sampler}, guidance {self.guidance}, {self.average}, n = {listed(map(str, self.ns))}"
        tokens = "" if self.tokens == TRAINED else f", {self.tokens} tokens, {self.extrapolation}"
        return f"{made}, sampling seed {self.sampling_seed}{tokens}"


@dataclass(frozen=True)
class Probing:
    """One probe of the network with one average's weights.

    Args:
        probe: its spec.
        average: name of the weights.
    """

    probe: str
    average: str

    def __str__(self) -> str:
        """For people."""
        return f"probe {self.probe}, {self.average}"


@dataclass(frozen=True)
class Work:
    """All that is scored once training has ended, or what of it is left; true where anything is."""

    jobs: tuple[Job, ...] = ()
    probings: tuple[Probing, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.jobs or self.probings)

    def __iter__(self) -> Iterator[Job | Probing]:
        return iter((*self.jobs, *self.probings))


def final_work(config: RunConfig) -> Work:
    """Everything that is scored once training has ended: pictures, those on other grids, and probes."""
    probings = [Probing(spec, average) for average in config.averages for spec in config.eval.probes]
    return Work((*final_jobs(config), *larger_jobs(config)), tuple(probings))


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


def larger_jobs(config: RunConfig) -> list[Job]:
    """What is scored on other grids of tokens: with all that the first of the final jobs has, and each form.

    Without extrapolations that have no meaning for the run's variant, see `left_out`.
    """
    if not config.eval.token_grids:
        return []
    first, refused = final_jobs(config)[0], left_out(config)
    forms = [spec for spec in extrapolations(config.eval) if spec not in refused]
    return [replace(first, ns=first.ns[:1], tokens=tokens, extrapolation=form)
            for tokens in config.eval.token_grids for form in forms]  # fmt: skip


def left_out(config: RunConfig) -> dict[str, str]:
    """Extrapolations that are asked for and have no meaning for the run's variant, each with the reason.

    It is asked of the variant alone, as built for any grid: no other part of a model is made.
    """
    if not config.eval.token_grids:
        return {}
    from rope_dit.pos_embed.base import Geometry
    from rope_dit.pos_embed.larger import why_not

    model = config.model
    shape = model.dim, model.num_heads, model.head_dim, model.depth
    geometry = Geometry(*shape, ANY_GRID, model.positions)
    reasons = {spec: why_not(config.variant, geometry, spec) for spec in extrapolations(config.eval)}
    return {spec: reason for spec, reason in reasons.items() if reason}


def said_left_out(config: RunConfig) -> list[str]:
    """A line that names the extrapolations that are left out of a run, if any are."""
    if not (refused := left_out(config)):
        return []
    grids = listed(config.eval.token_grids)
    return [
        f"{config.arm_name}: left out on {grids} tokens: {listed(refused)}; it has nothing on which they act"
    ]


def extrapolations(config: EvalConfig) -> list[str]:
    """Canonical specs of what is asked for; `all` is every registered one that can stand alone."""
    if config.extrapolations != (ALL,):
        return [EXTRAPOLATIONS.canonical(spec) for spec in config.extrapolations]
    names = [entry.name for entry in EXTRAPOLATIONS if entry.claims.get("acts_on") != "time"]
    return sorted(map(EXTRAPOLATIONS.canonical, names), key=lambda spec: (spec != "none", spec))


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
        (key.sampler, key.guidance, key.ema, key.sampling_seed, key.classes, key.tokens, key.extrapolation,
         key.n, key.metric)
        for key in keys
        if key.train_step == step and key.extractor in (extractor, NOTHING)
    }  # fmt: skip

    def done(job: Job) -> bool:
        made = (str(job.sampler), str(job.guidance), job.average, job.sampling_seed, job.classes)
        place = (job.tokens, job.extrapolation)
        return all((*made, *place, n, metric) in there for n in job.ns for metric in metrics)

    return [job for job in jobs if not done(job)]


def unprobed(scores: Iterable[Score], step: int, probings: Sequence[Probing]) -> list[Probing]:
    """Probes at training step `step` of which these scores have no value: not all need be there."""
    keys = [score.key for score in scores]
    there = {(key.ema, key.metric) for key in keys if key.train_step == step and key.sampler == NOTHING}
    return [
        one for one in probings if not any((one.average, value) in there for value in probe_values(one.probe))
    ]


def registered(extractor: str, data_set: str) -> list[str]:
    """Names of all scores that the registered metrics give with this extractor on this data set."""
    return [value_name(value, one.seen_by(extractor)) for value, one in measures_on(data_set).items()]


def suffix_of(average: str, main: str) -> str:
    """What names of files and scores end with for this average, in a run whose scores count for another."""
    return "" if average == main else f"-ema-{average}"
