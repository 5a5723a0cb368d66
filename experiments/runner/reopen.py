"""Opening a run that was trained before, for `experiments.evaluate` and `experiments.sample`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli.plugins import check_asked_for
from experiments.config.run import RunConfig
from experiments.records.run_folder import RunFolder
from rope_dit.errors import UserError

if TYPE_CHECKING:
    from experiments.runner.resolve import Resolved
    from rope_dit.trainer import Training


def read_config(path: Path) -> RunConfig:
    """Settings of the run in `path`, with `out` pointing there. Raises UserError where there is no run."""
    try:
        record = RunFolder(path).record
    except OSError as error:
        raise UserError(f"run folder {path}: {error.strerror}; expected one of experiments.run.") from None
    if record is None:
        example = "such as runs/rope2d-s0-1f00c4d2"
        raise UserError(f"{path} holds no run; expected a folder that experiments.run made, {example}.")
    check_asked_for(record.config.get("plugins"), path)
    return replace(record.settings, out=path, dry_run=False)


def open_run(config: RunConfig, *, scored: bool = True) -> tuple["Resolved", "Training"]:
    """Return a trained run, checked, and its training.

    Args:
        config: its settings; of those of the scoring some may be others.
        scored: whether scores are going to be made of its pictures; its curve stays as it is.

    Raises:
        UserError: the data or code changed, no whole checkpoint, the training has not come to its end, or it
            was done on a kind of device that is not here.
    """
    from experiments.runner.execute import run_checkpoints
    from experiments.runner.resolve import choose_device, resolve
    from rope_dit.trainer import Training

    try:
        choose_device(config.device)
    except UserError:
        raise UserError(f"{config.out} was trained on {config.device}, which this machine or this torch does "
                        "not have; evaluate and sample it where there is one.") from None  # fmt: skip
    resolved = resolve(replace(config, eval=replace(config.eval, every=0)), scored=scored)
    training = Training.fresh(resolved.build_model(), resolved.config.train)
    training.resume(run_checkpoints(resolved))
    path, steps = resolved.folder.path, resolved.config.train.steps
    if training.step < steps:
        raise UserError(
            f"{path} is trained to step {training.step} of {steps}; finish it with experiments.run."
        )
    return resolved, training
