"""Help and lists: readable, answered without torch, and made from what is registered and from the preset."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import QUICK, call, finished_run, rows, use
from studies import call_study

from experiments.cli.arguments import arguments
from experiments.cli.main import one_line
from experiments.config.presets import PRESETS
from experiments.config.registries import DATASETS, EXTRACTORS
from experiments.config.run import RunConfig
from experiments.config.text import flatten
from rope_dit.errors import UserError
from rope_dit.registry import POS_EMBEDS, REGISTRIES, show

COLUMN_ROPE = '''
from rope_dit.pos_embed.rotation import Rotary, frequencies, positions
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("rope1d_columns")
class ColumnRope(Rotary):
    """1-D RoPE over columns: rows are invisible."""

    relative = True
    sees = ("column",)

    def __init__(self, geometry, *, theta: float = 100.0):
        self.theta = theta
        super().__init__(geometry)

    def angles(self, grid):
        omega = frequencies(self.geometry.head_dim // 2, self.theta, "rope1d_columns")
        return [positions(grid)[1][:, None] * omega]
'''

STRIPES = '''
import numpy as np

from experiments.datasets.base import Images
from experiments.config.registries import DATASETS


@DATASETS.register("stripes")
def stripes(argument, config):
    """Rows or columns."""
    labels = np.arange(200) % 2
    pixels = np.zeros((200, 1, 8, 8), np.uint8)
    pixels[labels == 0, :, ::2], pixels[labels == 1, :, :, ::2] = 255, 255
    return Images(train=pixels, train_labels=labels, held_out=pixels[:40], held_out_labels=labels[:40],
                  classes=("rows", "columns"), name="stripes")
'''

LIGHT = """
import runpy, sys
for line in {lines!r}:
    command, *sys.argv[1:] = line.split()
    try:
        runpy.run_module("experiments." + command, run_name="__main__")
    except SystemExit as stop:
        assert stop.code == 0, (line, stop.code)
    heavy = {{"torch", "sklearn", "mlflow", "pandas", "PIL"}} & sys.modules.keys()
    assert not heavy, (line, heavy)
"""


TYPO = """
import sys
from experiments import run
from experiments.cli.main import main
sys.argv = ["run", *{words!r}.split()]
try:
    main(run.command)
finally:
    print("torch" in sys.modules)
"""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--train.objective velocityy", "unknown objective 'velocityy'. Did you mean 'velocity'?"),
        ("--train.averages power warmupp", "unknown average 'warmupp'. Did you mean 'warmup'?"),
        ("--train.optimizer muon:rl=1", "muon: unknown option 'rl'"),
        ("--eval.averages power", "eval.averages got 'power', expected raw or an average that the run keeps"),
    ],
)
def test_a_typo_in_a_spec_is_told_before_torch_is_imported(tmp_path, words, says):
    code = TYPO.format(words=words)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "False\n"), done.stderr
    assert done.stderr.startswith(f"error: {says}"), done.stderr


def test_help_and_lists_import_nothing_heavy(tmp_path):
    lines = ["run --help", "run --preset cifar10 --help", "run --list", "evaluate --help", "sample --help"]
    lines += [
        f"run --list {kind}" for kind, each in REGISTRIES.items() if not each.package.startswith("analysis")
    ]
    code = LIGHT.format(lines=lines)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())


def unboxed(text: str) -> str:
    """What a help says of options, in one line."""
    boxes = text[text.index("-h, --help") :]
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", boxes).split())


def test_help_names_what_there_is():
    run, study = unboxed(call("run", "--help").out), unboxed(call_study("--help").out)
    bench = unboxed(call("bench", "--help").out)
    for shown in (run, study):
        assert f"{' | '.join(DATASETS.names())}, as name or name:PATH" in shown
        assert f"{' | '.join(EXTRACTORS.names())}, as name or name:PATH" in shown
    for shown in (run, study, bench):
        listed = shown[shown.index("--preset ") :].split(" (default")[0].split(":")[0]
        assert {*re.findall(r"[a-z][\w-]+", listed)} - {"preset"} == {*PRESETS}
        assert listed.count("|") == len(PRESETS) - 1
    assert "--list [KIND] what there is, of one kind or all" in " ".join(call("run", "--help").out.split())


@pytest.mark.parametrize("preset", PRESETS)
def test_help_has_every_option_with_the_presets_default(preset):
    result = call("run", "--preset", preset, "--help")
    assert (result.code, result.err) == (0, "")
    shown = unboxed(result.out)
    places = {
        argument.names[0]: shown.index(argument.names[0] + " ")
        for argument in arguments(RunConfig)
        if argument.type is not bool
    }
    for name, value in flatten(PRESETS[preset]).items():
        option = "--data" if name == "data.name" else "--" + name.replace("_", "-")
        empty = {"--arm": "the variant", "--eval.averages": "all in train.averages"}
        empty["--eval.token-grids"] = "none"
        shown_as = {"None": "none", "": empty.get(option)}.get(value, value)
        if option in places:
            assert f"(default: {shown_as})" in shown[places[option] :][:400], option
    assert all(f" {name}" in shown[places["--preset"] :][:200] for name in PRESETS)


def test_help_names_the_other_ways_in():
    out = call("run", "--help").out
    assert "--list [KIND]" in out
    assert "python -m experiments.run --variant rope2d" in out
    assert max(map(len, out.splitlines())) <= 110


def test_lists_show_what_files_declare():
    out = call("run", "--list").out
    for kind, registry in REGISTRIES.items():
        assert f"{kind}:\n" in out
        for entry in registry:
            assert f"  {entry.name} " in out
            assert entry.summary in out
            assert entry.source in " ".join(out.split())
            assert all(f"{option.name}={show(option.default)}" in out for option in entry.options.values())
    rope = out[out.index("  rope2d ") : out.index("  sincos2d ")]
    assert "claims:  relative, sees row and column, extrapolates\n" in rope
    assert "(lower is better)" in out
    assert "order 2, evals per step 2" in out


def test_what_a_plug_in_says_does_not_steer_the_terminal(tmp_path):
    text = COLUMN_ROPE.replace("rows are invisible.", r"rows are \x1b[8m\x07invisible.")
    (tmp_path / "hostile.py").write_text(text)
    told = call("run", "--list", "variants", "--plugins", tmp_path).out
    assert r"1-D RoPE over columns: rows are \x1b[8m\x07invisible." in told
    assert "\x1b" not in told


def test_a_list_says_where_things_are_from(tmp_path):
    source = "A. Author and B. Author, A book of many words on rows and columns, arXiv:1234.56789, page 300"
    (tmp_path / "mine.py").write_text(
        COLUMN_ROPE.replace("rows are invisible.", f"rows are invisible.\n\n    Source: {source}\n\n    ")
    )
    told = call("run", "--list", "variants", "--plugins", tmp_path).out
    own = told[told.index("  rope1d_columns ") :].splitlines()
    assert own[1] == " " * 20 + "source:  A. Author and B. Author, A book of many words on rows and columns,"
    assert own[2].strip() == "arXiv:1234.56789, page 300"
    assert own[3].strip() == "options: theta=100"


def test_one_list():
    assert call("run", "--list", "grids") == call("run", "--list=grids")
    out = call("run", "--list", "grids").out
    assert out.startswith("grids:\n")
    assert "variants" not in out


@pytest.mark.slow
def test_a_new_variant_from_a_folder_of_ones_own(tmp_path, tmp_path_factory, monkeypatch):
    use(finished_run(tmp_path_factory), monkeypatch, tmp_path)
    Path("own").mkdir()
    Path("own/columns.py").write_text(COLUMN_ROPE)
    listed = call("run", "--plugins", "own", "--list", "variants").out
    assert "rope1d_columns" in listed
    assert "1-D RoPE over columns: rows are invisible." in listed
    assert "claims:  relative, sees column\n" in listed
    made = call(
        "run", *QUICK, "--plugins", "own", "--variant", "learned+rope1d_columns:theta=50", "--out", "run"
    )
    assert made.code == 0, made.err
    assert {row["arm"] for row in rows(Path("run"))} == {"learned:std=0.02+rope1d_columns:theta=50"}
    again = call("evaluate", "run", "--plugins", "own", "--samplers", "heun:steps=1")
    assert again.code == 0, again.err
    assert len({row["sampler"] for row in rows(Path("run"))}) == 2
    with pytest.raises(UserError, match="unknown variant"):
        POS_EMBEDS["rope1d_columns"]  # call forgets plugins, or other tests would see this one


def test_an_extractor_of_pictures_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own").mkdir()
    Path("own/stripes.py").write_text(STRIPES)
    small = ("--out", "mine.safetensors", "--epochs", "2", "--width", "4", "--batch", "20")
    made = call("train_extractor", *small, "--plugins", "own", "--data", "stripes")
    assert (made.code, made.err) == (0, "")
    assert made.out == "mine.safetensors: 100.00 % of the 40 held-out pictures are recognised\n"
    command = json.loads(Path("mine.json").read_text())["command"]
    assert "--data stripes" in command
    assert "--plugins own" in command


@pytest.mark.slow
def test_a_variant_of_ones_own_is_timed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own").mkdir()
    Path("own/columns.py").write_text(COLUMN_ROPE)
    own = ("--plugins", "own", "--variant", "rope1d_columns")
    timed = call("bench", "--preset", "smoke", "--rounds", "1", "--steps", "1", *own)
    assert (timed.code, timed.err) == (0, "")
    assert timed.out.startswith("preset smoke, rope1d_columns, ")


def test_underscores_and_equals_signs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = call("run", *QUICK, "--train.warmup_steps=3", "--dry_run", "--data=digits").out
    assert re.search(r"^train.warmup_steps +3$", out, re.MULTILINE)


@pytest.mark.parametrize(
    "text", ["a\nb\tc", "x" * 5000, "word " * 200, "\x1b[2J\x00", "a" * 192, "a" * 193, "\udcff"]
)
def test_any_text_becomes_one_printable_line(text):
    line = one_line(text)
    assert len(line) <= 193
    assert line.isprintable()
    assert line[:1] == text[:1].replace("\x1b", "\\").replace("\udcff", "\\")


def test_the_end_of_a_long_message_survives():
    assert one_line(f"got '{'x' * 3000}', expected a name. {'Mend it. ' * 30} The end.").endswith("The end.")


@pytest.mark.parametrize(
    ("redirection", "code"), [(">&-", 0), (">&- 2>&-", 0), ("| true", 0), ("> /dev/full", 1)]
)
def test_an_output_that_nobody_can_read(redirection, code, tmp_path):
    if "full" in redirection and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    words = f"{sys.executable} -m experiments.run --list {redirection}"
    done = subprocess.run(["sh", "-c", words], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == code
    assert done.stderr == (
        ""
        if code == 0
        else "error: the output cannot be written (No space left on device); the work goes on.\n"
    )
