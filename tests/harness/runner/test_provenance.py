"""Where a run comes from."""

import subprocess
from pathlib import Path

from experiments.runner import provenance


def test_git_commit_is_that_of_this_file():
    commit = provenance.git_commit()
    folder = Path(provenance.__file__).parent
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True)
    assert commit.partition("+")[0] == head.stdout.decode().strip()
