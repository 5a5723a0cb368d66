"""Two finished smoke runs of one study, under several samplers, in a folder with its own MLflow store."""

import pytest

from experiments.cli.main import OK, StopFlag
from experiments.run import command

STUDY = "two-arms"
SAMPLERS = ("euler:steps=2", "euler:steps=4", "euler:steps=8", "heun:steps=1", "heun:steps=2", "dopri5")
ARGS = ["--preset", "smoke", "--study", STUDY, "--train.steps", "40", "--train.threads", "1",
        "--eval.samplers", *SAMPLERS, "--eval.sampling-seeds", "2"]  # fmt: skip


@pytest.fixture(name="two_runs", scope="module")
def two_runs_fixture(tmp_path_factory):
    """Folder with mlflow.db and runs/ of the variants none and rope2d."""
    folder = tmp_path_factory.mktemp("two_runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for variant in ("rope2d", "none"):
            assert command([*ARGS, "--variant", variant], StopFlag()) == OK
    return folder
