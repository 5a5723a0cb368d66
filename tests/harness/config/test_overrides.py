"""Single settings as text, and a whole run as a command line that can be typed."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.cli.arguments import parse
from experiments.cli.paths import everywhere
from experiments.config.overrides import command_line, override
from experiments.config.presets import PRESETS
from experiments.config.run import DataConfig, RunConfig
from experiments.records.paths import located
from experiments.run import __doc__ as run_doc
from rope_dit.errors import UserError

SMOKE = PRESETS["smoke"]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("train.lr", "3e-4", 3e-4),
        ("train.lr", "1", 1.0),
        ("train.batch", "48", 48),
        ("train.weight-decay", ".5", 0.5),
        ("train.weight_decay", "5.", 5.0),
        ("model.qk-norm", "true", True),
        ("model.qk_norm", "TRUE", True),
        ("model.conditional", "False", False),
        ("train.flip", "false", False),
        ("model.mlp", "swiglu", "swiglu"),
        ("train.density", "uniform", "uniform"),
        ("train.objective", "x:loss=x", "x:loss=x"),
        ("train.averages", "warmup:decay=0.9", ("warmup:decay=0.9",)),
        ("train.averages", "warmup/power:std=0.1", ("warmup", "power:std=0.1")),
    ],
)
def test_a_setting_gets_the_value_that_its_text_says(name, text, value):
    part, _, key = name.replace("-", "_").partition(".")
    changed = override(SMOKE, {name: text})
    got = getattr(getattr(changed, part), key)
    assert (got, type(got)) == (value, type(value))
    assert replace(changed, **{part: getattr(SMOKE, part)}) == SMOKE  # and nothing else changed
    assert replace(getattr(changed, part), **{key: getattr(getattr(SMOKE, part), key)}) == getattr(
        SMOKE, part
    )


def test_several_are_changed_at_once():
    """So that two that only fit together can be."""
    changed = override(SMOKE, {"train.warmup-steps": "40", "train.steps": "50", "model.dim": "24"})
    assert (changed.train.warmup_steps, changed.train.steps, changed.model.dim) == (40, 50, 24)
    assert override(SMOKE, {}) == SMOKE


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("train.t-density", "uniform", "unknown option '--train.t-density'. Did you mean '--train.density'?"),
        ("train.lrr", "3", "unknown option '--train.lrr'. Did you mean '--train.lr'?"),
        ("lr", "3", "unknown option '--lr'. Did you mean '--train.lr'?"),
        ("train", "3", "unknown option '--train'"),
        ("", "3", "unknown option '--'"),
        ("seed", "3", "unknown option '--seed'"),
        ("eval.every", "3", "unknown option '--eval.every'"),
        ("data.image-size", "3", "unknown option '--data.image-size'"),
        ("samplers", "heun", "unknown option '--samplers'"),
        ("model.no-qk-norm", "true", "unknown option '--model.no-qk-norm'. Did you mean '--model.qk-norm'?"),
        ("train.lr", "fast", "--train.lr got 'fast', expected a number."),
        ("train.lr", "nan", "--train.lr got 'nan', expected a number."),
        ("train.lr", "1_0", "--train.lr got '1_0', expected a number."),
        ("train.lr", "", "--train.lr got '', expected a number."),
        ("train.lr", "1e999", "train.lr got inf, expected a finite number."),
        ("train.lr", "-1", "train.lr got -1.0, expected a number above 0."),
        ("train.batch", "2.5", "--train.batch got '2.5', expected a whole number"),
        ("train.batch", "1e3", "--train.batch got '1e3', expected a whole number"),
        ("train.batch", "0", "train.batch got 0, expected a whole number of at least 1."),
        ("model.qk-norm", "yes", "--model.qk-norm got 'yes', expected true or false."),
        ("model.qk-norm", "1", "--model.qk-norm got '1', expected true or false."),
        (
            "model.mlp",
            "swigul",
            "--model.mlp got 'swigul', expected one of gelu, swiglu. Did you mean 'swiglu'?",
        ),
        ("model.num-heads", "3", "model.num-heads got 3, expected a divisor of model.dim (16)."),
        ("model.dim", "100000", "model.dim got 100000, expected at most 65,536."),
    ],
)
def test_what_does_not_fit_is_named(name, text, says):
    with pytest.raises(UserError) as refused:
        override(SMOKE, {name: text})
    assert says in str(refused.value)


def in_full(config: RunConfig) -> RunConfig:
    """Settings with every path as it holds in every working directory."""
    out = config.out and everywhere(config.out)
    return replace(located(config), runs=everywhere(config.runs), out=out)


def typed(config: RunConfig) -> RunConfig:
    """What comes of the command line as a shell splits it."""
    words = shlex.split(shlex.join(command_line(config)))
    return parse(RunConfig, PRESETS[config.preset], words, "run", run_doc)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_its_name(name):
    assert command_line(PRESETS[name]) == ["--preset", name]
    assert typed(PRESETS[name]) == PRESETS[name]


@pytest.mark.parametrize("name", PRESETS)
def test_the_settings_of_one_preset_under_the_name_of_another_come_back(name):
    for base in PRESETS:
        config = replace(PRESETS[name], preset=base)
        assert typed(config) == config


ODD = {
    "paths": {"out": Path("a b/ä 'x'"), "runs": Path("/tmp/~/$HOME"), "plugins": Path("my plug-ins")},
    "paths like options": {"out": Path("-x"), "runs": Path("--seed")},
    "paths like values": {"out": Path("true"), "runs": Path("None"), "plugins": Path("5")},
    "label like an option": {"arm": "-x", "study": "--preset"},
    "label like a number": {"arm": "-1", "study": "-0.5"},
    "label like a switch": {"arm": "true", "study": "False"},
    "label": {"arm": "wide_v1.2", "study": "my-study", "seed": 2**50, "until": 7, "device": "cpu"},
    "spec with spaces": {"variant": " learned + rope2d: theta = 1e4"},
    "dry run": {"dry_run": True},
    "folder": {"data": DataConfig(name="folder:my pictures", root=Path("-r"), image_size=8, held_out=0.25)},
    "switches": {"model": replace(SMOKE.model, qk_norm=True, conditional=False)},
    "choices": {"model": replace(SMOKE.model, mlp="swiglu", norm="rmsnorm", adaln="shared")},
    "numbers": {"train": replace(SMOKE.train, lr=1e-7, weight_decay=1 / 3, save_seconds=1e20, flip=True)},
    "specs": {
        "train": replace(
            SMOKE.train,
            objective="x:loss=velocity",
            density="stratified+uniform",
            optimizer="muon: lr = 0.02",
            averages=("warmup:decay=0.9", "power"),
        ),
        "eval": replace(SMOKE.eval, averages=("raw", "0.9")),
    },
    "lists": {
        "eval": replace(
            SMOKE.eval,
            samplers=("dopri5",),
            guidances=("0", "cfg:weight=1.5, begin=1e-05", " 1e-05"),
            n=(50, 20),
        )
    },
    "samplers with spaces": {
        "eval": replace(SMOKE.eval, samplers=("heun: steps = 3, grid = uniform", "rk4"))
    },
    "weights": {
        "eval": replace(SMOKE.eval, inception_weights=Path("my weights.pth"), extractor="a b.safetensors")
    },
}


@pytest.mark.parametrize("changes", ODD.values(), ids=ODD)
def test_odd_settings_come_back(changes):
    config = replace(SMOKE, **changes)
    assert in_full(typed(config)) == in_full(config)


@pytest.mark.parametrize("base", ["digits", "cifar10"])
def test_switches_that_a_preset_sets_are_unset(base):
    before = PRESETS[base]
    config = replace(before, train=replace(before.train, flip=not before.train.flip))
    assert command_line(config) == [
        "--preset",
        base,
        "--train.no-flip" if before.train.flip else "--train.flip",
    ]
    assert typed(config) == config
