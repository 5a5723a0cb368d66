"""Opening a run that was trained before, for `experiments.evaluate` and `experiments.sample`."""

from pathlib import Path
from typing import TYPE_CHECKING

from experiments.config.run import RunConfig
from experiments.config.text import from_json
from experiments.records.run_folder import RunFolder
from rope_dit.errors import UserError
from rope_dit.registry import PLUGINS

if TYPE_CHECKING:
    from experiments.runner.resolve import Resolved
    from rope_dit.trainer import State


def read_config(path: Path) -> RunConfig:
    """Settings of the run in `path`, with `out` pointing there. Raises UserError where there is no run."""
    try:
        info = RunFolder(path).info
    except OSError as error:
        raise UserError(f"run folder {path}: {error.strerror}; expected one of experiments.run.") from None
    if info is None:
        example = "such as runs/rope2d-s0-1f00c4d2"
        raise UserError(f"{path} holds no run; expected a folder that experiments.run made, {example}.")
    saved = info["config"]
    if (
        isinstance(saved, dict) and saved.get("plugins") and not PLUGINS
    ):  # code from a path is run only if asked
        raise UserError(
            f"{path} was made with --plugins {saved['plugins']}; give --plugins with that folder."
        )
    return from_json(
        RunConfig, {**saved, "out": path, "dry_run": False} if isinstance(saved, dict) else saved
    )


def open_run(config: RunConfig) -> tuple["Resolved", "State"]:
    """Return a trained run, checked, and its state.

    Raises:
        UserError: the data or code changed, no whole checkpoint, the training has not come to its end, or it
            was done on a kind of device that is not here.
    """
    from experiments.runner.resolve import choose_device, resolve
    from rope_dit.checkpoint import Checkpoints
    from rope_dit.trainer import State

    try:
        choose_device(config.device)
    except UserError:
        raise UserError(f"{config.out} was trained on {config.device}, which this machine or this torch does "
                        "not have; evaluate and sample it where there is one.") from None  # fmt: skip
    resolved = resolve(config)
    state = State.fresh(resolved.build_model(), resolved.config.train)
    path, steps = resolved.folder.path, resolved.config.train.steps
    state.resume(Checkpoints(path / "checkpoints", resolved.identity))
    if state.step < steps:
        raise UserError(f"{path} is trained to step {state.step} of {steps}; finish it with experiments.run.")
    return resolved, state
