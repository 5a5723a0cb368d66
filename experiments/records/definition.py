"""What a study is, as MLflow keeps it: tags of the experiment, so that a report needs the store alone."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from experiments.config.former import upgraded_definition
from experiments.config.identity import fingerprint, read_identity
from experiments.config.run import LABEL as LABEL  # of studies and arms, for those who read records alone
from experiments.config.text import from_json, to_json
from experiments.records.score import guidance_text, sampling_seeds
from experiments.records.sealing.chain import Chain
from rope_dit.config import Neutral
from rope_dit.errors import UserError
from rope_dit.words import listed

TAG = "rope_dit.study"
LENGTH = 4000  # characters a tag, of the 5000 that every MLflow store takes


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """The primary endpoint, on which verdicts stand: a ScoreKey, but for arm and seeds, and what it averages.

    Attributes:
        metric .. train_step, tokens .. classes: as in a ScoreKey.
        better: 'lower' or 'higher'.
        learned: share of the way from the score of an untrained network to the real floor that may be left
            where something was learned; None where it is not known.
        samplings: of each network; the endpoint is their mean.
        fixed_noise: whether every training seed has the same noise and classes.
    """

    metric: str
    extractor: str
    sampler: str
    guidance: str
    ema: str
    n: int
    train_step: int
    better: str
    learned: Annotated[float | None, Neutral(None)] = None
    tokens: Annotated[str, Neutral("trained")] = "trained"
    extrapolation: Annotated[str, Neutral("none")] = "none"
    classes: Annotated[str, Neutral("data")] = "data"
    samplings: Annotated[int, Neutral(1)] = 1
    fixed_noise: Annotated[bool, Neutral(True)] = False

    def __post_init__(self) -> None:  # studies of before guidance was a spec say '1'
        object.__setattr__(self, "guidance", guidance_text(self.guidance))

    def fields(self) -> dict[str, str | int]:
        """The fields that it shares with a ScoreKey."""
        own = ("better", "learned", "samplings", "fixed_noise")
        return {key: value for key, value in vars(self).items() if key not in own}

    def sampling_seeds(self, seed: int) -> range:
        """Sampling seeds of a network of this training seed, over whose scores the endpoint is the mean."""
        return sampling_seeds(seed, self.samplings, fixed=self.fixed_noise)


@dataclass(frozen=True)
class ArmRecord:
    """An arm: its label, the canonical spec of its variant, and the settings in which it differs, as text."""

    label: str
    spec: str
    overrides: Mapping[str, str]
    identity: Annotated[Mapping[str, str], Neutral({})] = field(default_factory=dict)
    """what changes its runs' weights and is not the same in all arms, see `Definition.identity_of`"""

    @property
    def text(self) -> str:
        """All that the arm is, as on a command line: `rope2d:theta=100; train.lr=0.003`."""
        return "; ".join([self.spec, *(f"{key}={value}" for key, value in self.overrides.items())])


@dataclass(frozen=True)
class Look:
    """A time at which verdicts were drawn from the study, and what they were drawn from.

    Args:
        time: seconds since 1970.
        seeds: number of training seeds.
        arms: labels; none where a version of before did not write them down, nor the rest.
        scored: cells whose run ended with its scores.
        replaced: arms that had been trained anew by then, each time counted.
    """

    time: float
    seeds: int
    arms: Annotated[tuple[str, ...], Neutral(())] = ()
    scored: Annotated[int, Neutral(-1)] = -1
    replaced: Annotated[int, Neutral(0)] = 0

    def says(self) -> dict[str, str]:
        """What was looked at, as text."""
        seen = {name: value for name, value in vars(self).items() if name != "time"}
        return {name: " ".join(value) if name == "arms" else str(value) for name, value in seen.items()}

    def is_of(self, other: "Look") -> bool:
        """Whether both looked at the same, as far as is known."""
        return self.seeds == other.seeds and (not self.arms or self.says() == other.says())


def is_whole(states: Iterable[str]) -> bool:
    """Whether verdicts are drawn from cells in these states: none still has to begin or to go on."""
    return not {"running", "missing"} & {*states}


@dataclass(frozen=True)
class Replacement:
    """An arm of which all runs were set aside, to be trained again after a fault of its code was mended.

    Attributes:
        arm: its label.
        time: seconds since 1970.
        differed: in what it had changed, a line each as `rope_dit.words.differing` has them; none where it
            is as it was, and runs of it had failed.
        runs: ids of the run folders that were set aside.
        scored: seeds of those that had scores.
    """

    arm: str
    time: float
    differed: tuple[str, ...]
    runs: tuple[str, ...]
    scored: tuple[int, ...]

    @property
    def why(self) -> str:
        """Why the arm was replaced, such as `train.precision changed`."""
        names = listed(line.partition(":")[0] for line in self.differed)
        return f"{names} changed" if names else "runs of it had failed"


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A study.

    Attributes:
        name, kind, created: its name; ablate or tune; seconds since 1970.
        preset, data: names.
        endpoint: the primary endpoint.
        arms: what is compared.
        seeds: training seeds; `planned_seeds` of them at the first start.
        samplers, guidances, sampling_seeds: what every run is scored under.
        baseline: label of the arm that the others are compared with.
        margin, margin_unit: difference too small to matter, and of what it is a share, see `margin_text`.
        comparisons: (arm, reference), on which verdicts stand: the family.
        looks: when verdicts were drawn.
        planned_looks: numbers of seeds at which they were to be drawn; none where that was not said.
        confirmed: arms to whose comparisons the family was confined; none where it is of all arms.
        explored: (arm, reference) of the other comparisons, without a verdict.
        best_guidance: (guidance, average) of which each arm takes its best in the secondary endpoint of that
            name, as they were first scored; none where it was not declared.
        chain: its seal; none in studies of before there were seals, and those that tune.
        identity: what changes the weights of all runs and is the same in all arms, see `identity_of`.
        replaced: arms that were trained again.
    """

    name: str
    kind: str
    created: float
    preset: str
    data: str
    endpoint: Endpoint
    arms: tuple[ArmRecord, ...]
    seeds: tuple[int, ...]
    samplers: tuple[str, ...]
    guidances: tuple[str, ...]
    sampling_seeds: int
    baseline: str
    margin: float
    comparisons: tuple[tuple[str, str], ...]
    planned_seeds: int
    looks: tuple[Look, ...] = ()
    margin_unit: Annotated[str, Neutral("mean")] = "gap"
    identity: Annotated[Mapping[str, str], Neutral({})] = field(default_factory=dict)
    replaced: Annotated[tuple[Replacement, ...], Neutral(())] = ()
    planned_looks: Annotated[tuple[int, ...], Neutral(())] = ()
    confirmed: Annotated[tuple[str, ...], Neutral(())] = ()
    explored: Annotated[tuple[tuple[str, str], ...], Neutral(())] = ()
    best_guidance: Annotated[tuple[tuple[str, str], ...], Neutral(())] = ()
    chain: Annotated[Chain, Neutral(())] = ()

    def __post_init__(
        self,
    ) -> None:  # studies of before guidance was a spec say '1.0', and not at which times
        object.__setattr__(self, "guidances", tuple(guidance_text(text) for text in self.guidances))

    @property
    def margin_text(self) -> str:
        """The margin in words, with its unit; one without a name is of before there were units."""
        if self.margin_unit == "absolute":
            return f"{self.margin:.6g} in the endpoint's units"
        whose = (
            "baseline" if {reference for _, reference in self.comparisons} <= {self.baseline} else "reference"
        )
        of = "distance from the real floor" if self.margin_unit == "gap" else "mean"
        return f"{100 * self.margin:.3g} % of the {whose}'s {of}"

    def identity_of(self, arm: str, seed: int) -> dict[str, str]:
        """All that the weights of a cell follow from, in the form of `experiments.config.identity`.

        Empty where it was not written down: the arm was begun by a version that did not.
        """
        return read_identity(self.written_identity(arm, seed))

    def is_known(self, arm: str, seed: int, sha256: str) -> bool:
        """Whether this is the fingerprint of a cell's identity, as it was written or as it is read."""
        return sha256 in map(fingerprint, (self.written_identity(arm, seed), self.identity_of(arm, seed)))

    def written_identity(self, arm: str, seed: int) -> dict[str, str]:
        """`identity_of` in the form in which it was written down."""
        [own] = [one.identity for one in self.arms if one.label == arm]
        found = {**self.identity, **own}
        return {**found, "seed": str(seed)} if found else {}


def in_common(identities: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """What all of these mappings say; nothing where there are none.

    >>> in_common([{"lr": "1", "dim": "8"}, {"lr": "2", "dim": "8"}]), in_common([{"lr": "1"}, {}])
    ({'dim': '8'}, {})
    """
    first, *others = [*identities] or [{}]
    return {key: text for key, text in first.items() if all(one.get(key) == text for one in others)}


def write_definition(client: Any, experiment_id: str, definition: Definition) -> None:
    """Store a definition in as many tags as it needs, `rope_dit.study.0` and so on."""
    text = json.dumps(to_json(definition))
    starts = range(0, len(text) + LENGTH, LENGTH)  # an empty one ends it, should an earlier be longer
    for i in reversed(starts):
        client.set_experiment_tag(experiment_id, f"{TAG}.{i // LENGTH}", text[i : i + LENGTH])


def is_study(experiment: Any) -> bool:
    """Whether an experiment of MLflow's has a definition."""
    return f"{TAG}.0" in experiment.tags


def read_definition(client: Any, experiment: str) -> Definition | None:
    """Return the definition of the study of that name, or None for an experiment that is no study."""
    found = client.get_experiment_by_name(experiment)
    tags = found.tags if found else {}
    parts: list[str] = []
    while part := tags.get(f"{TAG}.{len(parts)}"):
        parts.append(part)
    try:
        saved = json.loads("".join(parts)) if parts else None
    except ValueError:
        raise UserError(
            f"the definition of study {experiment} is being written; try again in a second."
        ) from None
    return None if saved is None else from_json(Definition, upgraded_definition(saved))
