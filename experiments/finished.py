"""Opening a run that was trained before, for `experiments.evaluate` and `experiments.sample`."""

from dataclasses import replace
from pathlib import Path

from experiments.cli import StopFlag
from experiments.config import EvalConfig, RunConfig, from_json
from experiments.runfolder import RunFolder
from rope_dit.errors import UserError


def read_config(path: Path) -> RunConfig:
    """Settings of the run in `path`, with `out` pointing there. Raises UserError where there is no run."""
    info = RunFolder(path).info
    if info is None:
        raise UserError(f"{path} holds no run; expected a folder that experiments.run made, such as runs/rope2d-s0-1f00c4d2.")
    return replace(from_json(RunConfig, info["config"]), out=path, device="auto", dry_run=False)


def open_run(path: Path, evaluation: EvalConfig, stop: StopFlag):  # type: ignore[no-untyped-def]
    """Return (resolved, scorer, step) of a trained run, its generator holding the averaged weights.

    Raises:
        UserError: no run, no whole checkpoint, or a run that has not been trained to its end.
    """
    from experiments.execute import make_scorer
    from experiments.resolve import resolve
    from rope_dit.checkpoint import Checkpoints
    from rope_dit.trainer import State

    resolved = resolve(replace(read_config(path), eval=evaluation))
    scorer = make_scorer(resolved, stop)
    state = State.fresh(resolved.build_model(), resolved.config.train)
    state.resume(Checkpoints(path / "checkpoints", resolved.identity))
    if state.step < resolved.config.train.steps:
        raise UserError(f"{path} is trained to step {state.step} of {resolved.config.train.steps}; finish it with experiments.run.")
    scorer.generator.load(state.ema.profiles[scorer.ema])
    return resolved, scorer, state.step
