"""Arms as text, and what is refused."""

import pytest

from experiments.cli.arguments import parse
from experiments.config.canonical import canonical
from experiments.config.overrides import command_line
from experiments.config.presets import PRESETS
from experiments.config.run import RunConfig
from experiments.coordinator.arm import Arm, parse_arms
from experiments.run import __doc__ as run_doc
from rope_dit.errors import UserError

BASE = canonical(PRESETS["smoke"])


@pytest.mark.parametrize(
    ("text", "label", "spec", "overrides"),
    [
        ("rope2d", "rope2d", "rope2d:theta=100", ()),
        ("rope2d:theta=10000", "rope2d-theta10000", "rope2d:theta=10000", ()),
        ("fast=rope2d;train.lr=3e-4", "fast", "rope2d:theta=100", (("train.lr", "3e-4"),)),
        ("none;train.weight_decay=0.1", "none-weight-decay0.1", "none", (("train.weight-decay", "0.1"),)),
        ("both=learned+rope2d", "both", "learned:std=0.02+rope2d:theta=100", ()),
        (
            "muon=rope2d;train.optimizer=muon:lr=0.01",
            "muon",
            "rope2d:theta=100",
            (("train.optimizer", "muon:lr=0.01,momentum=0.95"),),
        ),
        (
            "rope2d;train.density=stratified+uniform",
            "rope2d-densitystratified-uniform",
            "rope2d:theta=100",
            (("train.density", "stratified+uniform"),),
        ),
    ],
)
def test_an_arm_is_read(text, label, spec, overrides):
    assert Arm.parse(text) == Arm(label, spec, overrides)


def test_an_arm_written_and_read_is_the_same():
    for text in (
        "rope2d",
        "fast=rope2d:theta=7;train.lr=3e-4;model.mlp=swiglu",
        "learned+rope1d",
        "a=none;train.objective=x",
    ):
        arm = Arm.parse(text)
        assert Arm.parse(str(arm)) == arm


def test_overrides_change_only_what_they_name():
    config = Arm.parse("fast=rope2d;train.lr=3e-4;model.qk-norm=true").config(BASE)
    assert (config.arm, config.variant) == ("fast", "rope2d:theta=100")
    assert config.train.lr == 3e-4
    assert config.model.qk_norm
    assert config.train.batch == BASE.train.batch
    assert config.model.dim == BASE.model.dim


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["rop2d"], "Did you mean 'rope2d'"),
        (["rope2d", "rope2d:theta=100"], "is there twice"),
        (["a=none", "a=learned"], "its label is taken by a=none"),
        (["a=rope2d", "b=rope2d"], "it is a again"),
        (["a=rope2d", "b=rope2d;train.lr=0.002"], "it is a again"),
        (["a=rope2d;train.objective=x", "b=rope2d;train.objective=x:loss=velocity"], "it is a again"),
        (["a=rope2d", "b=rope2d;train.objective=velocity"], "it is a again"),
        (["rope2d;train.averages=power"], "train.averages is the same in all arms"),
        (["rope2d;train.ema-decay=slow"], "train.ema-decay is the same in all arms"),
        (["rope2d;train.t-density=uniform"], "Did you mean '--train.density'"),
        (["rope2d;train.optimizer=muon:rate=1"], "muon: unknown option 'rate'"),
        (["rope2d;train.steps=3"], "is the same in all arms"),
        (["rope2d;eval.n=3"], "is the same in all arms"),
        (["rope2d;train.lrr=3"], "Did you mean '--train.lr'"),
        (["rope2d;train.lr=0"], "expected a number above 0"),
        (["rope2d;train.lr=fast"], "--train.lr got 'fast', expected a number"),
        (["rope2d;train.batch=1.5"], "--train.batch got '1.5', expected a whole number"),
        (["rope2d;train.schedule=cosin"], "unknown schedule 'cosin'. Did you mean 'cosine'?"),
        (["rope2d;model.qk-norm=maybe"], "--model.qk-norm got 'maybe', expected true or false"),
        (["rope2d;model.no-qk-norm=true"], "Did you mean '--model.qk-norm'?"),
        (["rope2d;train.lr=1;train.lr=2"], "train.lr is given twice; give it once"),
        (["rope2d;train.lr"], "expected field=value"),
        (["=rope2d"], "label got ''"),
        (["../x=rope2d"], "label got '../x'"),
        ([], "no arms"),
    ],
)
def test_bad_arms_are_refused(texts, says):
    with pytest.raises(UserError) as refused:
        parse_arms(texts, BASE)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not texts or str(refused.value).startswith(("arm ", "unknown variant"))


def test_arms_that_a_record_of_before_has_are_read():
    """Its settings have other names now, and options that came later do what was done then."""
    arm = Arm.parse("flat=rope2d;train.t-density=logit_normal;train.schedule=constant", stored=True)
    assert dict(arm.overrides) == {
        "train.density": "logit_normal:mean=0,std=1", "train.schedule": "constant",
    }  # fmt: skip
    config = arm.config(BASE)
    assert (config.train.density, config.train.schedule) == ("logit_normal:mean=0,std=1", "constant")


def test_an_arm_of_before_that_has_what_all_share_now_is_written_and_read_again():
    arm = Arm.parse("slow=rope2d;train.ema-decay=0.9", stored=True)
    assert dict(arm.overrides) == {"train.averages": "warmup:decay=0.9"}
    assert Arm.parse(str(arm), stored=True) == arm
    assert arm.config(BASE).train.averages == ("warmup:decay=0.9",)


@pytest.mark.parametrize("preset", list(PRESETS))
def test_the_command_line_of_an_arm_gives_its_settings(preset):
    settings = "train.lr=3e-4;train.optimizer=muon:lr=0.02;model.qk-norm=true;model.conditional=false"
    arm = Arm.parse(f"fast=rope2d:theta=7;{settings}")
    config = arm.config(PRESETS[preset]) if preset != "original" else PRESETS[preset]
    again = parse(RunConfig, PRESETS[preset], command_line(config), "run", run_doc)
    assert again == config
