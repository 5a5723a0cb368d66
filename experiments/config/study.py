"""What a study is, as its user writes it: on the command line, or in a file of `experiments/studies/`."""

import itertools
import math
import re
import runpy
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import tyro

from experiments.cli.paths import everywhere, given
from experiments.cli.types import check_types, fitted
from experiments.config import presets
from experiments.config.endpoint import EndpointConfig
from experiments.config.launch import LaunchConfig
from experiments.config.run import LABEL, MLFLOWS_OWN, DataConfig, EvalConfig, PathOrNone, RunConfig
from experiments.config.tuning import Choice, Range, TuneConfig
from rope_dit.config import ModelConfig, TrainConfig, option
from rope_dit.errors import UserError, check, nearest

STUDIES = Path(__file__).parent.parent / "studies"
VARIANTS = ("none", "learned", "rope1d", "rope2d")
MOST_LOOKS = 20
Specs = Annotated[tuple[str, ...], tyro.conf.arg(metavar="ARM ...", help_behavior_hint="(default: none)")]


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """Arms x seeds, every run scored under every sampler."""

    name: Annotated[str, tyro.conf.arg(help_behavior_hint="(default: the study file's or the preset's)")] = ""
    """name of the study: of its folder, its MLflow experiment and its report"""
    preset: Annotated[
        str, tyro.conf.arg(help=f"{' | '.join(presets.PRESETS)}: where the settings below come from")
    ] = "digits"
    variants: Annotated[
        Specs, tyro.conf.arg(help_behavior_hint=f"(default: {' '.join(VARIANTS)}, without --arms)")
    ] = ()
    """positional embeddings to compare, each an arm"""
    arms: Specs = ()
    """arms that differ in settings: [label=]variant[;field=value]..., such as 'fast=rope2d;train.lr=3e-4'"""
    seeds: int = 7
    """training seeds of each arm: 0, 1, ..."""
    baseline: Annotated[
        str, tyro.conf.arg(help_behavior_hint="(default: learned, or the first arm without it)")
    ] = ""
    """arm that the others are compared with"""
    margin: float = 0.05
    """difference too small to matter, in margin-unit"""
    margin_unit: Literal["gap", "absolute"] = "gap"
    """gap: a share of the baseline's distance from the real floor; absolute: in the endpoint's units"""
    confirm: Annotated[Specs, tyro.conf.arg(help_behavior_hint="(default: all)")] = ()
    """arms whose comparisons get verdicts, fixed before the first run; the others get intervals alone"""
    secondary: Annotated[
        tuple[Literal["best_guidance"], ...], tyro.conf.arg(help_behavior_hint="(default: none)")
    ] = ()
    """endpoints without verdicts, fixed before the first run; best_guidance: each arm at its own best"""
    looks: Annotated[
        tuple[int, ...],
        tyro.conf.arg(metavar="INT ...", help_behavior_hint="(default: when all seeds are done)"),
    ] = ()
    """numbers of seeds at which verdicts are drawn, fixed before the first run, such as 3 5 7"""
    from_tuned: Annotated[str, tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: none)")] = ""
    """compare the default and the tuned configuration of each arm of that tuning study, on fresh seeds"""
    replace: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="ARM ...", help_behavior_hint="(default: none)")
    ] = ()
    """train these arms of the study again, whose code was mended: their runs so far are set aside"""
    sync: Annotated[str, tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: none)")] = ""
    """only make MLflow and Optuna of that study again from its run folders"""
    export: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="DIR [NAME]", help_behavior_hint="(default: none)")
    ] = ()
    """only write what was measured of a study, this one or NAME, into a folder, without weights"""
    import_from: Annotated[
        Path | None,
        tyro.conf.arg(name="import", metavar="DIR", help_behavior_hint="(default: none)"),
    ] = None
    """only bring in a study that --export wrote: its runs count as done; what would need weights is said"""
    retrain: bool = False
    """train runs again that have no weights here and are to be scored further; their scores so far stay"""
    studies: Path = Path("studies")
    """folder of study folders"""
    reports: Path = Path("reports")
    """folder of reports"""
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    """auto: the first of cuda, mps, cpu that is there"""
    plugins: PathOrNone = None
    """folder of your own files that register variants, samplers, data sets, extractors, metrics and more"""
    dry_run: bool = False
    """print the endpoint, the cells and the time estimate, and train nothing"""
    launch: Annotated[LaunchConfig, tyro.conf.arg(name="")] = field(default_factory=LaunchConfig)
    tune: TuneConfig = field(default_factory=TuneConfig)
    endpoint: EndpointConfig = field(default_factory=EndpointConfig)
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)

    def __post_init__(self) -> None:
        for key in ("name", "from_tuned", "sync"):
            value = getattr(self, key)
            ok = not value or re.fullmatch(LABEL, value) is not None
            check(ok, key.replace("_", "-"), value, "1 to 80 of A-Z a-z 0-9 . _ -, not starting with a dot")
        check(
            self.name != MLFLOWS_OWN, "name", self.name, "another name than that of MLflow's own experiment"
        )
        check(1 <= self.seeds <= 10_000, "seeds", self.seeds, "a number of training seeds, at least 1")
        end, kind = {"gap": (1.0, "share between 0 and 1"), "absolute": (math.inf, "number above 0")}[
            self.margin_unit
        ]
        expected = f"a {kind}, as margin-unit is {self.margin_unit}"
        check(0 < self.margin < end, "margin", self.margin, expected)
        if self.looks:
            rising = all(a < b for a, b in itertools.pairwise((2, *self.looks)))
            expected = f"up to {MOST_LOOKS} rising numbers from 3 to --seeds, {self.seeds}, which is the last"
            ok = rising and self.looks[-1] == self.seeds and len(self.looks) <= MOST_LOOKS
            check(ok, "looks", " ".join(map(str, self.looks)), expected)
        check(len(self.export) <= 2, "export", " ".join(self.export), "a folder and at most one study's name")
        only = [name for name in ("sync", "export", "import_from") if getattr(self, name)]
        check(len(only) < 2, "sync, export and import", "more than one", "one at a time")
        once = len({*self.secondary}) == len(self.secondary)
        check(once, "secondary", " ".join(self.secondary), "each endpoint once")
        check(len({*self.confirm}) == len(self.confirm), "confirm", " ".join(self.confirm), "each arm once")

    @property
    def title(self) -> str:
        """The study's name, or the one it gets where none was given."""
        return self.name or (f"{self.from_tuned}-confirmed" if self.from_tuned else self.preset)

    @property
    def specs(self) -> tuple[str, ...]:
        """Texts of all arms."""
        return (self.variants + self.arms) or VARIANTS

    def run(self) -> RunConfig:
        """Settings that all runs share; arm, seed and folder are still to be set."""
        return RunConfig(
            preset=self.preset, study=self.title, device=self.device, plugins=self.plugins,
            data=self.data, model=self.model, train=self.train, eval=self.eval,
        )  # fmt: skip


def elsewhere(studies: Path) -> list[str]:
    """Arguments that say where studies lie, for commands to be typed; none where that is as usual."""
    usual = StudyConfig.studies
    return [] if everywhere(studies) == everywhere(usual) else ["--studies", str(studies)]


def study(preset: str = "digits", **fields: Any) -> StudyConfig:
    """A study with the settings of a preset of `experiments.run`, for study files.

    Args:
        preset: where data, model, train and eval come from.
        fields: other fields of StudyConfig; a mapping for data, model, train, eval or endpoint changes some
            of its own.

    Raises UserError for a value that does not fit.
    """
    run = presets.preset(preset)
    parts = {part: getattr(run, part) for part in ("data", "model", "train", "eval")}
    parts["endpoint"] = EndpointConfig()
    for part, before in parts.items():
        if isinstance(fields.get(part), Mapping):
            inner = _typed(type(before), fields[part], f"{part}.")
            fields[part] = type(before)(**{**before.__dict__, **inner})
    fields = _typed(StudyConfig, fields)
    return StudyConfig(preset=preset, **{"variants": _variants(run.variant), **parts, **fields})


def _typed(kind: type, fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values as the fields take them; what is no field is left to the class to refuse. Raises UserError."""
    hints, found = get_type_hints(kind), dict(fields)
    for name in hints.keys() & found.keys():
        value = found[name]
        if hints[name] == tuple[str, ...] and isinstance(value, (tuple, list)):  # a guidance may be a number
            value = [str(one) if type(one) in (int, float) else one for one in value]
        found[name] = fitted(prefix + option(name), value, hints[name])
    return found


def _variants(of_preset: str) -> tuple[str, ...]:
    return () if of_preset in VARIANTS else (of_preset, *VARIANTS)


Space = Mapping[str, Range | Choice]


def study_file(name: str) -> tuple[StudyConfig, Space]:
    """Read a study file, by its name in `experiments/studies/` or its path.

    Returns what the file calls STUDY, and its search SPACE (empty where it has none).
    Raises UserError with file and line where it cannot be read.
    """
    path = given(name) if name.endswith(".py") else STUDIES / f"{name}.py"
    if not path.is_file():
        known = sorted(file.stem for file in STUDIES.glob("[a-z]*.py"))
        raise UserError(f"no study file '{name}', expected a path ending in .py or one of {', '.join(known)}."
                        f"{nearest(name, known)}")  # fmt: skip
    try:
        found = runpy.run_path(str(path))
    except SystemExit as stop:
        raise UserError(
            f"study file {path} ends the program ({stop!r}); it is to define STUDY only."
        ) from None
    except Exception as error:
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) else next(iter(lines), 0)
        said = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        raise UserError(f"study file {path}:{line}: {said}") from None
    made, space = found.get("STUDY"), found.get("SPACE", {})
    if not isinstance(made, StudyConfig):
        raise UserError(f"study file {path} has no STUDY; expected a line STUDY = study('digits', ...).")
    try:
        check_types(made)
    except UserError as error:
        raise UserError(f"study file {path}: {error}") from None
    if not isinstance(space, Mapping) or not all(isinstance(key, str) for key in space):
        raise UserError(f"study file {path}: SPACE got {space!a:.40}, expected a dict by settings, such as "
                        "{'train.lr': Range(1e-4, 1e-2)}.")  # fmt: skip
    return made, space
