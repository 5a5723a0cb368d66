"""Who may import whom, no global random numbers, no call that runs code from data: read from the sources."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TREES = {name: sorted((ROOT / name).rglob("*.py")) for name in ("rope_dit", "experiments", "analysis")}
SOURCES = [path for paths in TREES.values() for path in paths]

RULES: list[tuple[str, tuple[str, ...]]] = [
    ("rope_dit/", ("experiments", "analysis", "mlflow", "optuna", "ray", "torchvision", "torch_fidelity")),
    (
        "rope_dit/samplers/",
        ("rope_dit.model", "rope_dit.trainer", "rope_dit.pos_embed", "rope_dit.checkpoint"),
    ),
    ("rope_dit/grids/", ("rope_dit.model", "rope_dit.trainer", "rope_dit.pos_embed", "rope_dit.samplers")),
    ("rope_dit/guidance.py", ("rope_dit.model", "rope_dit.trainer", "rope_dit.pos_embed")),
    ("rope_dit/pos_embed/", ("rope_dit.model", "rope_dit.trainer", "rope_dit.samplers", "rope_dit.flow")),
    ("rope_dit/model.py", ("rope_dit.trainer", "rope_dit.flow", "rope_dit.samplers", "rope_dit.checkpoint")),
    ("rope_dit/config.py", ("torch", "numpy")),
    ("rope_dit/registry.py", ("torch", "numpy")),
    ("rope_dit/specs.py", ("torch", "numpy", "rope_dit.registry", "rope_dit.syntax")),
    ("rope_dit/syntax.py", ("torch", "numpy", "rope_dit.registry", "rope_dit.specs")),
    (
        "experiments/scoring/metrics",
        ("rope_dit.model", "rope_dit.trainer", "rope_dit.pos_embed", "rope_dit.samplers"),
    ),
    (
        "analysis/",
        ("torch", "torchvision", "torch_fidelity", "rope_dit.checkpoint", "rope_dit.model", "safetensors"),
    ),
]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(path: Path) -> Iterator[str]:
    """Names of all modules that a file imports, also inside functions; `from a import b` gives a and a.b."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(ROOT).parent.parts[: len(path.relative_to(ROOT).parts) - node.level]
            module = ".".join([*(package if node.level else ()), *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


@pytest.mark.parametrize(("start", "forbidden"), RULES, ids=[start for start, _ in RULES])
def test_import_directions(start, forbidden):
    files = [path for path in SOURCES if name(path).startswith(start)]
    assert files or start == "analysis/", f"no file begins with {start}"
    wrong = [
        f"{name(path)}: {module}" for path in files for module in imported(path) if within(module, forbidden)
    ]
    assert not wrong


def test_the_model_never_asks_for_a_variant_s_name():
    assert not {entry.stem for entry in (ROOT / "rope_dit/pos_embed").glob("*.py")} & set(
        re.findall(r'"(\w+)"', (ROOT / "rope_dit/model.py").read_text())
    )


TORCH_FREE = ["rope_dit.registry", "rope_dit.config", "rope_dit.errors", "rope_dit.samplers.spec"]
TORCH_FREE += ["rope_dit.words"]
TORCH_FREE += ["experiments.config.run", "experiments.config.presets", "experiments.config.registries"]
TORCH_FREE += ["experiments.cli.main", "experiments.config.launch", "experiments.config.study"]


def torch_free(modules: list[str]) -> None:
    code = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules or 'mlflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr or "torch or mlflow was imported"


def test_settings_and_registries_import_no_torch():
    torch_free(TORCH_FREE)


def test_analysis_takes_torch_free_things_of_experiments_only():
    taken = {
        module for path in TREES["analysis"] for module in imported(path) if within(module, ("experiments",))
    }
    modules = {m for m in taken if (ROOT / m.replace(".", "/")).with_suffix(".py").exists()}
    torch_free(sorted(modules | {"experiments"}))


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
