"""Opening a run that was trained before, for `experiments.evaluate` and `experiments.sample`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from experiments.cli.plugins import check_asked_for
from experiments.config.run import DATA_HELP, RunConfig
from experiments.records.paths import brought, located
from experiments.records.run_folder import RunFolder
from rope_dit.errors import UserError

if TYPE_CHECKING:
    from experiments.datasets import Images
    from experiments.runner.resolve import Resolved
    from rope_dit.trainer import Training


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Where the run's pictures are now."""

    name: Annotated[
        str | None,
        tyro.conf.arg(
            name="data", metavar="NAME", prefix_name=False, help=DATA_HELP,
            help_behavior_hint="(default: where they were)",
        ),
    ] = None  # fmt: skip
    root: Annotated[
        Path | None, tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: where it was)")
    ] = None
    """where torchvision keeps or finds its downloads"""


WHERE_THEY_WERE = Pictures()


def read_config(path: Path, pictures: Pictures = WHERE_THEY_WERE, *, scored: bool = True) -> RunConfig:
    """Settings of the run in `path`, with `out` pointing there, and its paths where they lead now.

    Args:
        path: run folder.
        pictures: where its pictures are, if the user says so.
        scored: whether its extractor is going to be used.

    Raises UserError where there is no run.
    """
    try:
        record = RunFolder(path).record
    except OSError as error:
        raise UserError(f"run folder {path}: {error.strerror}; expected one of experiments.run.") from None
    if record is None:
        example = "such as runs/rope2d-s0-1f00c4d2"
        raise UserError(f"{path} holds no run; expected a folder that experiments.run made, {example}.")
    check_asked_for(record.config.get("plugins"), path)
    found = brought(record.settings, path, scored=scored)
    places = {key: value for key, value in vars(pictures).items() if value is not None}
    return located(replace(found, data=replace(found.data, **places), out=path, dry_run=False))


def open_run(config: RunConfig, *, scored: bool = True) -> tuple["Resolved", "Training"]:
    """Return a trained run, checked, and its training.

    Args:
        config: its settings; of those of the scoring some may be others.
        scored: whether scores are going to be made of its pictures; its curve stays as it is.

    Raises:
        UserError: the data or code changed, no whole checkpoint, the training has not come to its end, or it
            was done on a kind of device that is not here.
    """
    from experiments.datasets import load
    from experiments.runner.execute import run_checkpoints
    from experiments.runner.resolve import choose_device, resolve
    from rope_dit.trainer import Training

    try:
        choose_device(config.device)
    except UserError:
        raise UserError(f"{config.out} was trained on {config.device}, which this machine or this torch does "
                        "not have; evaluate and sample it where there is one.") from None  # fmt: skip
    images = load(config.data)
    check_pictures(config, images)
    asked = replace(config, eval=replace(config.eval, every=0))
    resolved = resolve(asked, scored=scored, images=images)
    training = Training.fresh(resolved.build_model(), resolved.config.train)
    training.resume(run_checkpoints(resolved))
    path, steps = resolved.folder.path, resolved.config.train.steps
    ending = resolved.folder.ending
    if training.step == 0 and ending is not None and ending.outcome == "finished":
        raise UserError(
            f"{path} has no weights here: it was imported, or its checkpoints were removed. Do this where "
            "they are, or train it again with experiments.run."
        )
    if training.step < steps:
        raise UserError(
            f"{path} is trained to step {training.step} of {steps}; finish it with experiments.run."
        )
    return resolved, training


def check_pictures(config: RunConfig, images: "Images") -> None:
    """Raise UserError where these are not the pictures that the run in `config.out` was trained on."""
    assert config.out is not None, "a run that is there has a folder"
    record = RunFolder(config.out).record
    expected = record.identity.get("data") if record else None
    if expected not in (None, images.fingerprint):
        raise UserError(
            f"{config.out} was trained on other pictures than these; say where they are: --data NAME:PATH.",
            [f"these are {config.data.name}, with fingerprint {images.fingerprint}", f"its own: {expected}"],
        )
