"""A later version of this project, with more settings and options, leaves records of before as they were."""

import shutil
from pathlib import Path

import pytest
from commands import SMOKE
from old_records import (  # noqa: F401  fixtures
    ARMS,
    STUDY,
    by,
    old_fixture,
    unpacked_fixture,
)

ROOT = Path(__file__).parents[2]
LATER = {  # a later version adds a setting and options, whose defaults are not as before
    "rope_dit/config.py": (
        "    log_every: int = 40\n",
        '    warmth: Annotated[float, Neutral(1.0)] = 2.0\n    """later"""\n    log_every: int = 40\n',
    ),
    "rope_dit/samplers/heun.py": (
        '@SOLVERS.register("heun")\n',
        '@SOLVERS.register("heun", neutral={"push": 1.0})\n',
    ),
    "rope_dit/pos_embed/rope2d.py": (
        'neutral={"pairing": "half",',
        'neutral={"scale": 1.0, "pairing": "half",',
    ),
}


@pytest.fixture(scope="module")
def later(tmp_path_factory):
    """A later version of this project."""
    folder = tmp_path_factory.mktemp("later")
    for package in ("rope_dit", "experiments", "analysis"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, (old_text, new_text) in LATER.items():
        text = (folder / name).read_text()
        assert text.count(old_text) == 1, name
        (folder / name).write_text(text.replace(old_text, new_text))
    config, rope = folder / "rope_dit/config.py", folder / "rope_dit/pos_embed/rope2d.py"
    config.write_text(config.read_text().replace("from typing import ", "from typing import Annotated, ", 1))
    text = rope.read_text()
    assert text.count("theta: float = 100.0") == 1
    rope.write_text(text.replace("theta: float = 100.0", "theta: float = 100.0, scale: float = 2.0"))
    heun = folder / "rope_dit/samplers/heun.py"
    made = "    def __init__(self, *, push: float = 2.0):\n        self.push = push\n\n    def step("
    heun.write_text(heun.read_text().replace("    def step(", made))
    return folder


def settings(told: str) -> dict[str, str]:
    """The later ones, as a dry run tells them."""
    pairs = (line.split() for line in told.splitlines())
    return {pair[0]: pair[1] for pair in pairs if pair and pair[0] in ("train.warmth", "variant")}


@pytest.mark.slow
def test_later_settings_leave_old_runs_as_they_were(old, later):
    by(later, "run", *SMOKE, "--out", "runs/finished")  # metrics that came since
    told = by(later, "run", *SMOKE, "--out", "runs/finished")
    assert "is finished; nothing to do" in told
    fresh = by(later, "run", *SMOKE, "--out", "new", "--dry-run")
    assert settings(fresh) == {"train.warmth": "2.0", "variant": "rope2d:scale=2,theta=100"}
    before = by(later, "run", *SMOKE, "--out", "runs/finished", "--dry-run")
    assert settings(before) == {"train.warmth": "1.0", "variant": "rope2d:scale=1,theta=100"}
    told = by(later, "evaluate", "runs/finished")
    assert "nothing to do" in told


@pytest.mark.slow
def test_later_settings_hold_for_new_runs(old, later):
    given = (*SMOKE, "--train.steps", "4", "--train.warmup-steps", "1", "--eval.every", "0", "--eval.n", "10")
    assert "is finished" not in by(later, "run", *given, "--out", "new")
    again = by(later, "run", *given, "--out", "new")
    assert "is finished; nothing to do" in again
    assert "heun:grid=uniform,push=2,steps=2" in again


@pytest.mark.slow
def test_later_settings_leave_old_studies_as_they_were(old, later):
    told = by(later, "study", *STUDY, "--seeds", "2", "--dry-run")
    assert "6 runs, 6 of them done" in told
    told = by(later, "study", *SMOKE, "--name", "new", *ARMS, "--eval.n", "100", "--dry-run")
    assert "0 of them done" in told
