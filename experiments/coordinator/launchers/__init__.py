"""Where the runs of a study are carried out: processes of this machine, or of a Ray cluster.

A launcher is handed argument lists and knows nothing of studies, arms or training. Files here import
`rope_dit` and `config`, neither torch nor other files of the coordinator, and Ray only once it is asked
for.
"""

from experiments.config.launch import LaunchConfig
from experiments.coordinator.launchers.base import Ended, Launcher, Task
from rope_dit.config import check

__all__ = ["Ended", "Launcher", "Task", "make_launcher"]


def make_launcher(config: LaunchConfig, threads: int, device: str) -> Launcher:
    """Return the launcher that was asked for, ready for its first task.

    Args:
        config: what the user asked for.
        threads: CPU threads each task uses, at least 1.
        device: what tasks compute on: `cuda`, `mps` or `cpu`.

    Raises:
        UserError: no GPU where one is needed, more tasks than GPUs hold, settings without effect; for Ray
            also if it is not installed, no cluster answers at the address, or no node could ever hold a task.
    """
    check(threads >= 1, "train.threads", threads, "at least 1")
    shared = config.runs_per_gpu == 1 or device == "cuda"
    check(shared, "runs-per-gpu", config.runs_per_gpu, f"1, as the runs compute on {device}")
    if config.launcher == "ray":
        from experiments.coordinator.launchers.ray_cluster import RayLauncher

        return RayLauncher.connect(config, threads, device)
    from experiments.coordinator.launchers.local import LocalLauncher

    return LocalLauncher.on_this_machine(config, threads, device)
