"""Presets, what identifies a run, and the way of settings to JSON and back."""

import json
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import torch

from experiments.config.identity import fingerprint, identity, run_name
from experiments.config.presets import PRESETS, preset
from experiments.config.run import RunConfig
from experiments.config.text import from_json, read_json, to_json
from rope_dit.config import NOT_WEIGHTS, ModelConfig, TrainConfig, spec_fields
from rope_dit.errors import UserError
from rope_dit.model import DiT
from rope_dit.registry import POS_EMBEDS, Part, add_plugins

SMOKE = PRESETS["smoke"]
SHAPES = {"digits": (1, 8, 8), "layout": (3, 16, 16), "cifar10": (3, 32, 32)}


def other(value: Any, hint: Any, registry: Any) -> Any:
    """Another valid value of a field of the smoke preset."""
    if registry is not None:
        used = [Part.parse(spec).name for spec in (value if isinstance(value, tuple) else (value,))]
        spec = next(name for name in registry.names() if name not in used)
        return (spec,) if isinstance(value, tuple) else spec
    if get_origin(hint) is Literal:
        return next(choice for choice in get_args(hint) if choice != value)
    if hint is bool:
        return not value
    return value / 2 or 0.1 if hint is float else value * 2 or 1


def changed(part: str, name: str, config: RunConfig = SMOKE) -> RunConfig:
    """The smoke preset, or other settings, with one field of a part changed."""
    inner = getattr(config, part)
    registry = spec_fields(type(inner)).get(name)
    value = other(getattr(inner, name), get_type_hints(type(inner))[name], registry)
    return replace(config, **{part: replace(inner, **{name: value})})


def print_of(config: RunConfig, data: str = "d", device: str = "cpu") -> str:
    return fingerprint(identity(config, data, device))


WEIGHTS = [("model", f.name) for f in fields(ModelConfig)]
WEIGHTS += [("train", f.name) for f in fields(TrainConfig) if f.name not in NOT_WEIGHTS]


@pytest.mark.parametrize(("part", "name"), WEIGHTS)
def test_fields_that_change_the_weights_change_the_fingerprint(part, name):
    """Where it acts: tables are decayed only where something is, labels dropped only where they are."""
    usual = changed("train", "weight_decay") if name == "decay_tables" else SMOKE
    config = changed(part, name, usual)
    assert print_of(config) != print_of(usual)
    differing = {key for key, _ in identity(config, "d", "cpu").items() ^ identity(usual, "d", "cpu").items()}
    idle = {"weight_decay": {"train.decay_tables"}, "conditional": {"train.label_dropout"}}
    assert differing == {f"{part}.{name}"} | idle.get(name, set())


def test_so_do_seed_variant_data_and_device():
    prints = [print_of(SMOKE), print_of(SMOKE, data="e"), print_of(SMOKE, device="cuda")]
    prints += [print_of(replace(SMOKE, seed=1)), print_of(replace(SMOKE, variant="none"))]
    prints += [print_of(replace(SMOKE, variant="rope2d:theta=101"))]
    assert len(set(prints)) == len(prints)


@pytest.mark.parametrize(
    "config",
    [
        *(changed("train", name) for name in sorted(NOT_WEIGHTS)),
        replace(SMOKE, variant="rope2d:theta=100"),
        replace(SMOKE, variant=" rope2d: theta = 1e2"),
        replace(SMOKE, study="other", runs=Path("x"), out=Path("y"), plugins=Path("z"), dry_run=True),
        replace(SMOKE, preset="digits", device="cpu"),
        replace(SMOKE, eval=PRESETS["original"].eval),
        replace(SMOKE, data=replace(SMOKE.data, root=Path("elsewhere"))),
    ],
)
def test_logging_evaluation_and_paths_do_not(config):
    assert config != SMOKE
    assert print_of(config) == print_of(SMOKE)
    assert run_name(config, "12345678") == "rope2d-s0-12345678"


def test_what_a_plug_in_says_is_part_of_a_variant(tmp_path, monkeypatch):
    """Each process reads its file anew; comments and docstrings are no part of what it says."""
    from rope_dit import registry

    def forget() -> None:
        for one in registry.REGISTRIES.values():
            one._entries = None

    def prints(source: str) -> list[str]:
        (tmp_path / "mine.py").write_text(source)
        forget()
        return [print_of(replace(SMOKE, variant=variant)) for variant in ("mine", "mine+rope2d", "rope2d")]

    monkeypatch.setattr(registry.registry, "PLUGINS", [])
    source = "@POS_EMBEDS.register('mine')\nclass Mine:\n    'Mine.'\n"
    (tmp_path / "mine.py").write_text(source)
    add_plugins(tmp_path)
    try:
        before, edited = prints(source), prints(source + "    changed = 1\n")
        same = [old == new for old, new in zip(before, edited, strict=True)]
        assert same == [False, False, True]
        assert prints(f"# mine\n{source.replace('Mine.', 'All mine.')}") == before
    finally:
        forget()


@pytest.mark.parametrize("name", PRESETS)
def test_json_and_back(name):
    config = replace(PRESETS[name], out=Path("a/b"), eval=replace(PRESETS[name].eval, n=(100, 50)))
    assert from_json(RunConfig, json.loads(json.dumps(to_json(config)))) == config
    assert from_json(RunConfig, to_json(PRESETS[name])) == PRESETS[name]


@pytest.mark.parametrize(
    "saved",
    [None, [], "text", {"nope": 1}, {"train": {"lr": "fast"}}, {"eval": {"samplers": 5}}, {"model": [1]}],
)
def test_settings_that_are_none(saved):
    with pytest.raises(UserError, match="the saved settings are"):
        from_json(RunConfig, saved)


def test_a_check_that_fails_on_saved_settings_says_which():
    with pytest.raises(UserError, match=r"train.lr got -1, expected a number above 0"):
        from_json(RunConfig, {"train": {"lr": -1}})


SIZES = {  # weights, tokens
    "digits": (316_676, 16),
    "smoke": (11_108, 16),
    "layout": (317_708, 64),
    "cifar10-small": (322_352, 64),
    "cifar10": (7_391_792, 64),
    "original": (5_815_856, 64),
    "cifar10-large": (62_510_604, 256),
}


def counted(config: RunConfig, channels: int) -> int:
    """Weights of a DiT (arXiv:2212.09748) by hand: matrices and biases of blocks, ends, time and class."""
    d, r, pixels = config.model.dim, config.model.mlp_ratio, config.model.patch**2 * channels
    attention, adaln = 3 * d * d + 3 * d + d * d + d, 6 * d * d + 6 * d
    mlp = int(2 * r * d * d + r * d + d)
    ends = pixels * d + d + 2 * d * d + 2 * d + d * pixels + pixels
    return config.model.depth * (attention + adaln + mlp) + ends + 2 * (d * d + d) + 11 * d


@pytest.mark.parametrize("name", PRESETS)
def test_presets_make_models_of_the_size_that_is_meant(name):
    config = PRESETS[name]
    channels, *size = SHAPES[config.data.name]
    with torch.device("meta"):
        model = DiT(
            config.model,
            config.variant,
            channels=channels,
            image_size=tuple(size),
            num_classes=10,
            null_class=config.train.label_dropout > 0,
        )
    assert config.preset == name
    weights = sum(p.numel() for p in model.parameters())
    assert (weights, (size[0] // config.model.patch) ** 2) == SIZES[name]
    assert weights == counted(config, channels)


def test_the_original_is_as_it_was_published():
    original = PRESETS["original"]
    assert POS_EMBEDS.canonical(original.variant) == "rope2d:theta=10000"
    assert original.model == replace(PRESETS["cifar10"].model, mlp_ratio=2.0)
    assert original.eval.samplers == ("euler:steps=100",)
    assert original.eval.guidances == ("cfg:weight=3",)


def test_presets_start_from_what_reports_need():
    for name, config in PRESETS.items():
        assert (config.seed, config.eval.sampling_seeds, config.runs) == (0, 1, Path("runs")), name
        assert config.train.label_dropout > 0, name
        assert config.eval.every == 0 or config.train.steps % config.eval.every == 0, name
        assert max(config.eval.n) >= config.eval.every_n or config.eval.every == 0, name


def test_presets_by_name():
    assert preset("smoke") is SMOKE
    with pytest.raises(UserError) as caught:
        preset("cifar1")
    known = ", ".join(PRESETS)
    assert str(caught.value) == f"unknown preset 'cifar1', expected one of {known}. Did you mean 'cifar10'?"


def test_json_that_is_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "study.json")
    with pytest.raises(OSError, match=r"is a pipe: '.*/study\.json'"):
        read_json(tmp_path / "study.json", "restore it")
