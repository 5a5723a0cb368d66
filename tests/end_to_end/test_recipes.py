"""Each recipe of CONTRIBUTING.md as a newcomer tries it: one file in an empty folder, nothing edited."""

import contextlib
import importlib
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from commands import call, forget_plugins

import analysis.figures.base  # noqa: F401  registers its registry
from rope_dit.registry import REGISTRIES, add_plugins
from rope_dit.registry.syntax import registered

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"
BLOCKS = re.compile(r"```python\n(.*?)```\n```\n(.*?)```\n", re.S)
"""a file, and what is typed"""


@dataclass(frozen=True)
class Recipe:
    """A file, and the command that tries it."""

    title: str
    code: str
    command: str

    def items(self, folder: Path) -> list[tuple[str, str]]:
        """Kind and name of what the file registers, once it lies in `folder` as one of that name."""
        (folder / "mine.py").write_text(self.code)
        return [
            (kind, found.name)
            for kind, registry in REGISTRIES.items()
            for found in registered(folder / "mine.py", registry.variable)
        ]


SECTIONS = [section.partition("\n") for section in CONTRIBUTING.read_text().split("\n### ")[1:]]
RECIPES = [Recipe(title, *found) for title, _, text in SECTIONS for found in BLOCKS.findall(text)]
ITEMS, (STUDY,) = RECIPES[:-1], RECIPES[-1:]


@pytest.fixture(autouse=True)
def mine(tmp_path, monkeypatch):
    """An empty folder `mine` in an empty one."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    yield Path("mine")
    forget_plugins()


def typed(command: str, *more: str) -> str:
    """What a command of a recipe prints; it must end well."""
    words = shlex.split(command)
    assert words[:2] == ["python", "-m"]
    result = call(words[2].removeprefix("experiments."), *words[3:], *more)
    assert result.code == 0, result.err
    return result.out


def test_there_is_one_for_each_kind(mine):
    kinds = [kind for recipe in ITEMS for kind, _ in recipe.items(mine)]
    assert set(kinds) == set(REGISTRIES)
    assert len(kinds) == len(ITEMS), "one file, one idea"
    assert STUDY.items(mine) == []
    assert [recipe.title for recipe in RECIPES] == [title for title, _, _ in SECTIONS], "one file each"


QUICK_ONES = ("A_positional_embedding",)


def cases() -> Iterator[object]:
    for recipe in ITEMS:
        name = recipe.title.partition(":")[0].replace(" ", "_")
        slow = name not in QUICK_ONES  # the study below has all of them
        yield pytest.param(recipe, id=name, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize("recipe", list(cases()))
def test_it_is_listed_keeps_its_contract_and_runs(recipe, mine):
    ((kind, name),) = recipe.items(mine)
    assert f"  {name}" in typed(f"python -m experiments.run --plugins mine --list {kind}")
    unnamed = ("metrics", "picture_metrics", "figures", "extrapolations", "probes")
    assert name in recipe.command or kind in unnamed
    add_plugins(mine)
    kept = 0
    for spec in REGISTRIES[kind][name].specs():
        for check in importlib.import_module(f"contract_{kind}").CHECKS:
            with contextlib.suppress(pytest.skip.Exception):
                check(spec)
                kept += 1
    assert kept > 0
    forget_plugins()
    typed(recipe.command)
    assert [path.name for path in mine.iterdir() if path.is_file()] == ["mine.py"]
    if kind == "figures":
        page = Path("reports/smoke/index.html").read_text()
        assert f'id="figure-{name}"' in page


@pytest.mark.slow
def test_a_study_varies_all_of_them(mine):
    for place, recipe in enumerate(ITEMS):
        (mine / f"idea_{place}.py").write_text(recipe.code)
    (mine / "ideas.py").write_text(STUDY.code)
    said = typed(STUDY.command)
    assert "primary endpoint: fd_thumbnails" in said
    report = Path("reports/ideas/report.md").read_text()
    for arm in ("rope2d", "unit", "sgd", "cosmap", "bright", "falling"):
        assert f"| {arm} " in report
    assert "rope2d:theta=100; train.density=cosmap |" in report, "what an arm differs in"
    assert "figures/medians.png" in report
