"""Who may import whom, how full a folder may be, and what each says of itself: read from the sources."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import analysis.figures.base  # noqa: F401  registers its registry
import experiments.config.registries  # noqa: F401  its own
from rope_dit.registry import REGISTRIES

ROOT = Path(__file__).parent.parent
TREES = {name: sorted((ROOT / name).rglob("*.py")) for name in ("rope_dit", "experiments", "analysis")}
SOURCES = [path for paths in TREES.values() for path in paths]

# beginning of a file's name, and what may not be imported there
RULES: list[tuple[str, tuple[str, ...]]] = [
    ("rope_dit/", ("experiments", "analysis", "mlflow", "optuna", "ray", "torchvision", "torch_fidelity")),
    ("rope_dit/model.py", ("rope_dit.trainer", "rope_dit.flow", "rope_dit.samplers", "rope_dit.checkpoint")),
    ("rope_dit/registry/specs.py", ("rope_dit.registry",)),
    ("rope_dit/registry/syntax.py", ("rope_dit.registry",)),
    ("rope_dit/registry/docstrings.py", ("rope_dit",)),
    ("rope_dit/registry/entries.py", ("rope_dit.registry.registry", "rope_dit.registry.kinds")),
    (
        "analysis/",
        ("torch", "torchvision", "torch_fidelity", "rope_dit.checkpoint", "rope_dit.model", "safetensors"),
    ),
]

FACTORS: dict[str, tuple[str, ...]] = {
    "averages": (), "couplings": ("randomness",), "densities": ("randomness",), "extrapolations": (),
    "grids": (), "guidance": ("samplers",), "objectives": (), "optimizers": ("config",),
    "pos_embed": ("extrapolations", "positions", "randomness"), "positions": (), "samplers": (),
    "schedules": (),
}  # fmt: skip
"""folders of the library's items, and what of it they import besides the registry, errors and themselves"""

COMMANDS = ("run", "study", "evaluate", "sample", "bench", "train_extractor", "document", "convergence")
EXPERIMENTS = [
    "cli",
    "config",
    "records",
    "datasets",
    "scoring",
    "runner",
    "coordinator",
    "benchmark",
    "documents",
]
"""rooms of experiments: each imports only itself and those before it; the commands import all of them"""
STUDIES = ("config",)
"""what study files import; they are on no way from one room to another"""
ANALYSIS = [
    ("stats",),
    ("rates",),
    ("reading",),
    ("load", "accepted", "study", "tables", "numbers"),
    ("judging",),
    ("figures",),
    ("page",),
    ("report",),
    ("compare",),
]
"""files and folders of analysis: each imports only those of its own place and of the places before it"""
ANALYSIS_TAKES = ("cli", "records")
"""rooms of experiments that analysis imports"""
FEATURES = ("experiments.scoring.extractors", "experiments.config.registries", "experiments.scoring.metrics")
FEATURES += ("experiments.config.measures", "experiments.config.text", "experiments.cli.plugins")
"""what metrics import of experiments: they see features, and neither pictures nor runs"""
NUMBERS = ("rope_dit.errors", "rope_dit.randomness")
"""what they import of the library"""
PROBES_TAKE = ("experiments.config", "experiments.datasets", "experiments.scoring.probes")
PROBES_TAKE += ("experiments.cli.plugins",)
"""what probes import of experiments: they know neither scores nor what is done with them"""
TORCH_FREE_LIBRARY = [
    "config",
    "durable",
    "errors",
    "files",
    "words",
    "averages/names",
    "guidance/spec",
    "samplers/spec",
]
TORCH_FREE_LIBRARY += [
    f"registry/{file}" for file in ("docstrings", "entries", "kinds", "registry", "specs", "syntax")
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


def imports_of(start: str) -> list[tuple[str, str]]:
    """Each file whose name begins so with each module that it imports."""
    files = [path for path in SOURCES if name(path).startswith(start)]
    assert files, f"no file begins with {start}"
    return [(name(path), module) for path in files for module in imported(path)]


@pytest.mark.parametrize(("start", "forbidden"), RULES, ids=[start for start, _ in RULES])
def test_import_directions(start, forbidden):
    assert not [pair for pair in imports_of(start) if within(pair[1], forbidden)]


def place(module: str, package: str) -> str:
    """The room of a package that a module is in, or one of its files; empty for the package itself.

    `from experiments import config` is found twice, and its second name is that of the room.
    """
    top, _, rest = module.partition(".")
    return rest.partition(".")[0] if top == package else ""


def out_of_order(start: str, package: str, allowed: Iterable[str]) -> list[tuple[str, str]]:
    """What files import from other places of a package than these."""
    found = [(file, module, place(module, package)) for file, module in imports_of(start)]
    return [(file, module) for file, module, where in found if where and where not in allowed]


def test_each_folder_of_the_library_is_one_of_items_or_the_registry():
    assert {path.parent.name for path in (ROOT / "rope_dit").glob("*/__init__.py")} == {*FACTORS, "registry"}


@pytest.mark.parametrize("folder", FACTORS)
def test_items_know_neither_the_model_nor_its_training(folder):
    allowed = {folder, "registry", "errors", *FACTORS[folder]}
    assert not out_of_order(f"rope_dit/{folder}/", "rope_dit", allowed)


def test_the_rooms_of_experiments_are_those_of_the_order():
    folders = {path.parent.name for path in (ROOT / "experiments").glob("*/__init__.py")}
    assert folders == {*EXPERIMENTS, "studies"}
    assert {path.stem for path in (ROOT / "experiments").glob("*.py")} == {*COMMANDS, "__init__"}


@pytest.mark.parametrize("room", [*EXPERIMENTS, "studies"])
def test_a_room_imports_only_rooms_before_it(room):
    before = STUDIES if room == "studies" else EXPERIMENTS[: EXPERIMENTS.index(room)]
    assert not out_of_order(f"experiments/{room}/", "experiments", {room, *before})


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_import_rooms_and_no_other_command(command):
    assert not out_of_order(f"experiments/{command}.py", "experiments", EXPERIMENTS)


def test_the_study_command_alone_imports_analysis():
    pairs = [pair for pair in imports_of("experiments/") if within(pair[1], ("analysis",))]
    assert {file for file, _ in pairs} == {"experiments/study.py"}


def test_launchers_know_nothing_of_studies():
    pairs = out_of_order(
        "experiments/coordinator/launchers/", "experiments", {"cli", "config", "coordinator"}
    )
    inside = imports_of("experiments/coordinator/launchers/")
    own = ("experiments.coordinator.launchers",)
    pairs += [p for p in inside if within(p[1], ("experiments.coordinator",)) and not within(p[1], own)]
    assert not pairs


def test_metrics_see_features_only():
    for file, module in imports_of("experiments/scoring/metrics/"):
        assert not within(module, ("experiments",)) or within(module, FEATURES), (file, module)
        assert not within(module, ("rope_dit",)) or within(module, NUMBERS), (file, module)


def test_probes_see_the_network_and_pictures_only():
    pairs = imports_of("experiments/scoring/probes/")
    assert not [p for p in pairs if within(p[1], ("experiments",)) and not within(p[1], PROBES_TAKE)]


@pytest.mark.parametrize("number", range(len(ANALYSIS)), ids=[places[0] for places in ANALYSIS])
def test_a_place_of_analysis_imports_only_places_before_it(number):
    allowed = {place for places in ANALYSIS[: number + 1] for place in places}
    there = [here for here in ANALYSIS[number] if list((ROOT / "analysis").glob(f"{here}*"))]
    assert not [pair for here in there for pair in out_of_order(f"analysis/{here}", "analysis", allowed)]


def test_the_places_of_analysis_are_those_of_the_order():
    modules = {path.stem for path in (ROOT / "analysis").glob("*.py")}
    packages = {path.parent.name for path in (ROOT / "analysis").glob("*/__init__.py")}
    assert modules | packages <= {"__init__", *(place for places in ANALYSIS for place in places)}


def test_analysis_takes_commands_and_records_of_experiments_alone():
    assert not out_of_order("analysis/", "experiments", ANALYSIS_TAKES)


def test_the_model_never_asks_for_a_variant_s_name():
    assert not {entry.stem for entry in (ROOT / "rope_dit/pos_embed").glob("*.py")} & set(
        re.findall(r'"(\w+)"', (ROOT / "rope_dit/model.py").read_text())
    )


def modules(*starts: str) -> list[str]:
    """Modules by the beginnings of their files' names."""
    files = [path for path in SOURCES if name(path).startswith(starts)]
    return [name(path).removesuffix(".py").replace("/", ".").removesuffix(".__init__") for path in files]


TORCH_FREE = modules(*(f"rope_dit/{file}.py" for file in TORCH_FREE_LIBRARY))
TORCH_FREE += modules(
    "experiments/cli/", "experiments/config/", "experiments/records/", "experiments/studies/"
)
TORCH_FREE += modules("experiments/coordinator/launchers/", "experiments/coordinator/worker.py")
TORCH_FREE += modules("experiments/run.py", "experiments/study.py", "experiments/evaluate.py")
TORCH_FREE += ["experiments.coordinator.cell", "experiments.scoring.jobs"]  # as they promise


def test_settings_records_and_registries_import_no_torch():
    """Not indirectly either: what else is imported with them is seen too."""
    code = "import sys, {}; print(*{{'torch', 'mlflow'}} & {{*sys.modules}}, file=sys.stderr, end='')"
    words = [sys.executable, "-c", code.format(", ".join(TORCH_FREE))]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("module", TORCH_FREE)
def test_torch_free_files_name_no_torch_above(module):
    """So that the one that breaks the rule is named; a function may import torch once it is called."""
    path = (ROOT / module.replace(".", "/")).with_suffix(".py")
    tree = ast.parse((path if path.exists() else path.with_suffix("") / "__init__.py").read_text())
    heads = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {ast.unparse(node).split()[1].partition(".")[0] for node in heads}
    assert not names & {"torch", "torchvision", "mlflow", "torch_fidelity", "torchdiffeq"}


MOST_ENTRIES = 16
OF_ITEMS = {"rope_dit"} | {each.package.replace(".", "/") for each in REGISTRIES.values()}
OF_ITEMS |= {"experiments/studies", "tests/library/golden"}
"""folders that grow by one file for each registered item or kind, and the library's own top"""
FOLDERS = sorted(
    {
        folder
        for tree in ("rope_dit", "experiments", "analysis", "tests")
        for folder in (ROOT / tree, *(path for path in (ROOT / tree).rglob("*") if path.is_dir()))
        if not any(part == "__pycache__" or part.startswith(".") for part in folder.relative_to(ROOT).parts)
    }
)


@pytest.mark.parametrize("folder", [path for path in FOLDERS if name(path) not in OF_ITEMS], ids=name)
def test_a_folder_can_be_taken_in_at_a_glance(folder):
    entries = [p.name for p in folder.iterdir() if p.name != "__pycache__" and not p.name.startswith(".")]
    if name(folder) == "experiments":  # whose top are thin commands
        entries = [entry for entry in entries if entry.removesuffix(".py") not in COMMANDS]
    assert len(entries) <= MOST_ENTRIES, sorted(entries)


PACKAGES = [path.parent for path in SOURCES if path.name == "__init__.py"]


@pytest.mark.parametrize("folder", PACKAGES, ids=name)
def test_packages_say_what_may_live_there_and_what_they_import(folder):
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    assert len(re.findall(r"[\w`)][.](?=\s|$)", text)) >= 2, "expected two sentences"
    assert re.search(r"\bimports?\b", text), "expected what it may import"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_files_and_functions_stay_small(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 350
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    long = {node.name: size for node in nodes if (size := (node.end_lineno or 0) - node.lineno + 1) > 60}
    assert not long
