"""What a run leaves behind while it works: its curves, its mirror in MLflow, and how it ended."""

import contextlib
from collections.abc import Iterator, Mapping

from experiments.cli.main import one_line
from experiments.config.run import RunConfig
from experiments.records.mlflow_mirror import Mirror
from experiments.records.run_folder import Ending, RunFolder
from experiments.runner.summary import summary
from rope_dit.errors import Diverged, Stopped
from rope_dit.trainer import Training


class Record:
    """Writes for the whole run: of several ranks, only the leading one has it."""

    def __init__(self, folder: RunFolder, config: RunConfig):
        self.folder, self.config = folder, config

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """A point of the training curves."""
        self.folder.log(step, values)

    @contextlib.contextmanager
    def kept(self, training: Training) -> Iterator[None]:
        """Mirror the folder into MLflow while the block works; say at its end how it ended, and what came."""
        mirror = Mirror(self.folder, self.config.study)
        mirror.start()
        ending = Ending("FAILED", "error")
        try:
            yield
            paused = training.step < self.config.train.steps
            ending = Ending("FINISHED", "paused" if paused else "finished")
        except (Stopped, KeyboardInterrupt):
            ending = Ending("KILLED", "stopped")
            raise
        except Exception as error:
            outcome = "diverged" if isinstance(error, Diverged) else "error"
            ending = Ending("FAILED", outcome, one_line(f"{type(error).__name__}: {error}"))
            raise
        finally:
            self.folder.end(ending)
            mirror.close(ending.status, ending.outcome)
        print(summary(self.folder, mirror))


def ending_after(folder: RunFolder, complete: bool) -> Ending:
    """How a run that was trained to its end stands after a scoring; its folder says so too.

    Args:
        folder: of the run.
        complete: whether it has all scores that it was made for. Else it stands as it did.
    """
    if complete:
        folder.end(Ending("FINISHED", "finished"))
    return folder.ending or Ending("KILLED", "killed")  # as the store says of what died without a word


class NoRecord(Record):
    """Writes nothing, as the ranks that follow."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """The leading rank has the same."""

    @contextlib.contextmanager
    def kept(self, training: Training) -> Iterator[None]:
        """The leading rank says how it ended."""
        yield
