"""Where a run comes from."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.benchmark.workloads import made_up
from experiments.config.presets import preset
from experiments.runner import provenance
from experiments.runner.execute import make_batches


def test_git_commit_is_that_of_this_file():
    commit = provenance.git_commit()
    folder = Path(provenance.__file__).parent
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True)
    assert commit.partition("+")[0] == head.stdout.decode().strip()


@pytest.mark.parametrize("variant", ["rope2d", "learned"])
def test_what_moves_positions_does_not_unpair_arms(variant, tmp_path):
    def inputs(positions):
        config = preset("smoke")
        config = replace(config, variant=variant, model=replace(config.model, positions=positions))
        resolved = made_up(replace(config, device="cpu"), (1, 8, 8), tmp_path)
        return provenance.pairing(resolved, make_batches(resolved))["inputs_sha256"]

    assert inputs("shift+rescale") == inputs("index")
