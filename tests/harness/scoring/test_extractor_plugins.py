"""An extractor of one's own is one file in a folder of plug-ins: runs, scores and studies take it by name."""

import shutil
from pathlib import Path

import contract_extractors
import pytest
import torch
from commands import (  # noqa: F401  fixtures
    QUICK,
    call,
    copy_fixture,
    finished_fixture,
    forget_plugins,
    rows,
    work_elsewhere,
)
from studies import call_study

from experiments.config.registries import EXTRACTORS
from experiments.scoring.extractors.base import Extractor, hash_of
from experiments.scoring.extractors.load import load_extractor
from rope_dit.errors import UserError
from rope_dit.registry import add_plugins

EDGES = '''
"""A stand-in for a large network whose weights lie in a file."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from experiments.config.registries import EXTRACTORS
from experiments.scoring.extractors.base import Extractor


class Edges(nn.Module):
    def __init__(self, path):
        super().__init__()
        self.conv = nn.Conv2d(1, 12, 3)
        if path:
            self.load_state_dict(load_file(path))
        else:
            for i, weight in enumerate(self.parameters()):
                drawn = torch.linspace(-1, 1, weight.numel()).view(weight.shape)
                weight.data.copy_(torch.sin(drawn * 40 + i))

    def forward(self, images):
        pool = torch.relu(self.conv(images.float() / 255 - 0.5)).mean((2, 3))
        return pool, torch.zeros(len(pool), 1)


@EXTRACTORS.register("edges")
def edges(argument: str, device: torch.device) -> Extractor:
    """Mean answers of twelve fixed filters."""
    return Extractor.of("edges", Edges(argument), device, dim=12, channels=(1,))
'''


@pytest.fixture
def plugin():
    """A function that writes the plug-in and adds its folder, as a new process would."""
    (folder := Path("own")).mkdir()

    def add(change: str = "", to: str = "") -> None:
        assert change in EDGES
        forget_plugins()
        (folder / "mine.py").write_text(EDGES.replace(change, to) if change else EDGES)
        add_plugins(folder)

    yield add
    forget_plugins()


def keep_contract(name):
    for check in contract_extractors.CHECKS:
        check(name)


def test_it_keeps_the_contract(plugin):
    plugin()
    keep_contract("edges")


@pytest.mark.parametrize(
    ("change", "to"),
    [
        ("mean((2, 3))", "mean((2, 3)) / 0"),
        ("dim=12", "dim=13"),
        ("mean((2, 3))", "mean((2, 3)) * len(images)"),
        pytest.param("/ 255 - 0.5", "* 0", marks=pytest.mark.slow),
        pytest.param("torch.relu(", "torch.rand(1) * (", marks=pytest.mark.slow),
        pytest.param("torch.zeros(len(pool), 1)", "pool[:, :0]", marks=pytest.mark.slow),
        pytest.param("torch.sin(drawn * 40 + i)", "torch.rand_like(drawn)", marks=pytest.mark.slow),
    ],
)
def test_the_contract_finds_what_breaks_it(plugin, change, to):
    plugin(change, to)
    with pytest.raises(AssertionError):
        keep_contract("edges")


def test_runs_and_scores_take_it_by_name(plugin, copy):
    plugin()
    assert "edges" in call("run", "--plugins", "own", "--list", "extractors").out
    own = ("--plugins", "own")
    made = call("run", *QUICK, *own, "--eval.extractor", "edges", "--out", "mine")
    assert made.code == 0, made.err
    assert {row["extractor"] for row in rows(Path("mine"))} == {"edges", "-"}
    assert "fd_edges" in {row["metric"] for row in rows(Path("mine"))}
    added = call("evaluate", "run", *own, "--extractor", "edges", "--samplers", "heun:steps=1")
    assert added.code == 0, added.err
    assert {row["extractor"] for row in rows(copy)} == {"digits", "edges", "-"}
    plugin("- 0.5", "- 0.25")
    other = call("evaluate", "run", *own, "--extractor", "edges", "--samplers", "rk4:steps=1")
    assert "run was scored with another extractor edges" in other.err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_studies_take_it_by_name(plugin, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    plugin()
    own = ("--plugins", "own", "--eval.extractor", "edges", "--name", "own")
    scored = ("--eval.every", "0", "--samplers", "euler:steps=1", "--eval.n", "20")
    result = call_study("smoke", *scored, "--seeds", 1, *own)
    assert result.code == 0, result.err
    assert "primary endpoint: fd_edges (lower is better)" in result.out
    text = Path("reports/own/report.md").read_text()
    assert "FD (edges)" in text


def test_it_is_another_one_with_other_weights_or_other_code(plugin):
    plugin()
    plain = load_extractor("edges", "cpu")
    state = {key: 2 * weight for key, weight in plain.network.state_dict().items()}
    from safetensors.torch import save_file

    save_file(state, "double.safetensors")
    double = load_extractor("edges:double.safetensors", "cpu")
    plugin("- 0.5", "- 0.25")
    moved = load_extractor("edges", "cpu")
    plugin("    def forward", "    # words\n    def forward")
    reworded = load_extractor("edges", "cpu")
    assert len({plain.sha256, double.sha256, moved.sha256}) == 3
    assert plain.sha256 == reworded.sha256
    assert {plain.name, double.name, moved.name} == {"edges"}


@pytest.mark.parametrize(
    ("change", "to", "says"),
    [
        ('of("edges"', 'of("digits"', "extractor edges of mine.py: name got 'digits', expected 'edges'"),
        ('of("edges"', 'of("edges 2"', "name got 'edges 2'"),
        ('register("edges")', 'register("digits")', "registered twice"),
        ('"edges"', '"inception_v4"', "one that does not begin as FID's own network"),
        ("return Extractor.of(", "Extractor.of(", "returned NoneType, expected an Extractor"),
        ("import torch\n", "import timm_of_mine\n", r"mine.py:\d+\): ModuleNotFoundError"),
        ("from torch import nn", "from torch import nn\n1 / 0", r"mine.py:\d+\): ZeroDivisionError"),
    ],
)
def test_what_would_mislead_or_fails_is_refused(plugin, change, to, says):
    plugin(change, to)
    name = "inception_v4" if "v4" in to else "edges"
    with pytest.raises(UserError, match=says):
        load_extractor(name, "cpu")


def test_a_version_is_part_of_what_it_is(monkeypatch):
    from dataclasses import replace

    before = load_extractor("digits", "cpu").sha256
    entry = EXTRACTORS["digits"]
    monkeypatch.setitem(EXTRACTORS.entries(), "digits", replace(entry, version=2))
    assert load_extractor("digits", "cpu").sha256 != before


def test_a_name_of_a_plug_in_is_no_name_for_a_file(plugin):
    plugin()
    shutil.copy(contract_extractors.tiny_file(), "edges.safetensors")
    shutil.copy(contract_extractors.tiny_file(), "file.safetensors")
    with pytest.raises(UserError, match="give it another name"):
        load_extractor("edges.safetensors", "cpu")
    assert load_extractor("file.safetensors", "cpu").name == "file"


def test_a_hash_sees_names_shapes_types_and_numbers():
    state = {"a": torch.arange(6.0), "b": torch.tensor(1)}
    assert hash_of(state) == hash_of(dict(reversed(state.items())))
    others = [{"c": state["a"], "b": state["b"]}, state | {"a": state["a"].view(2, 3)},
              state | {"a": state["a"].double()}, state | {"a": state["a"] + 1e-6},
              state | {"b": torch.tensor(2)}, {"a": state["a"]}]  # fmt: skip
    assert len({hash_of(state), *map(hash_of, others)}) == 7
    assert hash_of({"a": torch.zeros(2, dtype=torch.bfloat16)}) != hash_of({"a": torch.ones(2).bfloat16()})


def test_half_precision_weights_are_taken_in_full():
    network = torch.nn.Linear(2, 2).half()
    made = Extractor.of("any", network, torch.device("cpu"), dim=2)
    assert made.network.weight.dtype == torch.float32
