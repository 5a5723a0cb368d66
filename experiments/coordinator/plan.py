"""A study as it stands in its folder: what is frozen, what may grow, and which cells follow from it.

study.json      settings, arms, seeds, primary endpoint, looks, and the chain that seals them
lock, owner     held by the one coordinator, and which process that is
cells/ logs/    settings and output of each cell's process
runs/           run folders: what is true about the study
optuna.db       a projection for optuna-dashboard
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from experiments.config.canonical import scoring
from experiments.config.endpoint import EndpointConfig
from experiments.config.former import upgraded
from experiments.config.identity import read_settings
from experiments.config.registries import PROBES
from experiments.config.run import ALL, EvalConfig, RunConfig
from experiments.config.text import flatten, from_json, read_json, to_json
from experiments.coordinator.arm import Arm
from experiments.coordinator.cell import Cell
from experiments.coordinator.endpoint import endpoint_of, in_front
from experiments.coordinator.replacing import check_unchanged, decided
from experiments.records.definition import Definition, Endpoint, Look, Replacement, in_common
from experiments.records.seal import sealed, unsealed
from experiments.records.sealing.chain import LOOK, Chain, extended
from rope_dit.config import NOT_WEIGHTS, Neutral
from rope_dit.durable import write_durably
from rope_dit.errors import UserError, check
from rope_dit.registry import EXTRAPOLATIONS
from rope_dit.words import differing

GROWING = (
    "eval.averages",
    "eval.samplers",
    "eval.guidances",
    "eval.sampling_seeds",
    "eval.probes",
    "eval.token_grids",
    "eval.extrapolations",
)  # what may be added to a study
ELSEWHERE = ("data.name", "data.root", *(f"train.{name}" for name in NOT_WEIGHTS))
ELSEWHERE += ("eval.extractor", "eval.inception_weights")  # its name and hash are what is frozen
_PARTS = ("data", "model", "train", "eval")
RESTORE = "restore it, or choose another --name"


@dataclass(frozen=True)
class Plan:
    """A study, ready to be carried out.

    Args:
        path: its folder.
        kind: ablate or tune.
        base: settings that all runs share, with device and threads resolved.
        arms: by label.
        seeds: training seeds.
        baseline: label of the arm that the others are compared with.
        margin: difference too small to matter.
        comparisons: (arm, reference), on which verdicts stand.
        explored: the other ones, which get no verdict.
        facts: more that is frozen: the extractor's name and hash, the data's fingerprint, what tuning may do.
        planned_seeds: as many as at the first start.
        looks: when verdicts were drawn, and from what.
        created: seconds since 1970.
        chosen: what of the primary endpoint was chosen; the rest is as usual.
        planned_looks: numbers of seeds at which verdicts are drawn before the last.
        confirmed: arms to whose comparisons the family was confined at the first start; none: all.
        best_guidance: (guidance, average) among which each arm takes its best in the secondary endpoint of
            that name; none where it was not declared at the first start.
        chain: what seals it, see `experiments.records.sealing.chain`.
        samplings: of each network over which the primary endpoint is the mean, those of the first start;
            more are exploratory.
        margin_unit: gap (a share of the baseline's distance from the real floor), absolute, or mean (a share
            of its mean, in studies of before there were units).
        identities: of each arm what its runs have in common of their identities, all but the seed; none of
            an arm that was begun by a version that did not write them down.
        replaced: arms that were trained again.
    """

    path: Path
    kind: str
    base: RunConfig
    arms: Mapping[str, Arm]
    seeds: tuple[int, ...]
    baseline: str
    margin: float
    comparisons: tuple[tuple[str, str], ...]
    facts: Mapping[str, str]
    planned_seeds: int
    looks: tuple[Look, ...] = ()
    created: float = field(default_factory=time.time)
    chosen: EndpointConfig = field(default_factory=EndpointConfig)
    planned_looks: tuple[int, ...] = ()
    confirmed: tuple[str, ...] = ()
    explored: tuple[tuple[str, str], ...] = ()
    best_guidance: tuple[tuple[str, str], ...] = ()
    chain: Chain = ()
    samplings: int = 1
    margin_unit: str = "gap"
    identities: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    replaced: tuple[Replacement, ...] = ()

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.base.study

    @property
    def runs(self) -> Path:
        """Folder of run folders."""
        return self.path / "runs"

    def cells(self) -> list[Cell]:
        """All cells, seed by seed, so that an unfinished study has whole pairs."""
        found = self.identities
        configs = [decided(arm.config(self.base), found.get(label, {})) for label, arm in self.arms.items()]
        return [self.cell(config, seed) for seed in self.seeds for config in configs]

    def cell(self, config: RunConfig, seed: int) -> Cell:
        """The cell of an arm's settings and a seed."""
        return Cell.of(config, seed, self.runs, self.facts["extractor"])

    def endpoint(self) -> Endpoint:
        """The primary endpoint: the one score on which verdicts stand."""
        return endpoint_of(self.base, self.facts["extractor"], self.chosen, self.samplings)

    def definition(self) -> Definition:
        """What the tracking store keeps of it."""
        config = self.base.eval
        whole = {label: self.identities.get(label, {}) for label in self.arms}
        shared = in_common(whole.values())
        own = {label: dict(found.items() - shared.items()) for label, found in whole.items()}
        return Definition(
            name=self.name, kind=self.kind, created=self.created, preset=self.base.preset,
            data=self.base.data.name, endpoint=self.endpoint(),
            arms=tuple(arm.record(own[label]) for label, arm in self.arms.items()), seeds=self.seeds,
            samplers=tuple(map(str, config.sampler_specs)), guidances=tuple(map(str, config.guidance_specs)),
            sampling_seeds=config.sampling_seeds, baseline=self.baseline, margin=self.margin,
            comparisons=self.comparisons, planned_seeds=self.planned_seeds, looks=self.looks,
            margin_unit=self.margin_unit,
            identity=shared, replaced=self.replaced,
            planned_looks=self.planned_looks, confirmed=self.confirmed, explored=self.explored,
            best_guidance=self.best_guidance, chain=self.chain,
        )  # fmt: skip

    def identity(self) -> dict[str, str]:
        """Everything that may not change once the study has begun, as text."""
        shared = flatten({part: asdict(getattr(self.base, part)) for part in _PARTS})
        frozen = {k: v for k, v in shared.items() if k not in (*GROWING, *ELSEWHERE)}
        endpoint = {f"endpoint {key}": str(value) for key, value in asdict(self.endpoint()).items()}
        return {
            **frozen, **endpoint, **self.facts, "kind": self.kind, "preset": self.base.preset,
            "device": self.base.device, "baseline": self.baseline, "margin": str(self.margin),
            "margin unit": self.margin_unit,
            "looks": " ".join(map(str, self.planned_looks)) or "none planned",
            "confirm": " ".join(sorted(self.confirmed)) or "all arms",
            "secondary": "best_guidance" if self.best_guidance else "none",
        }  # fmt: skip

    def save(self) -> None:
        """Write study.json."""
        saved = SavedPlan(
            created=self.created, kind=self.kind, base=to_json(self.base), seeds=self.seeds,
            arms=tuple(map(str, self.arms.values())), baseline=self.baseline, margin=self.margin,
            comparisons=self.comparisons, facts=self.facts, planned_seeds=self.planned_seeds,
            looks=self.looks, chosen=self.chosen, samplings=self.samplings, margin_unit=self.margin_unit,
            identities=self.identities, replaced=self.replaced, planned_looks=self.planned_looks,
            confirmed=self.confirmed, explored=self.explored, best_guidance=self.best_guidance,
            chain=self.chain,
        )  # fmt: skip
        self.path.mkdir(parents=True, exist_ok=True)
        write_durably(self.path / "study.json", json.dumps(sealed(to_json(saved)), indent=1).encode())

    def looked(self, scored: int) -> "Plan":
        """The plan after verdicts were drawn: one look more, unless the last one was at the same.

        Args:
            scored: cells whose run ended with its scores.
        """
        look = Look(time.time(), len(self.seeds), tuple(self.arms), scored, len(self.replaced))
        if self.looks and self.looks[-1].is_of(look):
            return self
        chain = extended(self.chain, LOOK, look.says(), look.time) if self.chain else ()
        return replace(self, looks=(*self.looks, look), chain=chain)


@dataclass(frozen=True, kw_only=True)
class SavedPlan:
    """What stands in study.json: a Plan with its settings as JSON and its arms as text."""

    created: float
    kind: str
    base: Mapping[str, Any]
    seeds: tuple[int, ...]
    arms: tuple[str, ...]
    baseline: str
    margin: float
    comparisons: tuple[tuple[str, str], ...]
    facts: Mapping[str, str]
    planned_seeds: int
    looks: tuple[Look, ...]
    chosen: EndpointConfig = field(default_factory=EndpointConfig)
    planned_looks: Annotated[tuple[int, ...], Neutral(())] = ()
    confirmed: Annotated[tuple[str, ...], Neutral(())] = ()
    explored: Annotated[tuple[tuple[str, str], ...], Neutral(())] = ()
    best_guidance: Annotated[tuple[tuple[str, str], ...], Neutral(())] = ()
    chain: Annotated[Chain, Neutral(())] = ()
    samplings: Annotated[int, Neutral(1)] = 1
    margin_unit: Annotated[str, Neutral("mean")] = "gap"
    identities: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    replaced: tuple[Replacement, ...] = ()

    def __post_init__(self) -> None:
        check(self.kind in ("ablate", "tune"), "kind", self.kind, "ablate or tune")
        unit = self.margin_unit
        check(unit in ("gap", "absolute", "mean"), "margin_unit", unit, "gap, absolute or mean")
        for name in ("arms", "seeds"):
            check(len(getattr(self, name)) > 0, name, "none", "at least one")
        needed = ("extractor", *(("tune", "space") if self.kind == "tune" else ()))
        missing = [name for name in needed if name not in self.facts]
        check(not missing, "facts", ", ".join(self.facts), f"{', '.join(missing)} too")


def read_saved(path: Path) -> SavedPlan | None:
    """Read study.json, or return None where there is no study. Raises UserError where it is damaged."""
    file = path / "study.json"
    if not file.is_file():
        return None
    found, _ = unsealed(read_json(file, RESTORE), file, RESTORE)
    try:
        saved = from_json(SavedPlan, found)
    except UserError as error:
        raise UserError(f"{file}: {str(error).rstrip('.')}; {RESTORE}.") from None
    return replace(saved, base=upgraded(saved.base))


def read_plan(path: Path) -> Plan | None:
    """The study in a folder, or None where there is none. Raises UserError where it is damaged."""
    saved = read_saved(path)
    if saved is None:
        return None
    try:
        arms = {arm.label: arm for arm in (Arm.parse(text, stored=True) for text in saved.arms)}
        base = read_settings(saved.base)
        if not saved.chosen.guidance:  # earlier versions wrote guidances as they were given
            base = replace(base, eval=in_front(base.eval, EndpointConfig(), None))
        pairs = (*saved.comparisons, *saved.explored)
        for label in (saved.baseline, *saved.confirmed, *(one for pair in pairs for one in pair)):
            check(label in arms, "baseline and comparisons", label, f"one of the arms {', '.join(arms)}")
    except UserError as error:
        raise UserError(f"{path / 'study.json'}: {error}", error.details) from None
    return Plan(
        path=path, kind=saved.kind, base=base, arms=arms,
        seeds=saved.seeds, baseline=saved.baseline, margin=saved.margin, comparisons=saved.comparisons,
        facts=saved.facts, planned_seeds=saved.planned_seeds, looks=saved.looks, created=saved.created,
        chosen=saved.chosen, samplings=saved.samplings, margin_unit=saved.margin_unit,
        identities=saved.identities, replaced=saved.replaced, planned_looks=saved.planned_looks,
        confirmed=saved.confirmed, explored=saved.explored, best_guidance=saved.best_guidance,
        chain=saved.chain,
    )  # fmt: skip


def grow(saved: Plan, asked: Plan) -> Plan:
    """Join what the study has with what is asked for now.

    Raises UserError where anything frozen differs, with the differing fields, or an arm that is not replaced
    is no longer what was written down of it.
    """
    config, more = saved.base.eval, asked.base.eval
    evaluation = replace(
        more,
        samplers=_join([str(spec) for spec in (*config.sampler_specs, *more.sampler_specs)]),
        guidances=_join([str(spec) for spec in (*config.guidance_specs, *more.guidance_specs)]),
        probes=_join([PROBES.canonical(spec) for spec in (*config.probes, *more.probes)]),
        token_grids=_join([*config.token_grids, *more.token_grids]),
        extrapolations=_forms(config, more),
        sampling_seeds=max(config.sampling_seeds, more.sampling_seeds),
    )
    there, now = saved.identity(), asked.identity()
    for label in saved.arms.keys() & asked.arms.keys():
        there[f"arm {label}"], now[f"arm {label}"] = str(saved.arms[label]), str(asked.arms[label])
    if differences := differing(there, now):
        raise UserError(
            f"{saved.path} holds another study; choose another --name. They differ in:", differences
        )
    fresh = tuple(one for one in asked.replaced if one not in saved.replaced)
    again = {one.arm for one in fresh}
    kept = {label: found for label, found in saved.identities.items() if label not in again}
    added = asked.arms.keys() - saved.arms.keys() | again
    check_unchanged(kept, asked.identities)
    return replace(
        asked,
        base=scoring(
            replace(asked.base, eval=evaluation), _join([*saved.base.averages, *asked.base.averages])
        ),
        arms={**saved.arms, **asked.arms},
        seeds=_join([*saved.seeds, *asked.seeds]),
        comparisons=_join([*saved.comparisons, *asked.comparisons]),
        explored=_join([*saved.explored, *asked.explored]),
        planned_seeds=saved.planned_seeds,
        looks=saved.looks,
        created=saved.created,
        chosen=asked.chosen,
        chain=saved.chain,
        samplings=saved.samplings,
        identities={**kept, **{label: asked.identities[label] for label in added & asked.identities.keys()}},
        replaced=(*saved.replaced, *fresh),
    )


def _forms(there: EvalConfig, asked: EvalConfig) -> tuple[str, ...]:
    """Extrapolations of both where they have grids of tokens on which these act."""
    found = [spec for one in (there, asked) if one.token_grids for spec in one.extrapolations]
    if ALL in found:
        return (ALL,)
    return _join([EXTRAPOLATIONS.canonical(spec) for spec in found]) or EvalConfig.extrapolations


def _join(items: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(items))
