"""Where the runs of a study are carried out: one file a launcher, which registers itself in `LAUNCHERS`.

A launcher is handed argument lists and knows nothing of studies, arms or training. It is made with the
settings of the launch, the CPU threads of a task and the device, and its own options as keywords. `base` says
what it promises; `node` and `pulse` are what those for clusters share. Files here import `rope_dit`, `cli`
and `config`, neither torch nor other files of the coordinator, and Ray and the like only once asked for.
"""

from experiments.cli.plugins import plugin_errors
from experiments.config.launch import LaunchConfig
from experiments.config.registries import LAUNCHERS
from experiments.coordinator.launchers.base import Ended, Launcher, Task
from rope_dit.errors import check

__all__ = ["Ended", "Launcher", "Task", "make_launcher"]


def make_launcher(config: LaunchConfig, threads: int, device: str) -> Launcher:
    """Return the launcher that was asked for, ready for its first task.

    Args:
        config: what the user asked for.
        threads: CPU threads each task uses, at least 1.
        device: what tasks compute on: `cuda`, `mps` or `cpu`.

    Raises:
        UserError: the launcher is unknown, what it needs is not there, or settings have no effect.
    """
    check(threads >= 1, "train.threads", threads, "at least 1")
    shared = config.runs_per_gpu == 1 or device == "cuda"
    check(shared, "runs-per-gpu", config.runs_per_gpu, f"1, as the runs compute on {device}")
    with plugin_errors():
        made: Launcher = LAUNCHERS.bind(config.launcher)(config, threads, device)
    return made
