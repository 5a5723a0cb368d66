"""No global random numbers, no call that runs code from data, plain characters: read from the sources."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TREES = {name: sorted((ROOT / name).rglob("*.py")) for name in ("rope_dit", "experiments", "analysis")}
SOURCES = [path for paths in TREES.values() for path in paths]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


GLOBAL_RANDOM = {
    "torch": {
        "manual_seed",
        "seed",
        "rand",
        "randn",
        "randint",
        "randperm",
        "normal",
        "bernoulli",
        "multinomial",
    }
    | {"rand_like", "randn_like", "randint_like", "set_rng_state", "poisson"},
    "random": None,  # None: everything but what is named below
    "np.random": None,
    "numpy.random": None,
    "torch.cuda": {"manual_seed", "manual_seed_all", "set_rng_state"},
    "torch.nn.init": None,
    "nn.init": None,
}
CONSTANT = {"zeros_", "ones_", "constant_", "eye_"}  # of torch.nn.init
LOCAL = {"random.Random", "np.random.default_rng", "np.random.Generator", "numpy.random.default_rng"}
LOCAL |= {"np.random.SeedSequence", "numpy.random.Generator", "np.random.PCG64"}
LOCAL |= {"np.random.RandomState"}  # whose numbers NumPy promises never to change
IN_PLACE = {"normal_", "uniform_", "random_", "bernoulli_", "exponential_", "log_normal_", "cauchy_"}


def random_calls(tree: ast.AST) -> Iterator[str]:
    """Calls that draw from a global generator: known functions without generator=, unseeded generators."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        owner, _, function = called.rpartition(".")
        given = {keyword.arg for keyword in node.keywords}
        if called in LOCAL:
            if not node.args and "seed" not in given:
                yield f"{called}() without a seed"
        elif owner in GLOBAL_RANDOM:
            names = GLOBAL_RANDOM[owner]
            drawn = function not in CONSTANT if names is None else function in names
            if drawn and "generator" not in given:
                yield called
        elif function in IN_PLACE and "generator" not in given:
            yield called
        elif function in ("Dropout", "dropout", "RandomHorizontalFlip", "RandomCrop"):
            yield called


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_no_global_random_numbers(path):
    calls = list(random_calls(ast.parse(path.read_text())))
    assert not calls, calls


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("torch.manual_seed(0)", True),
        ("torch.rand(3)", True),
        ("torch.randn(3, generator=g)", False),
        ("np.random.normal(3)", True),
        ("np.random.default_rng(3)", False),
        ("np.random.default_rng()", True),
        ("random.shuffle(x)", True),
        ("random.Random(0)", False),
        ("x.normal_()", True),
        ("nn.init.xavier_uniform_(w)", True),
        ("nn.init.zeros_(w)", False),
        ("normal(seed, Stream.NOISE, index, 3)", False),
    ],
)
def test_the_search_finds_what_it_looks_for(line, found):
    assert bool(list(random_calls(ast.parse(line)))) is found


FORBIDDEN = (
    r"pickle\.(loads?|Unpickler)\b",
    r"weights_only\s*=\s*False",
    r"allow_pickle\s*=\s*True",
    r"yaml\.load\(",
    r"(?<![\w.])eval\(",
    r"(?<![\w.])exec\(",
    r"shell\s*=\s*True",
    r"os\.system\(",
    r"torch\.hub\.(load|list|help)",
    r"extractall\(",
    r"(?<!safetensors\.)torch\.load\((?!.*weights_only=True)",
    r"autolog\(",
    r"log_model\(",
)


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_nothing_runs_code_from_data(path):
    text = path.read_text()
    found = [match[0] for pattern in FORBIDDEN for match in re.finditer(pattern, text)]
    assert not found


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("torch.load(path)", True),
        ("torch.load(path, weights_only=False)", True),
        ("torch.load(path, weights_only=True)", False),
        ("safetensors.torch.load(data)", False),
        ("pickle.load(file)", True),
        ("except pickle.UnpicklingError:", False),
        ("model.eval()", False),
        ("eval(text)", True),
        ("ast.literal_eval(text)", False),
        ("np.load(path, allow_pickle=True)", True),
        ("archive.extractall(folder)", True),
        ("run(line, shell=True)", True),
    ],
)
def test_the_search_for_running_code_finds_it(line, found):
    assert any(re.search(pattern, line) for pattern in FORBIDDEN) is found


@pytest.mark.parametrize("path", TREES["rope_dit"] + TREES["analysis"], ids=name)
def test_sources_are_ascii(path):
    assert path.read_text().isascii()
