"""Who a run is, across versions: settings that came later, ones that are idle, and records of before."""

import hashlib
from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import pytest

from experiments.config import identity as module
from experiments.config.identity import (
    as_before,
    fingerprint,
    identity,
    read_identity,
    read_settings,
    run_name,
)
from experiments.config.presets import PRESETS
from experiments.config.text import flatten, from_json, to_json
from rope_dit import registry
from rope_dit.config import Neutral, TrainConfig, neutral
from rope_dit.errors import UserError
from rope_dit.registry import add_plugins

SMOKE = PRESETS["smoke"]
UNCONDITIONAL = replace(SMOKE, model=replace(SMOKE.model, conditional=False))
OPTIONS = {"variant": "rope2d:theta=100"}
SHIPPED = "6a6a3363ecd56996" + "aeccba072f698e3d11dd9ebfb07ec72aad95c393e8c05ed8"
"""SHA-256 of rope_dit/pos_embed/rope2d.py up to commit 2cdd03a"""


@dataclass(frozen=True)
class Inner:
    """Settings, two of which came later."""

    size: int = 4
    tables: Annotated[bool, Neutral(True)] = False
    rate: Annotated[float, Neutral(0.0)] = 0.5


@dataclass(frozen=True)
class Outer:
    """Settings that hold others."""

    name: str
    kind: Annotated[Literal["a", "b"], Neutral("a")] = "b"
    late: Annotated[str, Neutral("")] = "new"
    always: int = 7
    inner: Inner = field(default_factory=Inner)
    pairs: tuple[Inner, ...] = ()
    where: Path | None = None


# Settings that came later


def test_neutral_values_are_told_apart_from_none():
    assert (neutral(Inner, "tables"), neutral(Inner, "rate"), neutral(Inner, "size")) == (True, 0.0, MISSING)
    assert neutral(Outer, "inner") is MISSING
    assert all(neutral(TrainConfig, name) is MISSING for name in ("lr", "steps"))


def test_what_a_record_does_not_know_is_neutral_or_at_its_default():
    assert from_json(Outer, {"name": "x"}) == Outer(
        "x", kind="a", late="", always=7, inner=Inner(), pairs=(), where=None
    )
    assert from_json(Outer, {"name": "x", "inner": {}}).inner == Inner(4, tables=True, rate=0.0)
    known = {"name": "x", "kind": "b", "late": "new", "inner": {"tables": False}, "pairs": [{}, {"size": 1}]}
    assert from_json(Outer, known) == Outer(
        "x", inner=Inner(rate=0.0), pairs=(Inner(4, True, 0.0), Inner(1, True, 0.0))
    )


@pytest.mark.parametrize(
    "outer",
    [
        Outer("x"),
        Outer("x", "a", "", 3, Inner(1, True, 0.25), (Inner(), Inner(9)), Path("a/b")),
    ],
)
def test_json_and_back(outer):
    assert from_json(Outer, to_json(outer)) == outer


@pytest.mark.parametrize(
    ("saved", "says"),
    [
        ({}, "Outer lacks 'name'"),
        ({"name": "x", "nmae": "y"}, "Outer has no 'nmae'"),
        ({"name": "x", "inner": {"sice": 1}}, "Inner has no 'sice'"),
        ({"name": "x", "pairs": [{"sice": 1}]}, "Inner has no 'sice'"),
        ({"name": "x", "pairs": [1]}, "got 1 for a Inner"),
        ({"name": "x", "inner": []}, r"got \[\] for a Inner"),
    ],
)
def test_what_is_none_of_ours_is_named(saved, says):
    with pytest.raises(UserError, match=f"the saved settings are .*{says}"):
        from_json(Outer, saved)


def test_an_older_record_keeps_its_neutral_values_unless_asked_otherwise():
    usual = Outer("x")
    written = {"name": "x", "always": 7, "inner": {"size": 4, "tables": True}}
    assert as_before(usual, written, usual) == replace(usual, kind="a", late="", inner=Inner(rate=0.0))
    asked = replace(usual, late="mine", inner=Inner(rate=0.9))
    before = as_before(asked, written, usual)
    assert before == replace(usual, kind="a", late="mine", inner=Inner(rate=0.9))  # asked for on purpose
    assert as_before(usual, to_json(usual), usual) == usual  # a record that knows all
    assert as_before(usual, {}, usual) == replace(usual, kind="a", late="", inner=Inner(4, True, 0.0))


def test_a_record_that_was_written_again_since_still_counts_as_older():
    """It has the neutral values by then that it did not know at first."""
    usual, old = Outer("x"), Outer("x", kind="a", late="", inner=Inner(4, True, 0.0))
    assert as_before(usual, to_json(old), usual) == usual
    assert as_before(usual, to_json(old), usual, rewritten=True) == old
    asked = replace(usual, late="mine")
    assert as_before(asked, to_json(old), usual, rewritten=True) == replace(old, late="mine")
    assert as_before(usual, to_json(usual), usual, rewritten=True) == usual


def test_what_came_later_is_neutral_in_what_is_asked_of_an_old_run():
    train, evaluation = (
        replace(SMOKE.train, decay_tables=True),
        replace(SMOKE.eval, fixed_noise=True, classes="data", probes=()),
    )
    assert as_before(SMOKE, {}, SMOKE) == replace(SMOKE, train=train, eval=evaluation)
    assert as_before(SMOKE, to_json(SMOKE), SMOKE) == SMOKE


def test_a_setting_at_its_neutral_value_is_in_no_identity():
    assert module._settings("inner", Inner()) == {
        "inner.size": "4",
        "inner.tables": "False",
        "inner.rate": "0.5",
    }
    assert module._settings("inner", Inner(4, True, 0.0)) == {"inner.size": "4"}
    older = from_json(Inner, {"size": 4})
    assert module._settings("inner", older) == {"inner.size": "4"} == flatten({"inner": {"size": 4}})


def test_nor_is_the_first_version_of_the_numbers(monkeypatch):
    before = identity(SMOKE, "d", "cpu")
    assert "numerics" not in before
    monkeypatch.setattr(module, "NUMERICS", 2)
    assert identity(SMOKE, "d", "cpu") == {**before, "numerics": "2"}


# What is idle


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_threads_count_on_cpus_only(device):
    other = replace(SMOKE, train=replace(SMOKE.train, threads=3))
    assert identity(SMOKE, "d", "cpu") != identity(other, "d", "cpu")
    assert identity(SMOKE, "d", device) == identity(other, "d", device)
    assert "train.threads" not in identity(SMOKE, "d", device)


def test_positions_count_only_where_a_variant_uses_them():
    def placed(variant, positions):
        config = replace(SMOKE, variant=variant, model=replace(SMOKE.model, positions=positions))
        return identity(config, "d", "cpu")

    for variant in ("none", "learned"):
        assert placed(variant, "normalized+shift") == placed(variant, "index")
    for variant in ("rope2d", "learned+sincos2d"):
        assert placed(variant, "normalized+shift") != placed(variant, "index")
    assert read_identity({"variant": "not_here", "model.positions": "shift"})["model.positions"] == "shift"


def test_label_dropout_counts_only_where_there_are_classes():
    def dropping(config, share):
        return identity(replace(config, train=replace(config.train, label_dropout=share)), "d", "cpu")

    assert dropping(SMOKE, 0.1) != dropping(SMOKE, 0.2)
    assert dropping(UNCONDITIONAL, 0.1) == dropping(UNCONDITIONAL, 0.2) == dropping(UNCONDITIONAL, 0.0)
    assert "train.label_dropout" not in dropping(UNCONDITIONAL, 0.1)


def test_one_rank_is_none_and_several_are_another_run():
    assert "ranks" not in identity(SMOKE, "d", "cpu", 1)
    assert identity(SMOKE, "d", "cpu", 2) == {**identity(SMOKE, "d", "cpu"), "ranks": "2"}


# Records of before


def before(config=SMOKE, device="cpu", **more: str) -> dict[str, str]:
    """An identity as commit 2cdd03a wrote it: all settings, and the hash of the variant's files."""
    settings = {"model": asdict(config.model), "train": asdict(config.train)}
    for later in ("train objective", "train coupling", "train optimizer", "train log_every",
                  "train save_seconds", "model registers", "model positions"):  # fmt: skip
        part, name = later.split()
        del settings[part][name]
    settings["train"]["t_density"] = settings["train"].pop("density")
    (average,) = settings["train"].pop("averages")
    settings["train"]["ema_decay"] = float(average.removeprefix("warmup:decay="))
    found = {"variant": "rope2d:theta=100", "variant source": SHIPPED, "seed": "0", "data": "d"}
    return {**found, "device": device, **flatten(settings), **more}


@pytest.mark.parametrize(
    ("config", "device"), [(SMOKE, "cpu"), (SMOKE, "cuda"), (UNCONDITIONAL, "cpu"), (UNCONDITIONAL, "cuda")]
)
def test_an_identity_of_before_versions_is_today_s(config, device):
    assert read_identity(before(config, device)) == identity(config, "d", device)
    assert read_identity(identity(config, "d", device)) == identity(config, "d", device)


def test_and_differs_where_it_should():
    others = {"train.lr": "0.5", "variant": "rope2d:theta=9", "seed": "1", "ranks": "2"}
    for name, value in (others | {"train.t_density": "uniform", "train.schedule": "constant"}).items():
        assert read_identity(before(**{name: value})) != identity(SMOKE, "d", "cpu"), name


@pytest.mark.parametrize("sha256", ["", "0" * 64, SHIPPED[:15] + "0" + SHIPPED[16:]])
def test_a_hash_of_other_files_stays_and_so_differs(sha256):
    found = read_identity(before(**{"variant source": sha256}))
    assert found["variant source"] == sha256
    assert found.items() - identity(SMOKE, "d", "cpu").items() == {("variant source", sha256)}


@pytest.mark.parametrize("decay", [0.9, 0.9999])
@pytest.mark.parametrize("density", ["uniform", "logit_normal"])
def test_what_became_a_spec_is_the_spec_that_does_the_same(density, decay):
    train = {"density": density, "averages": (f"warmup:decay={decay}",), "schedule": "constant"}
    config = replace(SMOKE, train=replace(SMOKE.train, **train))
    assert before(config)["train.t_density"] == density
    assert read_identity(before(config)) == identity(config, "d", "cpu")
    written = to_json(config)
    written["train"]["t_density"] = written["train"].pop("density")
    written["train"]["ema_decay"] = decay
    for later in ("averages", "objective", "coupling", "optimizer"):
        del written["train"][later]
    read = read_settings(written)
    assert read == read_settings(to_json(config))
    assert read.train.averages == (f"warmup:decay={decay:g}",)
    assert fingerprint(identity(read, "d", "cpu")) == fingerprint(identity(config, "d", "cpu"))


def test_averages_are_no_part_of_who_a_run_is():
    two = replace(SMOKE, train=replace(SMOKE.train, averages=("power", "warmup:decay=0.5")))
    assert identity(two, "d", "cpu") == identity(SMOKE, "d", "cpu")
    assert read_identity(before(**{"train.ema_decay": "0.5"})) == read_identity(before())


def test_a_later_version_of_what_shipped_differs_from_a_record_of_the_first(monkeypatch):
    entry = registry.POS_EMBEDS["rope2d"]
    monkeypatch.setitem(registry.POS_EMBEDS.entries(), "rope2d", replace(entry, version=2))
    now = identity(SMOKE, "d", "cpu")
    assert now["version of variant rope2d"] == "2"
    assert read_identity(before()) == {
        key: value for key, value in now.items() if key != "version of variant rope2d"
    }


@pytest.fixture
def plugin(tmp_path, monkeypatch) -> Iterator[Path]:
    """A variant `mine` of the user's own."""
    monkeypatch.setattr(registry.registry, "PLUGINS", [])
    file = tmp_path / "mine.py"
    file.write_text("@POS_EMBEDS.register('mine')\nclass Mine:\n    'Mine.'\n")
    add_plugins(tmp_path)
    yield file
    for other in registry.REGISTRIES.values():
        other._entries = None


def test_a_hash_of_a_plug_in_that_is_here_unchanged_is_read(plugin):
    config = replace(SMOKE, variant="mine")
    sha256 = hashlib.sha256(plugin.read_bytes()).hexdigest()
    old = before(variant="mine", **{"variant source": sha256})
    assert read_identity(old) == identity(config, "d", "cpu")
    joined = hashlib.sha256(plugin.read_bytes() + registry.POS_EMBEDS["rope2d"].path.read_bytes()).hexdigest()
    old = before(variant="mine+rope2d:theta=100", **{"variant source": joined})
    assert read_identity(old) == identity(replace(SMOKE, variant="mine+rope2d"), "d", "cpu")


def test_and_one_of_a_plug_in_that_was_changed_or_is_not_here_is_not(plugin):
    sha256 = hashlib.sha256(b"another text").hexdigest()
    for name in ("mine", "theirs"):
        assert read_identity(before(variant=name, **{"variant source": sha256}))["variant source"] == sha256


def test_what_is_read_is_left_as_it_was():
    saved = before()
    read_identity(saved)
    assert saved == before()


# Settings of a record, and names


def test_settings_are_read_with_their_specs_written_out():
    read = read_settings(to_json(SMOKE))
    samplers = ("euler:grid=uniform,steps=4", "heun:grid=uniform,steps=2")
    train = replace(
        SMOKE.train, objective="velocity:cosine=0,loss=velocity", density="logit_normal:mean=0,std=1"
    )
    evaluation = replace(SMOKE.eval, samplers=samplers, guidances=("cfg:begin=0,end=1,weight=1",))
    whole = replace(SMOKE, variant="rope2d:theta=100", train=train, eval=evaluation)
    assert read == whole
    assert read_settings(to_json(replace(SMOKE, variant="not_here"))).variant == "not_here"
    with pytest.raises(UserError, match="RunConfig has no 'new'"):
        read_settings({"new": 1})


def test_a_setting_of_an_option_that_came_later_is_neutral_in_a_record(monkeypatch):
    entry = registry.POS_EMBEDS["rope2d"]
    option = replace(entry.options["theta"], name="scale", default=2.0, neutral=1.0)
    later = replace(entry, options={**entry.options, "scale": option})
    monkeypatch.setitem(registry.POS_EMBEDS.entries(), "rope2d", later)
    assert read_settings(to_json(SMOKE)).variant == "rope2d:scale=1,theta=100"
    assert identity(read_settings(to_json(SMOKE)), "d", "cpu") == read_identity(before())
    assert identity(SMOKE, "d", "cpu")["variant"] == "rope2d:scale=2,theta=100"


def test_a_fingerprint_rests_on_fields_and_not_on_their_order():
    found = identity(SMOKE, "d", "cpu")
    assert fingerprint(found) == fingerprint(dict(reversed(found.items())))
    assert run_name(SMOKE, fingerprint(found)) == f"rope2d-s0-{fingerprint(found)[:8]}"
