"""Every command in the documents can be typed as it stands."""

import importlib
import re
import shlex
from pathlib import Path

import pytest
from commands import forget_plugins

from experiments.cli.main import StopFlag

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"^python -m ((?:experiments|analysis)\.[\w.]+)(.*?)(?: #.*| {3}.*)?$", re.M)
COMMANDS = sorted({found.groups() for path in DOCUMENTS for found in COMMAND.finditer(path.read_text())})
NEED_A_STUDY = ("--from-tuned",)
"""words after which settings come from a study that must be there"""


class Understood(Exception):
    """The command line was read, and nothing was done yet."""


@pytest.mark.parametrize(("module", "words"), COMMANDS)
def test_a_command_of_the_documents_is_understood(module, words, monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.chdir(tmp_path)
    command, typed = importlib.import_module(module), shlex.split(words)
    if "--list" in typed or set(typed) & set(NEED_A_STUDY):
        pytest.skip("lists, or needs what an earlier command made")
    real = command.parse

    def parse(*args: object) -> object:
        real(*args)
        raise Understood

    monkeypatch.setattr(command, "parse", parse)
    with pytest.raises(Understood):
        command.command(typed, StopFlag())
    forget_plugins()


def test_there_are_commands():
    assert len(COMMANDS) > 20
    assert {module for module, _ in COMMANDS} >= {
        f"experiments.{n}" for n in ("run", "study", "evaluate", "sample")
    }
