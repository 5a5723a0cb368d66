"""The chain that seals a study: every change of a link, of a file or of the study shows."""

from dataclasses import replace

import pytest

from experiments.records.definition import ArmRecord, Definition, Endpoint, Look
from experiments.records.sealing.chain import (
    FILE,
    GROWN,
    LOOK,
    PLANNED,
    Link,
    broken,
    chain_of,
    extended,
    foreign,
    head,
    moment,
    read_chain,
    state,
    write_chain,
)
from experiments.records.sealing.fields import sealable, unlike_its_chain
from rope_dit.errors import UserError

FIRST = extended((), PLANNED, {"margin": "0.02", "seeds": "0 1"}, 1.8e9)
GREW = extended(FIRST, GROWN, {"seeds": "0 1 2"}, 1.81e9)
CHAIN = extended(GREW, LOOK, {"seeds": "3"}, 1.82e9)
LOOKED = "seeds 2, arms a b, scored %d, replaced 0"
EULER = "euler:grid=uniform,steps=2"


def sealed_study(**changes: object) -> Definition:
    """A study of two seeds after one look, sealed, and then changed."""
    made = Definition(
        name="study", kind="ablate", created=1.8e9, preset="smoke", data="digits",
        endpoint=Endpoint(
            metric="fd_digits", extractor="digits", sampler=EULER, guidance="1", ema="0.9", n=100,
            train_step=20, better="lower",
        ),
        arms=(ArmRecord("a", "rope2d", {}), ArmRecord("b", "none", {})), seeds=(0, 1), samplers=(EULER,),
        guidances=("1",), sampling_seeds=2, baseline="b", margin=0.02, comparisons=(("a", "b"),),
        planned_seeds=2,
    )  # fmt: skip
    look = Look(1.81e9, 2, ("a", "b"), 4)
    chain = extended((), PLANNED, sealable(made), 1.8e9)
    made = replace(made, looks=(look,), chain=extended(chain, LOOK, look.says(), look.time))
    return replace(made, **changes)


def test_a_chain_follows_and_its_head_is_of_all_its_links():
    assert [broken(chain) for chain in ((), FIRST, GREW, CHAIN)] == [""] * 4
    assert [link.before for link in CHAIN] == ["", head(FIRST), head(GREW)]
    assert len({head(chain) for chain in ((), FIRST, GREW, CHAIN)}) == 4
    assert state(CHAIN) == {"margin": "0.02", "seeds": "0 1 2"}


@pytest.mark.parametrize(
    ("change", "link"),
    [
        ({"kind": LOOK}, "link 1 of 3, look,"),
        ({"time": 1.0}, "link 2 of 3, grown,"),
        ({"says": {"margin": "0.05"}}, "link 2 of 3, grown,"),
        ({"before": "a"}, "link 1 of 3, planned,"),
    ],
)
def test_a_link_that_was_changed_breaks_the_chain(change, link):
    wrong = broken((replace(FIRST[0], **change), *CHAIN[1:]))
    assert wrong == f"{link} does not follow the one before it"


def test_a_link_that_was_cut_out_or_put_in_breaks_the_chain():
    assert broken((CHAIN[0], CHAIN[2])) == "link 2 of 2, look, does not follow the one before it"
    again = Link(PLANNED, 1.8e9, {"margin": "0.05"}, head(FIRST))
    assert broken((*FIRST, again)) == "link 2 of 2, planned, does not follow the one before it"
    assert "link 1 of 1, look" in broken(extended((), LOOK, {}, 1.0))


def test_a_run_is_the_study_s_if_its_chain_is_a_beginning_of_the_study_s():
    assert [foreign(chain, CHAIN) for chain in (FIRST, GREW, CHAIN)] == [""] * 3
    assert foreign(None, ()) == ""
    assert foreign(None, CHAIN) == "begun outside of the study, which is sealed"


def test_a_run_of_another_plan_says_in_what():
    other = extended((), PLANNED, {"margin": "0.05", "seeds": "0 1"}, 1.8e9)
    assert foreign(other, CHAIN) == "begun under another plan: margin: there 0.05, here 0.02"
    later = extended((), PLANNED, FIRST[0].says, 1.9e9)
    assert foreign(later, CHAIN) == (
        "begun under another plan: planned: there 2030-03-17 17:46 UTC, here 2027-01-15 08:00 UTC"
    )
    assert foreign(FIRST, ()).startswith("begun under a plan that the study does not know: planned on 2027")


def test_a_link_that_the_study_lacks_is_named():
    look = "sealed by what the study lacks: look on 2027-09-03 19:33 UTC (seeds 3)"
    assert foreign(CHAIN, GREW) == look
    assert foreign(CHAIN, extended(GREW, GROWN, {"seeds": "0"}, 1.9e9)) == look


def test_a_chain_is_read_as_it_was_written(tmp_path):
    assert read_chain(tmp_path) is None
    write_chain(tmp_path, CHAIN)
    assert read_chain(tmp_path) == CHAIN
    assert head(read_chain(tmp_path)) == head(CHAIN)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff", b'{"links": []}', b'{"links": [5]}'])
def test_a_damaged_file_is_named(tmp_path, damage):
    (tmp_path / FILE).write_bytes(damage)
    with pytest.raises(UserError, match=r"seal\.json is damaged \(.*\); restore it\."):
        read_chain(tmp_path)


def test_an_edited_file_is_named(tmp_path):
    write_chain(tmp_path, CHAIN)
    content = (tmp_path / FILE).read_bytes()
    with pytest.raises(UserError, match=r"seal\.json was changed after it was written"):
        chain_of(content.replace(b"0.02", b"0.05"), FILE)


@pytest.mark.parametrize("seconds", [1e300, -1e300])
def test_a_time_that_no_clock_shows_is_a_number(seconds):
    assert moment(seconds) == f"{seconds:g} s since 1970"


def test_a_study_is_what_its_chain_says():
    assert unlike_its_chain(sealed_study()) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"margin": 0.05}, "margin: sealed 0.02, now 0.05"),
        ({"baseline": "a"}, "baseline: sealed b, now a"),
        ({"data": "cifar10"}, "data: sealed digits, now cifar10"),
        ({"planned_seeds": 3}, "planned seeds: sealed 2, now 3"),
        ({"planned_looks": (3, 5)}, "planned looks: sealed -, now 3 5"),
        ({"confirmed": ("a",)}, "confirmed: sealed -, now a"),
        ({"comparisons": ()}, "comparisons: sealed a:b, now "),
        ({"seeds": (0,)}, "seeds: sealed 0 1, now 0"),
        ({"arms": (ArmRecord("b", "none", {}),)}, "arms: sealed a b, now b"),
        ({"looks": ()}, f"look 1: sealed {LOOKED % 4}, now -"),
        ({"looks": (Look(1.81e9, 2, ("a", "b"), 3),)}, f"look 1: sealed {LOOKED % 4}, now {LOOKED % 3}"),
        ({"endpoint": replace(sealed_study().endpoint, n=50)}, "endpoint n: sealed 100, now 50"),
        ({"endpoint": replace(sealed_study().endpoint, samplings=2)}, "endpoint samplings: sealed -, now 2"),
    ],
)
def test_what_was_changed_after_it_was_sealed_is_named(change, says):
    assert unlike_its_chain(sealed_study(**change)) == [says]


def test_a_solver_s_option_of_a_later_version_is_no_change():
    """Its text is longer then; what the chain says, without it, means the same."""
    study = sealed_study()
    short = {**study.chain[0].says, "endpoint sampler": "euler:steps=2"}
    chain = extended(extended((), PLANNED, short, 1.8e9), LOOK, study.looks[0].says(), 1.81e9)
    assert unlike_its_chain(replace(study, chain=chain)) == []


@pytest.mark.parametrize(
    ("look", "same"),
    [
        (Look(9.0, 2, ("a", "b"), 4), True),
        (Look(9.0, 3, ("a", "b"), 4), False),
        (Look(9.0, 2, ("a", "b", "c"), 4), False),
        (Look(9.0, 2, ("a", "b"), 3), False),
        (Look(9.0, 2, ("a", "b"), 4, 1), False),
    ],
)
def test_a_look_is_another_if_anything_but_its_time_is(look, same):
    assert Look(1.0, 2, ("a", "b"), 4).is_of(look) is same


def test_a_look_of_before_arms_were_written_down_is_known_by_its_seeds():
    assert Look(1.0, 2).is_of(Look(9.0, 2, ("a", "b"), 4))
    assert not Look(1.0, 2).is_of(Look(9.0, 3, ("a", "b"), 4))
