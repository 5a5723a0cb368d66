"""What a study's user writes: options, study files and what is wrong with them."""

from pathlib import Path

import pytest

from experiments.cli.arguments import parse
from experiments.config.study import STUDIES, StudyConfig, study, study_file
from experiments.config.tuning import Choice, Range
from experiments.coordinator.arm import parse_arms
from experiments.coordinator.plan_ablation import shared_settings
from experiments.coordinator.tuning.space import configured, own_space, read_space, space_text
from experiments.study import read_arguments
from rope_dit.errors import UserError

IMPORT = "from experiments.config.study import study"
REPLACE = f"from dataclasses import replace\n{IMPORT}"
FILES = sorted(file.stem for file in STUDIES.glob("[a-z]*.py"))


def test_the_bare_command_is_four_variants_and_seven_seeds():
    mode, config, _, _ = read_arguments([])
    assert (mode, config.title, config.specs, config.seeds) == (
        "ablate", "digits", ("none", "learned", "rope1d", "rope2d"), 7,
    )  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_every_study_that_ships_can_be_read(name):
    config, space = study_file(name)
    arms = parse_arms(config.specs, config.run())
    assert len(arms) > 1
    for arm in arms.values():
        for key in own_space(arm, space):
            configured(arm, key, "0.5").config(config.run())
    text = (STUDIES / f"{name}.py").read_text()
    assert f"python -m experiments.study {name}" in text
    assert "\nCost: " in text
    assert "\nExpected: " in text


def test_options_go_over_the_file():
    mode, default, _, rest = read_arguments(["tune", "smoke", "--seeds", "2", "--samplers", "euler:steps=3"])
    config = parse(StudyConfig, default, rest, "study", "")
    assert (mode, config.preset, config.title, config.seeds) == ("tune", "smoke", "smoke", 2)
    assert config.eval.samplers == ("euler:steps=3",)
    assert config.variants == ("learned", "rope2d")


def test_a_preset_without_a_study_file_gets_the_usual_arms():
    _, config, space, _ = read_arguments(["--preset", "cifar10-large"])
    assert config.model.depth == 13
    assert config.specs == ("none", "learned", "rope1d", "rope2d")
    assert not space


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["digit"], "Did you mean 'digits'"),
        (["nowhere.py"], "no study file 'nowhere.py'"),
        (["--preset", "digit"], "unknown preset 'digit'"),
        (["smoke", "--preset", "smoke"], "give one of them"),
        (["--from-tuned", "nothing"], "is not there"),
    ],
)
def test_a_bad_start_is_refused(args, says):
    with pytest.raises(UserError) as refused:
        read_arguments(args)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\nSTUDY = study(\n", ":2: SyntaxError"),
        ("x = 1\ny = x / 0\n", ":2: ZeroDivisionError"),
        (
            "from experiments.config.study import study\nSTUDY = study('digits', seeds=0)\n",
            ":2: seeds got 0",
        ),
        ("from experiments.config.study import study\n\nSTUDY = study('digits', sedes=3)\n", ":3: TypeError"),
        (
            f"{IMPORT}\nSTUDY = study('smoke', variants='rope2d')\n",
            ":2: variants got 'rope2d', exp",
        ),
        (f"{IMPORT}\nSTUDY = study('smoke', variants=5)\n", "variants got 5, expected several, each a text"),
        (f"{IMPORT}\nSTUDY = study('smoke', arms=[None])\n", "arms got None, expected a text"),
        (f"{IMPORT}\nSTUDY = study('smoke', seeds=2.5)\n", "seeds got 2.5, expected a whole number"),
        (f"{IMPORT}\nSTUDY = study('smoke', data=None)\n", "data got None, expected a DataConfig"),
        (f"{IMPORT}\nSTUDY = study('smoke', train={{'lr': 'x'}})\n", "train.lr got 'x', expected a finite"),
        (
            f"{REPLACE}\nSTUDY = replace(study('smoke'), variants=('a', 1))\n",
            "mine.py: variants got 1, expect",
        ),
        ("import sys\nsys.exit(0)\n", "mine.py ends the program (SystemExit(0)); it is to define STUDY only"),
        ("raise SystemExit\n", "ends the program (SystemExit())"),
        ("raise OSError(5)\n", ":1: OSError: 5"),
        ("STUDY = 5\n", "has no STUDY"),
        ("x = 1\n", "has no STUDY"),
    ],
)
def test_an_error_in_a_study_file_names_file_and_line(tmp_path, text, says):
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(UserError) as refused:
        study_file(str(file))
    assert "mine.py" in str(refused.value)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"seeds": 0}, {"margin": 0.0}, {"margin": 1.5}, {"margin": -1.0, "margin_unit": "absolute"},
        {"margin_unit": "mean"}, {"name": "../x"}, {"name": "a b"},
    ],
)  # fmt: skip
def test_bad_fields_are_refused(fields):
    with pytest.raises(UserError):
        study("smoke", **fields)


def test_an_absolute_margin_may_be_any_distance():
    assert study("smoke", margin=1.5, margin_unit="absolute").margin == 1.5
    with pytest.raises(UserError, match="a share between 0 and 1, as margin-unit is gap"):
        study("smoke", margin=1.5)


def test_lists_and_texts_of_study_files_are_taken_as_they_are_meant():
    config = study("smoke", variants=["none"], data={"root": "there"}, eval={"n": [100]})
    assert (config.variants, config.data.root, config.eval.n) == (("none",), Path("there"), (100,))


def test_ctrl_c_in_a_study_file_stays_one(tmp_path):
    (tmp_path / "mine.py").write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        study_file(str(tmp_path / "mine.py"))


def test_a_study_file_may_change_some_settings_only():
    config = study("smoke", eval={"samplers": ("rk4:steps=1",)})
    assert config.eval.samplers == ("rk4:steps=1",)
    assert config.eval.n == (100,)


def test_a_space_written_and_read_is_the_same():
    space = {"train.lr": Range(1e-4, 1e-2, log=True), "model.mlp": Choice("gelu", "swiglu")}
    assert read_space(space_text(space)) == space


def test_a_variant_is_searched_only_in_options_it_has():
    space = {"theta": Range(10, 100), "train.lr": Range(1e-4, 1e-2)}
    arms = parse_arms(["none", "learned+rope1d"], study("smoke").run())
    assert set(own_space(arms["none"], space)) == {"train.lr"}
    assert set(own_space(arms["learned.rope1d"], space)) == {"theta", "train.lr"}
    assert configured(arms["learned.rope1d"], "theta", "12").spec == "learned:std=0.02+rope1d:theta=12"


@pytest.mark.parametrize(
    "make", [lambda: Range(2, 1), lambda: Range(0, 1, log=True), lambda: Choice("a", "a")]
)
def test_an_empty_space_is_refused(make):
    with pytest.raises(UserError):
        make()


@pytest.mark.parametrize("name", ["folder:here", "mine:here", "mine:there", "mine:here/../here", "digits"])
def test_a_data_set_s_path_works_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    """Whosever the data set is: what there is at that path counts."""
    monkeypatch.chdir(tmp_path)
    Path("here").mkdir()
    shared = shared_settings(study("smoke", data={"name": name}), tmp_path / "s", None)
    assert shared.data.name == name.replace(":here", f":{tmp_path}/here")


def test_paths_of_study_files_work_from_anywhere(tmp_path: Path):
    file = tmp_path / "two_thetas.py"
    file.write_text(f"{IMPORT}\nSTUDY = study('smoke', variants=('none',))\n")
    _, config, _, _ = read_arguments([str(file)])
    assert config.title == "two_thetas"
