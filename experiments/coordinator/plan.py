"""A study as it stands in its folder: what is frozen, what may grow, and which cells follow from it.

study.json      settings, arms, seeds, primary endpoint, looks
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
from typing import Any

from experiments.config.run import RunConfig, flatten, from_json, guidance_name, to_json
from experiments.coordinator.arm import Arm
from experiments.coordinator.cell import Cell
from experiments.records.definition import Definition
from experiments.scoring.metrics import value_name
from rope_dit import ema
from rope_dit.config import NOT_WEIGHTS
from rope_dit.durable import write_durably
from rope_dit.errors import UserError
from rope_dit.samplers.spec import SamplerSpec
from rope_dit.words import differing

GROWING = ("eval.samplers", "eval.guidances", "eval.sampling_seeds")  # what may be added to a study
ELSEWHERE = ("data.name", "data.root", "eval.inception_weights", *(f"train.{name}" for name in NOT_WEIGHTS))
_PARTS = ("data", "model", "train", "eval")


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
        margin: as a share of the baseline's mean.
        comparisons: (arm, reference), on which verdicts stand.
        facts: more that is frozen: the extractor's name and hash, the data's fingerprint, what tuning may do.
        planned_seeds: as many as at the first start.
        looks: when the whole study was reported, and with how many seeds.
        created: seconds since 1970.
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
    looks: tuple[Mapping[str, float], ...] = ()
    created: float = field(default_factory=time.time)

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
        configs = [arm.config(self.base) for arm in self.arms.values()]
        return [Cell.of(config, seed, self.runs) for seed in self.seeds for config in configs]

    def endpoint(self) -> dict[str, Any]:
        """The primary endpoint: the one score on which verdicts stand."""
        config = self.base.eval
        weight = 1.0 if 1.0 in config.guidances else config.guidances[0]
        return {
            "metric": value_name("fd", self.facts["extractor"]),
            "extractor": self.facts["extractor"],
            "sampler": str(SamplerSpec.parse(config.samplers[0])),
            "guidance": guidance_name(weight, config.guidance_interval),
            "ema": ema.name(self.base.train.ema_decay),
            "n": config.n[0],
            "train_step": self.base.train.steps,
            "sampling_seed": 0,
            "better": "lower",
        }

    def definition(self) -> Definition:
        """What the tracking store keeps of it, see `experiments.records.definition`."""
        config = self.base.eval
        return {
            "name": self.name, "kind": self.kind, "created": self.created, "preset": self.base.preset,
            "data": self.base.data.name, "endpoint": self.endpoint(),
            "arms": [arm.as_json() for arm in self.arms.values()], "seeds": list(self.seeds),
            "samplers": [str(SamplerSpec.parse(s)) for s in config.samplers],
            "guidances": list(config.guidances), "sampling_seeds": config.sampling_seeds,
            "baseline": self.baseline, "margin": self.margin,
            "comparisons": [list(c) for c in self.comparisons],
            "planned_seeds": self.planned_seeds, "looks": [dict(look) for look in self.looks],
        }  # fmt: skip

    def identity(self) -> dict[str, str]:
        """Everything that may not change once the study has begun, as text."""
        shared = flatten({part: asdict(getattr(self.base, part)) for part in _PARTS})
        frozen = {k: v for k, v in shared.items() if k not in (*GROWING, *ELSEWHERE)}
        endpoint = {f"endpoint {key}": str(value) for key, value in self.endpoint().items()}
        return {
            **frozen, **endpoint, **self.facts, "kind": self.kind, "preset": self.base.preset,
            "device": self.base.device, "baseline": self.baseline, "margin": str(self.margin),
        }  # fmt: skip

    def save(self) -> None:
        """Write study.json."""
        content = {
            "created": self.created, "kind": self.kind, "base": to_json(self.base), "seeds": list(self.seeds),
            "arms": [str(arm) for arm in self.arms.values()],
            "baseline": self.baseline, "margin": self.margin,
            "comparisons": [list(c) for c in self.comparisons], "facts": dict(self.facts),
            "planned_seeds": self.planned_seeds, "looks": [dict(look) for look in self.looks],
        }  # fmt: skip
        self.path.mkdir(parents=True, exist_ok=True)
        write_durably(self.path / "study.json", json.dumps(content, indent=1).encode())

    def looked(self) -> "Plan":
        """The plan after its whole was reported: one look more, if it has grown since the last."""
        if self.looks and self.looks[-1]["seeds"] == len(self.seeds):
            return self
        return replace(self, looks=(*self.looks, {"time": time.time(), "seeds": len(self.seeds)}))


def read_plan(path: Path) -> Plan | None:
    """Read study.json, or return None where there is no study. Raises UserError where it is damaged."""
    file = path / "study.json"
    if not file.is_file():
        return None
    try:
        saved = json.loads(file.read_text())
        arms = [Arm.parse(text) for text in saved["arms"]]
        return Plan(
            path, saved["kind"], from_json(RunConfig, saved["base"]), {arm.label: arm for arm in arms},
            tuple(saved["seeds"]), saved["baseline"], saved["margin"],
            tuple((a, b) for a, b in saved["comparisons"]), saved["facts"], saved["planned_seeds"],
            tuple(saved["looks"]), saved["created"],
        )  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is damaged ({error!r}); restore it, or choose another --name.") from None


def grow(saved: Plan, asked: Plan) -> Plan:
    """Join what the study has with what is asked for now.

    Raises UserError where anything frozen differs, with the differing fields.
    """
    config, more = saved.base.eval, asked.base.eval
    evaluation = replace(
        more,
        samplers=_join([str(SamplerSpec.parse(s)) for s in (*config.samplers, *more.samplers)]),
        guidances=_join([*config.guidances, *more.guidances]),
        sampling_seeds=max(config.sampling_seeds, more.sampling_seeds),
    )
    there, now = saved.identity(), asked.identity()
    for label in saved.arms.keys() & asked.arms.keys():
        there[f"arm {label}"], now[f"arm {label}"] = str(saved.arms[label]), str(asked.arms[label])
    lines = differing(there, now)
    if lines:
        raise UserError(f"{saved.path} holds another study; choose another --name. They differ in:", lines)
    return replace(
        asked,
        base=replace(asked.base, eval=evaluation),
        arms={**saved.arms, **asked.arms},
        seeds=_join([*saved.seeds, *asked.seeds]),
        comparisons=_join([*saved.comparisons, *asked.comparisons]),
        planned_seeds=saved.planned_seeds,
        looks=saved.looks,
        created=saved.created,
    )


def _join(items: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(items))
