"""What a run is: frozen dataclasses for the command line. The library's own are in `rope_dit.config`."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from experiments.config.registries import DATASETS, EXTRACTORS, PROBES
from rope_dit.averages.names import average_name
from rope_dit.config import ModelConfig, Neutral, SpecOf, TrainConfig, check_finite, option
from rope_dit.errors import UserError, check
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.registry import POS_EMBEDS
from rope_dit.samplers.spec import SamplerSpec

PathOrNone = Annotated[Path | None, tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: none)")]
DATA_HELP = f"{' | '.join(DATASETS.names())}, as name or name:PATH; --list datasets"
EXTRACTOR_HELP = f"{' | '.join(EXTRACTORS.names())}, as name or name:PATH; --list extractors"
TOKEN_GRID = r"[1-9][0-9]{0,2}x[1-9][0-9]{0,2}"
TOKEN_GRIDS = "ROWSxCOLUMNS in tokens, each of 1 to 999, such as 12x12"
ALL = "all"
"""of `eval.extrapolations`: all that are registered"""
LABEL = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}"
MLFLOWS_OWN = "Default"
"""name of an experiment that every MLflow store has, in which it keeps what nobody gave a name"""
MOST_SAMPLINGS = 1000
LIMITS = {  # more is a slip of the finger, and would fill the memory before anybody could say so
    "model.dim": 65_536,
    "model.depth": 1000,
    "train.steps": 10**9,
    "train.lr": 1000,
    "train.weight_decay": 1000,
    "train.threads": 4096,
}


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The pictures."""

    name: Annotated[str, tyro.conf.arg(name="data", metavar="NAME", prefix_name=False, help=DATA_HELP)] = (
        "digits"
    )
    root: Path = Path("data")
    """where torchvision keeps or finds its downloads"""
    image_size: int = 0
    """folder: resize and centre-crop to this side; 0 expects pictures of one size and keeps it"""
    held_out: float = 0.1
    """folder without train/ and test/ parts: share of each class that generators never see"""

    @property
    def data_set(self) -> str:
        """Name of the data set, as registered: `folder` of `folder:pictures`."""
        return self.name.partition(":")[0]

    def __post_init__(self) -> None:
        check_finite(self, "data")
        check(0 <= self.image_size <= 10_000, "data.image-size", self.image_size, "0 to 10,000")
        check(0 < self.held_out < 1, "data.held-out", self.held_out, "a share between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """Sampling and scoring. Nothing here changes the weights."""

    samplers: Annotated[tuple[str, ...], tyro.conf.arg(metavar="SPEC ...", aliases=("--samplers",))] = (
        "euler:steps=50",
        "heun:steps=25",
    )
    """sampler specs of the final scoring; the first one also draws the curve over training steps"""
    guidances: Annotated[tuple[str, ...], tyro.conf.arg(metavar="SPEC ...", aliases=("--guidances",))] = (
        "cfg:weight=1",
    )
    """guidance specs, such as cfg:weight=3,begin=0.2; a number is the weight of cfg, and 1 is no guidance"""
    n: Annotated[tuple[int, ...], tyro.conf.arg(metavar="INT ...")] = (1000,)
    """pictures a score is made of; the first is the one that counts, more show the bias"""
    sampling_seeds: Annotated[int, tyro.conf.arg(aliases=("--sampling-seeds",))] = 1
    """how often the final scoring is repeated with other noise; a study's verdicts stand on the mean"""
    fixed_noise: Annotated[bool, Neutral(True)] = False
    """score every training seed with the same noise and classes, as versions before did"""
    classes: Annotated[Literal["proportional", "data"], Neutral("data")] = "proportional"
    """proportional: as many of each class as its share of the training pictures; data: independent draws"""
    extractor: Annotated[str, tyro.conf.arg(help=EXTRACTOR_HELP)] = "digits"
    inception_weights: PathOrNone = None
    """file with the FID paper's Inception weights, as in inception:PATH, where they cannot be downloaded"""
    averages: Annotated[
        tuple[str, ...],
        Neutral(()),
        tyro.conf.arg(metavar="SPEC ...", help_behavior_hint="(default: all in train.averages)"),
    ] = ()
    """averages of the weights whose pictures are scored, of those in train.averages, or raw"""
    probes: Annotated[
        tuple[str, ...],
        Neutral(()),
        SpecOf(PROBES),
        tyro.conf.arg(metavar="SPEC ...", aliases=("--probes",)),
    ] = ("held_out_loss", "equivariance", "attention")
    """what is measured of the network itself after the final scoring, see --list probes; or none"""
    token_grids: Annotated[
        tuple[str, ...],
        Neutral(()),
        tyro.conf.arg(metavar="HxW ...", aliases=("--token-grids",), help_behavior_hint="(default: none)"),
    ] = ()
    """other grids of tokens whose pictures are scored at the end, such as 12x12, by the first sampler"""
    extrapolations: Annotated[
        tuple[str, ...], Neutral(("none",)), tyro.conf.arg(metavar="SPEC ...", aliases=("--extrapolations",))
    ] = ("none",)
    """what is done on those grids about places beyond the trained ones, see --list extrapolations; or all"""
    every: int = 0
    """score the averaged weights every so many training steps; 0: only at the end"""
    every_n: int = 500
    """pictures of those scores"""
    chunk: int = 250
    """pictures sampled at a time; part of what makes pictures equal to the bit"""

    def __post_init__(self) -> None:
        check_finite(self, "eval")
        limits = {"n": (2, 10**8), "every_n": (2, 10**8), "every": (0, 10**9), "chunk": (1, 10**6)}
        for name, (low, high) in {**limits, "sampling_seeds": (1, MOST_SAMPLINGS)}.items():
            for value in self.n if name == "n" else (getattr(self, name),):
                check(low <= value <= high, f"eval.{option(name)}", value, f"{low} to {high:,}")
        for name in ("samplers", "guidances", "n"):
            check(len(getattr(self, name)) > 0, f"eval.{name}", "nothing", "at least one")
        for name in ("probes", "token_grids"):
            if getattr(self, name) == ("none",):  # as the command line says it
                object.__setattr__(self, name, ())
        for grid in self.token_grids:
            check(re.fullmatch(TOKEN_GRID, grid) is not None, "eval.token-grids", grid, TOKEN_GRIDS)
        check(len(self.extrapolations) > 0, "eval.extrapolations", "nothing", "at least one, such as none")
        idle = not self.token_grids and self.extrapolations != ("none",)
        got = " ".join(self.extrapolations)
        check(not idle, "eval.extrapolations", got, "eval.token-grids too, on which they act")
        alone = ALL not in self.extrapolations or len(self.extrapolations) == 1
        check(alone, "eval.extrapolations", got, "all alone, or some by name")
        for name in ("probes", "token_grids", "extrapolations"):
            given = [text.partition(":")[0] if name == "probes" else text for text in getattr(self, name)]
            check(len({*given}) == len(given), f"eval.{option(name)}", " ".join(given), "each once")
        self.sampler_specs, self.guidance_specs  # noqa: B018  raises for what is none

    @property
    def sampler_specs(self) -> tuple[SamplerSpec, ...]:
        """The samplers, read."""
        return tuple(SamplerSpec.parse(text) for text in self.samplers)

    @property
    def guidance_specs(self) -> tuple[GuidanceSpec, ...]:
        """The guidances, read."""
        return tuple(GuidanceSpec.parse(text) for text in self.guidances)


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One arm, one seed: trained once, scored under every sampler."""

    variant: Annotated[str, tyro.conf.arg(metavar="SPEC")] = "rope2d"
    """positional embedding, with options: rope2d, rope2d:theta=10000, learned+rope2d; --list variants"""
    seed: int = 0
    """training seed: weights, order of pictures, noise, times"""
    preset: Annotated[str, tyro.conf.arg(metavar="NAME")] = "digits"
    """digits | smoke | layout | cifar10-small | cifar10 | original | cifar10-large: source of defaults"""
    study: str = "rope-dit"
    """name of the MLflow experiment"""
    arm: Annotated[str, tyro.conf.arg(help_behavior_hint="(default: the variant)")] = ""
    """name under which scores are compared, where arms of a study differ in more than the variant"""
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    """auto: the first of cuda, mps, cpu that is there"""
    runs: Path = Path("runs")
    """folder of run folders"""
    out: PathOrNone = None
    """run folder, instead of one in --runs that is named after the variant, the seed and the fingerprint"""
    join: Annotated[bool, Neutral(False)] = False
    """let the run into a study's experiment; the study's report names it, and uses only its own runs"""
    plugins: PathOrNone = None
    """folder of your own files that register variants, samplers, data sets, extractors, metrics and more"""
    until: int = 0
    """train to this step only, score there and end; 0: to the last. A later call goes on from there"""
    dry_run: bool = False
    """print the resolved settings, parameters, FLOPs and a time estimate, and train nothing"""
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)

    def __post_init__(self) -> None:
        check(0 <= self.seed < 2**63, "seed", self.seed, "a whole number from 0 to below 2^63")
        ok = re.fullmatch(LABEL, self.study) is not None
        check(ok, "study", self.study, "1 to 80 of A-Z a-z 0-9 . _ -, not starting with a dot")
        check(
            0 <= self.until <= self.train.steps, "until", self.until, f"0 to {self.train.steps}, train.steps"
        )
        ok = not self.arm or re.fullmatch(LABEL, self.arm) is not None
        check(ok, "arm", self.arm, "1 to 80 of A-Z a-z 0-9 . _ -, not starting with a dot")
        named = all(part.strip() for part in self.variant.split("+"))
        check(named, "variant", self.variant, "names joined by '+', as in learned+rope2d")
        for name, most in LIMITS.items():
            part, _, key = name.partition(".")
            value = getattr(getattr(self, part), key)
            check(value <= most, f"{part}.{option(key)}", value, f"at most {most:,}")
        has_null_class = self.model.conditional and self.train.label_dropout > 0
        if any(spec.needs_null_class for spec in self.eval.guidance_specs) and not has_null_class:
            got = " ".join(self.eval.guidances)
            raise UserError(f"eval.guidances got {got}, but this model has no null class: "
                            "guidance needs model.conditional and train.label-dropout above 0.")  # fmt: skip

    @property
    def arm_name(self) -> str:
        """What scores and tags call the arm: its label, or the canonical spec of the variant."""
        return self.arm or POS_EMBEDS.canonical(self.variant)

    @property
    def averages(self) -> tuple[str, ...]:
        """Names of the averages whose pictures are scored."""
        return tuple(map(average_name, self.eval.averages or self.train.averages))

    @property
    def main_average(self) -> str:
        """Name of the average that counts: it draws the curve, and a study's endpoint is of it."""
        return average_name(self.train.averages[0])

    @property
    def last_step(self) -> int:
        """Step at which this call ends the training."""
        return self.until or self.train.steps
