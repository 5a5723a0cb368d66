"""The primary endpoint of a study: what its user chose, held against what the study scores."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from experiments.config.endpoint import EndpointConfig
from experiments.config.measures import measures, measures_on
from experiments.config.run import EvalConfig
from experiments.records.definition import Endpoint
from experiments.records.paths import located
from experiments.scoring.jobs import final_jobs
from experiments.scoring.metrics import value_name
from rope_dit.errors import UserError, check, nearest
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.samplers.spec import SamplerSpec

if TYPE_CHECKING:
    from experiments.config.run import RunConfig
    from experiments.config.study import StudyConfig
    from experiments.coordinator.plan import Plan
    from experiments.scoring.extractors.base import Extractor

USUAL = "fd"
T = TypeVar("T")


def endpoint_of(base: "RunConfig", extractor: str, chosen: EndpointConfig, samplings: int) -> Endpoint:
    """The endpoint of a study with these settings, in which `in_front` put its parts first.

    It is the mean over so many `samplings`, those of the study's first start.
    """
    config, value = base.eval, value_of(chosen.metric, extractor, base.data.data_set)
    measure = measures()[value]
    return Endpoint(
        metric=value_name(value, measure.seen_by(extractor)), extractor=measure.seen_by(extractor),
        sampler=str(config.sampler_specs[0]), guidance=str(config.guidance_specs[0]), ema=base.main_average,
        n=config.n[0], train_step=base.train.steps, better=measure.better, learned=measure.learned,
        classes=config.classes, samplings=samplings, fixed_noise=config.fixed_noise,
    )  # fmt: skip


def value_of(metric: str, extractor: str, data_set: str) -> str:
    """The value of a metric of this data set that is meant: by its own name or a score's, such as fd_digits.

    Raises UserError where there is none.
    """
    known = measures_on(data_set)
    for value in known:
        if (metric or USUAL) in (value, value_name(value, extractor)):
            return value
    raise UserError(f"endpoint.metric got '{metric}', expected one of {', '.join(sorted(known))}."
                    f"{nearest(metric, list(known))}")  # fmt: skip


def in_front(config: EvalConfig, wanted: EndpointConfig, saved: "Plan | None") -> EvalConfig:
    """Settings of the scoring with the endpoint's sampler, guidance and n first.

    What is not said now is as in the study that is there, if it was said then; its guidance is also where it
    is asked for again. Else it is the first sampler and n, and no guidance, or the first where all guide.
    Raises UserError for what is not among those that are scored.
    """
    was, before = (saved.chosen, saved.base.eval) if saved else (EndpointConfig(), config)
    samplers: dict[str, str] = {}  # as the settings have them, by canonical spec
    guidances: dict[str, str] = {}
    for one in (before, config):
        samplers |= dict(zip(map(str, one.sampler_specs), one.samplers, strict=True))
        guidances |= dict(zip(map(str, one.guidance_specs), one.guidances, strict=True))
    sampler = str((before if was.sampler else config).sampler_specs[0])
    plain = [spec for spec in config.guidance_specs if spec.is_off]
    guidance, had = str((plain or config.guidance_specs)[0]), before.guidance_specs[0]
    if was.guidance or (saved and had in config.guidance_specs):
        guidance = str(had)
    n = (before if was.n else config).n[0]
    if wanted.sampler:
        sampler = _meant("sampler", SamplerSpec, wanted.sampler, samplers)
    if wanted.guidance:
        guidance = _meant("guidance", GuidanceSpec, wanted.guidance, guidances)
    if wanted.n:
        n = _one_of("n", wanted.n, config.n)
    return replace(
        config,
        samplers=_first(samplers[sampler], config.samplers),
        guidances=_first(guidances[guidance], config.guidances),
        n=_first(n, config.n) if n in config.n else config.n,
    )


def said(wanted: EndpointConfig, saved: "Plan | None") -> EndpointConfig:
    """What was chosen, now or when the study began; the extractor is one of the study's facts already.

    A guidance that the study has because all of its guide is written down, for none may be added.
    """
    before = dict(vars(saved.chosen)) if saved else {}
    if saved and not GuidanceSpec.parse(guidance := saved.endpoint().guidance).is_off:
        before["guidance"] = guidance
    missing = {key: value for key, value in before.items() if not getattr(wanted, key)}
    return replace(wanted, **{**missing, "extractor": ""})


def best_guidance(
    config: "StudyConfig", saved: "Plan | None", base: "RunConfig"
) -> tuple[tuple[str, str], ...]:
    """(guidance, average) among which each arm takes its best, where that secondary endpoint is declared.

    They are chosen on samplings that they are not scored on, so those of a study's first start stay.

    Args:
        config: what is asked for.
        saved: the study that is there.
        base: what all runs share.

    Raises UserError where there is nothing to choose, or nothing apart to choose it on.
    """
    if saved and (saved.best_guidance or not config.secondary):
        return saved.best_guidance
    if "best_guidance" not in config.secondary:
        return ()
    found = dict.fromkeys((str(job.guidance), job.average) for job in final_jobs(base))
    check(len(found) > 1, "secondary", "best_guidance", "two or more of eval.guidances or eval.averages")
    several = base.eval.sampling_seeds > 1
    check(
        several,
        "secondary",
        "best_guidance",
        "eval.sampling-seeds of 2 or more: one half chooses, one scores",
    )
    return tuple(found)


def check_endpoint(plan: "Plan", got: str, extractor: "Extractor") -> None:
    """Raise UserError for an endpoint that the study does not score, or that says little.

    Args:
        plan: the study.
        got: the extractor that is asked for, '' for any.
        extractor: the study's.
    """
    end, base = plan.endpoint(), plan.base
    named = located(replace(base, eval=replace(base.eval, extractor=got or extractor.name))).eval.extractor
    expected = f"{extractor.name}, with which this study scores; choose another by --eval.extractor"
    check(named in (extractor.name, base.eval.extractor), "endpoint.extractor", got, expected)
    value = value_of(plan.chosen.metric, extractor.name, base.data.data_set)
    needs = measures()[value].needs_rank
    expected = f"more than the {extractor.dim} features of {extractor.name}: below, "
    check(end.n > extractor.dim or not needs, "eval.n", end.n, expected + f"{end.metric} says little")


def check_floor(plan: "Plan", extractor: "Extractor", held_out: int) -> None:
    """Raise UserError where the margin is a share of the distance from a real floor that cannot be told.

    Args:
        plan: a new study; those that have begun keep the floors of their scores.
        extractor: the study's.
        held_out: number of held-out pictures.
    """
    from experiments.scoring.floors import RANK, enough, floor_size

    end = plan.endpoint()
    value = value_of(plan.chosen.metric, extractor.name, plan.base.data.data_set)
    if plan.margin_unit != "gap" or measures()[value].metric != "frechet":
        return
    if not enough(end.n, held_out, end.classes, extractor.dim):
        there, needed = floor_size(end.n, held_out, end.classes), RANK * extractor.dim
        raise UserError(
            f"the margin is a share of the baseline's distance from the real floor, and {end.metric} of "
            f"{end.n:,} real pictures cannot be told from {there:,} held-out ones: that takes {needed:,}, "
            f"twice the features of {extractor.name}. Give it in units of {end.metric}: "
            "--margin X --margin-unit absolute."
        )


def _meant(name: str, kind: type[SamplerSpec | GuidanceSpec], text: str, known: Collection[str]) -> str:
    """The canonical spec that is meant, today's or one that only lacks later options."""
    now, stored = (str(kind.parse(text, stored=stored)) for stored in (False, True))
    return stored if stored in known and now not in known else _one_of(name, now, known)


def _one_of(name: str, got: T, known: Collection[T]) -> T:
    if got not in known:
        scored = ", ".join(map(str, known))
        raise UserError(f"endpoint.{name} got {got}, expected one of those that are scored: {scored}.")
    return got


def _first(item: T, items: Sequence[T]) -> tuple[T, ...]:
    """These items, with `item` before all others."""
    return (item, *(other for other in items if other != item))
