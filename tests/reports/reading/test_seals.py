"""What a report says of a sealed study: what was changed, and which runs are not its own or elsewhere too."""

from dataclasses import replace
from pathlib import Path

import pytest
from report_pages import texts
from report_stores import (
    MADE_UP,
    copy_of,
    definition,
    made_up,
    redefine,
    run_id,
    study_in,
    uri_of,
    whole_copy,
)

from analysis.judging import looks
from analysis.judging.judge import judge
from analysis.page import provenance, words
from experiments.records.definition import Definition, Look
from experiments.records.mlflow_store import connect
from experiments.records.sealing.chain import FILE, LOOK, PLANNED, Chain, extended, head, write_chain
from experiments.records.sealing.fields import sealable
from experiments.records.stores.run_files import local_folder

PLANNED_AT = 1.78e9


def sealed(study: Definition) -> Definition:
    """The study as its coordinator would have sealed it, with one look at all of it."""
    arms = tuple(arm.label for arm in study.arms)
    look = Look(1.81e9, len(study.seeds), arms, len(arms) * len(study.seeds))
    planned = extended((), PLANNED, sealable(study), PLANNED_AT)
    return replace(study, looks=(look,), chain=extended(planned, LOOK, look.says(), look.time))


WANTED = sealed(definition({"learned": "learned", "rope2d": "rope2d"}, range(3), name=MADE_UP))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sealed")
    return made_up(folder, WANTED, lambda arm, seed: 20.0 + seed - (arm == "rope2d") * (2 + 0.1 * seed))


@pytest.fixture
def store(made, tmp_path):
    """A copy of the sealed study's store, to change."""
    return copy_of(made, tmp_path)


def resealed(made: Path, folder: Path, chain: Chain | None) -> tuple[Path, str]:
    """A copy of the store in which the run of rope2d, seed 1 has another chain or none, and that run's id."""
    store = whole_copy(made, folder)
    client, number = connect(uri_of(store)), run_id(store, "rope2d", 1, MADE_UP)
    there = local_folder(uri_of(store), client.get_run(number))
    (there / FILE).unlink()
    if chain is not None:
        write_chain(there, chain)
    return store, number


def test_a_sealed_study_says_since_when_and_gives_its_head(store):
    study = study_in(store, MADE_UP)
    assert (study.withheld, study.partial, list(study.others["why"])) == ("", False, [])
    page, text = texts(store, MADE_UP)
    said = f"planned 2026-05-28 20:26 UTC, before the first run; 2 links, head {head(WANTED.chain)[:12]}"
    assert said in page.text
    assert said in text
    assert len(judge(study)) == 1


def test_a_study_of_before_there_were_seals_keeps_its_verdict_and_is_called_not_sealed(tmp_path):
    study = definition({"learned": "learned", "rope2d": "rope2d"}, range(3))
    made_up(tmp_path, study, lambda arm, seed: 20.0 + seed - (arm == "rope2d") * (2 + 0.1 * seed))
    page, text = texts(tmp_path, MADE_UP)
    assert "not sealed: the study was begun by a version without seals" in page.text
    assert "not sealed" in text
    assert len(judge(study_in(tmp_path, MADE_UP))) == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"margin": 0.5}, "the study is not what was sealed: margin: sealed 0.02, now 0.5"),
        ({"seeds": (0, 2)}, "seeds: sealed 0 1 2, now 0 2"),
        ({"planned_seeds": 2}, "planned seeds: sealed 3, now 2"),
        ({"looks": ()}, "look 1: sealed seeds 3, arms learned rope2d, scored 6, replaced 0, now -"),
        ({"chain": WANTED.chain[1:], "looks": ()}, "the study's seal is broken: link 1 of 1, look, does not"),
    ],
    ids=["margin", "seeds", "planned", "look", "link"],
)
def test_no_verdict_is_drawn_from_a_definition_that_was_changed_in_the_store(store, change, says):
    redefine(store, MADE_UP, **change)
    study = study_in(store, MADE_UP)
    assert says in study.withheld
    assert judge(study) == []
    page, text = texts(store, MADE_UP)
    for said in (page.text, text, words.headline(study, [])):
        assert "Withheld" in said
        assert says.partition(":")[0] in said
    assert "better than" not in page.text + text


@pytest.mark.parametrize(
    ("chain", "why"),
    [
        (None, "begun outside of the study, which is sealed"),
        (
            sealed(replace(WANTED, margin=0.05, looks=(), chain=())).chain,
            "begun under another plan: margin: there 0.05, here 0.02",
        ),
        (
            extended(WANTED.chain, LOOK, {"seeds": "3"}, 1.82e9),
            "sealed by what the study lacks: look on 2027-09-03 19:33 UTC (seeds 3)",
        ),
    ],
    ids=["none", "other", "longer"],
)
def test_a_run_that_is_not_the_study_s_is_named_and_its_cell_is_missing(made, tmp_path, chain, why):
    store, number = resealed(made, tmp_path, chain)
    study = study_in(store, MADE_UP)
    assert study.partial
    cell = study.cells[(study.cells["arm"] == "rope2d") & (study.cells["seed"] == 1)]
    assert list(cell["state"]) == ["missing"]
    assert list(cell["message"]) == [f"not begun; run {number} is not its own: {why}"]
    assert f"Run {number} of rope2d, seed 1, is not used: {why}." in provenance.cautions(study)


def test_a_run_whose_seal_is_damaged_is_named(made, tmp_path):
    store, number = resealed(made, tmp_path, WANTED.chain)
    there = local_folder(uri_of(store), connect(uri_of(store)).get_run(number)) / FILE
    there.write_text(there.read_text().replace("0.02", "0.05"))
    [why] = study_in(store, MADE_UP).others["why"]
    assert why.startswith("seal.json was changed after it was written")


def test_runs_keep_the_seal_that_a_definition_has_lost(store):
    """As one of before there were seals, a study would keep its verdict."""
    redefine(store, MADE_UP, chain=(), looks=())
    study = study_in(store, MADE_UP)
    assert set(study.cells["state"]) == {"missing"}
    assert all(
        why.startswith("begun under a plan that the study does not know") for why in study.others["why"]
    )


def test_runs_that_began_before_the_plan_are_named(made, tmp_path):
    late = extended((), PLANNED, WANTED.chain[0].says, 1.85e9)
    look = WANTED.looks[0]
    chain = extended(late, LOOK, look.says(), look.time)
    store, _ = resealed(made, tmp_path, chain)
    redefine(store, MADE_UP, chain=chain)
    [why] = study_in(store, MADE_UP).others.query("arm == 'rope2d' and seed == 1")["why"]
    assert why == "begun 2027-01-15 08:00 UTC, before the study was planned"


def test_other_studies_of_the_store_with_the_same_runs_are_named(store):
    """As under another name with another margin, until a verdict comes out; made-up runs are alike."""
    assert study_in(store, MADE_UP).elsewhere == []
    arms = {"learned": "learned", "rope2d": "rope2d"}
    made_up(store, definition(arms, range(5), margin=0.5), lambda arm, seed: 20.0 + seed, name="second")
    [said] = study_in(store, MADE_UP).elsewhere
    assert said.startswith(
        "Study second of this store has runs of the same settings and seeds (learned and rope2d; 5 seeds "
        "planned, looks: 0, margin 50 % of the baseline's distance from the real floor)."
    )
    assert said in provenance.cautions(study_in(store, MADE_UP))
    assert "Study made-up of this store" in study_in(store, "second").elsewhere[0]


@pytest.mark.parametrize(
    ("look", "number"),
    [
        (WANTED.looks[0], 1),
        (replace(WANTED.looks[0], seeds=2), 2),
        (replace(WANTED.looks[0], arms=("learned",)), 2),
        (replace(WANTED.looks[0], scored=5), 2),
        (replace(WANTED.looks[0], replaced=1), 2),
    ],
)
def test_the_present_look_is_one_more_unless_it_is_the_last(store, look, number):
    redefine(store, MADE_UP, looks=(look,))
    assert len(looks.counted(study_in(store, MADE_UP))) == number
