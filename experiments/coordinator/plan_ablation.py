"""From what a study's user asks for to its plan: all checks, before anything is written."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.config.canonical import canonical_like, keeping
from experiments.config.identity import as_before
from experiments.config.launch import usable_cores
from experiments.config.run import RunConfig
from experiments.config.study import StudyConfig, study
from experiments.coordinator.arm import Arm, parse_arms
from experiments.coordinator.copies.weights import check_reachable
from experiments.coordinator.endpoint import (
    best_guidance,
    check_endpoint,
    check_floor,
    in_front,
    said,
)
from experiments.coordinator.plan import Plan, read_plan, read_saved
from experiments.coordinator.replacing import Identities, check_runs, decided, is_aside, replacements
from experiments.coordinator.seals import joined
from experiments.records.paths import located
from experiments.runner.resolve import Resolved, resolve
from rope_dit.errors import UserError, check, nearest
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.samplers.spec import SamplerSpec


def plan_ablation(config: StudyConfig) -> tuple[Plan, Resolved]:
    """The study as asked for and as it stands, with one of its runs resolved. Raises UserError.

    Every arm is resolved, those too that only the study has, so that what cannot work, or is no longer what
    its runs were trained as, is refused before anything is written.
    """
    path = (config.studies / config.title).absolute()
    saved = read_plan(path)
    base = shared_settings(config, path, saved)
    arms = as_saved(parse_arms(config.specs, base), config.specs, saved)
    known = saved.identities if saved else {}
    resolved = resolve_arms({**(saved.arms if saved else {}), **arms}, base, path, known)
    now = {label: without_seed(one.identity) for label, one in resolved.items()}
    first = resolved[next(iter(arms))]
    base = replace(base, device=first.config.device)
    plan = Plan(
        path, "ablate", base, arms, tuple(range(config.seeds)), baseline_of(config, saved, arms),
        comparisons=(), facts=facts(first), planned_seeds=config.seeds,
        chosen=said(config.endpoint, saved), **margin_of(config, saved),
        planned_looks=config.looks or (saved.planned_looks if saved else ()),
        samplings=saved.samplings if saved else base.eval.sampling_seeds,
        best_guidance=best_guidance(config, saved, base),
        identities=now, replaced=replacements(config.replace, saved, now),
    )  # fmt: skip
    plan = joined(with_comparisons(plan, config, saved))
    check_endpoint(plan, config.endpoint.extractor, first.extractor)
    if saved is None:
        check_floor(plan, first.extractor, len(first.images.held_out))
    check_runs(plan, now)
    if not config.retrain:
        check_reachable([cell for cell in plan.cells() if not is_aside(plan, cell)])
    return plan, first


def as_saved(arms: Mapping[str, Arm], texts: Sequence[str], saved: Plan | None) -> dict[str, Arm]:
    """Arms as asked for, but those that the study has and that only lack later options as it has them."""
    before = {arm.label: arm for arm in (Arm.parse(text, stored=True) for text in texts)}
    there = saved.arms if saved else {}
    return {label: before[label] if before[label] == there.get(label) else arm for label, arm in arms.items()}


def specs_as_saved(
    kind: type[SamplerSpec | GuidanceSpec], texts: Sequence[str], saved: Sequence[SamplerSpec | GuidanceSpec]
) -> tuple[str, ...]:
    """Specs as asked for, but those that the study has and that only lack later options as it has them."""
    there = set(map(str, saved))

    def known(text: str) -> str:
        now, before = (str(kind.parse(text, stored=stored)) for stored in (False, True))
        return before if before in there and now not in there else now

    return tuple(map(known, texts))


def shared_settings(config: StudyConfig, path: Path, saved: Plan | None) -> RunConfig:
    """What all runs share, with absolute paths and the threads of a run, which are part of its identity.

    A study that is older than some settings keeps their neutral values.
    """
    base = config.run()
    if saved and (written := read_saved(path)):
        base = as_before(base, written.base, study(config.preset).run(), rewritten=True)
        samplers = specs_as_saved(SamplerSpec, base.eval.samplers, saved.base.eval.sampler_specs)
        guidances = specs_as_saved(GuidanceSpec, base.eval.guidances, saved.base.eval.guidance_specs)
        base = replace(base, eval=replace(base.eval, samplers=samplers, guidances=guidances))
    base = canonical_like(base, saved.base if saved else None)
    base = keeping(base, saved.base.train.averages, path) if saved else base
    first = f"{base.main_average}, the first of train.averages, on which verdicts stand, among them"
    scored = base.averages + (saved.base.averages if saved else ())
    check(base.main_average in scored, "eval.averages", " ".join(base.averages), first)
    base = replace(base, eval=in_front(base.eval, config.endpoint, saved))
    threads = base.train.threads or (saved.base.train.threads if saved else threads_of_a_run(config))
    return located(replace(base, train=replace(base.train, threads=threads)))


def threads_of_a_run(config: StudyConfig) -> int:
    """Share of this machine's cores for each run at a time: two runs are faster than one in two threads."""
    return max(1, usable_cores() // (config.launch.workers or usable_cores()))


def resolve_arms(
    arms: Mapping[str, Arm], base: RunConfig, path: Path, known: Identities
) -> dict[str, Resolved]:
    """Check each arm as `experiments.run` would, with what is `known` of it; by label. Raises UserError."""
    found: dict[str, Resolved] = {}
    for label, arm in arms.items():
        try:
            images = next((one.images for one in found.values()), None)  # all arms have the same
            config = decided(arm.config(base), known.get(label, {}))
            found[label] = resolve(replace(config, out=path / "runs" / ".new"), images=images)
        except UserError as error:
            raise UserError(f"arm {label}: {error}", error.details) from None
    return found


def without_seed(identity: Mapping[str, str]) -> dict[str, str]:
    """What the runs of an arm have in common."""
    return {key: text for key, text in identity.items() if key != "seed"}


def facts(resolved: Resolved) -> dict[str, str]:
    """What a study's identity takes from data and extractor."""
    extractor = resolved.extractor
    return {
        "extractor": extractor.name,
        "extractor SHA-256": extractor.sha256,
        "data fingerprint": resolved.images.fingerprint,
    }


def baseline_of(config: StudyConfig, saved: Plan | None, arms: Mapping[str, Arm]) -> str:
    """Label of the baseline. Raises UserError where it is no arm."""
    labels = [*(saved.arms if saved else ()), *arms]
    if not config.baseline:
        if saved:
            return saved.baseline
        usual = ("learned-tuned", "learned") if config.from_tuned else ("learned",)
        return next((label for label in usual if label in labels), labels[0])
    if config.baseline not in labels:
        raise UserError(f"baseline got '{config.baseline}', expected one of the arms {', '.join(labels)}."
                        f"{nearest(config.baseline, labels)}")  # fmt: skip
    return config.baseline


def margin_of(config: StudyConfig, saved: Plan | None) -> dict[str, Any]:
    """Margin and unit of a Plan: a study of before there were units keeps what is not said otherwise now."""
    asked: dict[str, Any] = {"margin": config.margin, "margin_unit": config.margin_unit}
    if saved is None or saved.margin_unit != "mean":
        return asked
    before = {"margin": saved.margin, "margin_unit": saved.margin_unit}
    return {key: before[key] if asked[key] == getattr(StudyConfig, key) else asked[key] for key in asked}


def with_comparisons(plan: Plan, config: StudyConfig, saved: Plan | None) -> Plan:
    """The plan with its comparisons: verdicts stand on those of the arms to confirm, or on all.

    Raises UserError for one to confirm that is compared with nothing.
    """
    pairs, before = comparisons(plan, config), saved.comparisons + saved.explored if saved else ()
    confirmed = tuple(sorted(config.confirm)) or (saved.confirmed if saved else ())
    known = list(dict.fromkeys(arm for arm, _ in (*before, *pairs)))
    for label in confirmed:
        expected = f"arms that are compared: {', '.join(known) or 'there are none'}.{nearest(label, known)}"
        check(label in known, "confirm", label, expected.rstrip("."))
    family = tuple(pair for pair in pairs if not confirmed or pair[0] in confirmed)
    rest = tuple(pair for pair in pairs if pair not in family)
    return replace(plan, comparisons=family, explored=rest, confirmed=confirmed)


def comparisons(plan: Plan, config: StudyConfig) -> tuple[tuple[str, str], ...]:
    """All differences of interest: each arm's from the baseline; after tuning also what tuning gained."""
    if not config.from_tuned:
        return tuple((label, plan.baseline) for label in plan.arms if label != plan.baseline)
    tuned = [label for label in plan.arms if label.endswith("-tuned")]
    gains = [(label, label.removesuffix("-tuned")) for label in tuned]
    return (*gains, *((label, plan.baseline) for label in tuned if label != plan.baseline))
