"""A run from its settings to its end, in one process; over several, see `experiments.runner.torchrun`."""

from experiments.cli.imports import heavy_imports
from experiments.cli.main import OK, StopFlag
from experiments.config.canonical import canonical
from experiments.config.run import MLFLOWS_OWN, RunConfig
from experiments.records.mlflow_store import tracking_uri
from rope_dit.errors import check


def run(config: RunConfig, stop: StopFlag) -> int:
    """Carry out one run, from wherever an earlier process left it; returns the exit code.

    Raises UserError before anything is written, or for a run folder that is in use or damaged.
    """
    check_cheaply(config)
    with heavy_imports():
        from experiments.runner.dry_run import describe
        from experiments.runner.execute import execute
        from experiments.runner.preflight import try_items
        from experiments.runner.resolve import resolve_run

    resolved = resolve_run(config)
    if config.dry_run:
        try_items(resolved)
        print(describe(resolved))
        return OK
    with resolved.folder.held():
        return execute(resolved, stop)


def check_cheaply(config: RunConfig) -> None:
    """What can be checked before torch is imported, so that a typo is answered at once. Raises UserError."""
    canonical(config)
    expected = "another name than that of MLflow's own experiment"
    check(config.study != MLFLOWS_OWN, "study", config.study, expected)
    tracking_uri()
