"""Sentences of reports of studies in memory: what pairing was worth, rankings, cells that are not done."""

import html
import math
import re
from dataclasses import replace

import pandas as pd
import pytest

from analysis import tables
from analysis.figures.examples.study import example
from analysis.figures.nfe import score_against_nfe
from analysis.judging.judge import judge
from analysis.page import text_tables, words
from analysis.page.render import render
from analysis.report import contents_of


def study_of(values):
    """A study of arms with these values of the endpoint, a list an arm; the first is the baseline."""
    study = example(tuple(values), len(next(iter(values.values())))).study
    told = [values[arm][seed] for arm, seed in zip(study.scores["arm"], study.scores["seed"], strict=True)]
    return replace(study, scores=study.scores.assign(value=told))


def pages_of(study):
    """Text of the page and of its Markdown."""
    made = render(contents_of(study, example().curves, {}), [])
    plain = re.sub(r"\s+", " ", re.sub(r"<style>.*</style>|<[^>]+>", "", made["index.html"], flags=re.DOTALL))
    return plain, re.sub(r"\\(.)", r"\1", made["report.md"])


SEEDS = [0.0, 0.3, 1.0, 0.6, 0.2]
BOTH = [*zip(SEEDS, [0.02, 0.01, 0.03, 0.0, 0.01], strict=True)]


@pytest.mark.parametrize(
    ("share", "says"),
    [(1, "Pairing was worth so many times as many seeds"),
     (0, "Pairing gained nothing that these seeds can tell"), (-1, "Pairing cost more than it gained")],
)  # fmt: skip
def test_what_pairing_was_worth_is_said_with_an_interval(share, says):
    """Seeds move both arms alike, only one of them, or the one against the other."""
    mine = {
        1: [one + two for one, two in BOTH],
        0: [0.3, 0.1, 0.9, 0.3, 0.5],
        -1: [two - one for one, two in BOTH],
    }
    study = study_of({"learned": [20 + one for one in SEEDS], "rope2d": [20 + one for one in mine[share]]})
    said = words.pairing(study, judge(study))
    assert said.startswith("The arms are paired: in every seed both saw the same inputs")
    [(value, low, high)] = re.findall(
        rf"{re.escape(says)}[^:]*: ([\d.,]+) \(([\d.,]+) to ([\d.,]+)\) for rope2d against learned\.$", said
    )
    value, low, high = (float(text.replace(",", "")) for text in (value, low, high))
    assert low <= value <= high
    assert said.count("airing ") == 1
    assert {1: low > 1, 0: low <= 1 <= high, -1: high < 1}[share]


def test_of_many_comparisons_the_least_and_the_largest_gain_are_said():
    arms = {f"arm{i}": [20 + one + (i + 1) * two for one, two in BOTH] for i in range(6)}
    study = study_of({"learned": [20 + one for one in SEEDS], **arms})
    said = words.pairing(study, judge(study))
    assert said.startswith("All comparisons are paired")
    assert re.search(
        r": from [\d,.]+ \(.*\) for arm5 against learned to [\d,.]+ \(.*\) for arm0 against", said
    )
    assert "arm3" not in said


def test_an_arm_that_saw_other_inputs_is_named_and_the_others_stay_paired():
    study = example().study
    apart = (study.runs["arm"] == "none") & (study.runs["seed"] == 1)
    study = replace(study, runs=study.runs.assign(inputs_sha256=study.runs["inputs_sha256"].mask(apart, "x")))
    said = words.pairing(study, [])
    assert "none and learned are not paired (training inputs differ in seed 1)" in said
    assert "The other comparisons are paired" in said
    runs = study.runs.assign(inputs_sha256="")
    assert "are paired:" not in words.pairing(replace(study, runs=runs), [])


def test_a_study_of_one_arm_says_nothing_of_pairing():
    study = example(("learned",)).study
    assert words.pairing(study, []) == ""
    assert "paired" not in pages_of(study)[1]


# Rankings


def ways(*rows):
    columns = ["what", "other", "nfe", "tau", "low", "high"]
    return pd.DataFrame([(what, other, 4.0, *ends) for what, other, *ends in rows], columns=columns)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (ways(), ""),
        (ways(("metric", "a", math.nan, math.nan, math.nan)), ""),
        (ways(("metric", "a", 1.0, 0.18, 1.0)), "(1 metric), the arms rank as at the endpoint beyond chance"),
        (ways(("metric", "a", 1.0, 0.3, 1), ("sampler", "b", 1.0, 0.2, 1), ("n", "c", 0.8, 0.4, 1)),
         "Scored in 3 other ways (1 metric, 1 sampler and 1 number of pictures), the arms rank as at the "
         "endpoint beyond chance in all of them."),
        (ways(("metric", "a", 1.0, 0.3, 1), ("metric", "b", 1.0, -0.2, 1), ("step", "c", 1.0, 0.4, 1)),
         "(2 metrics and 1 earlier step), the arms rank as at the endpoint beyond chance in 2 of them. "),
        (ways(("metric", "a", 1.0, 0.0, 1.0)), "as at the endpoint beyond chance in none of them."),
        (ways(("metric", "a", 1.0, math.nan, math.nan)), "one seed gives no interval and no proof."),
        (ways(("metric", "a", 0.33, -1, 1)), "tau 0.33 (95 % interval -1.00 to 1.00, which may be chance)"),
        (ways(("metric", "a", -1.0, -1, -0.2), ("metric", "b", 0.3, -0.5, 0.9)),
         "in none of them, and the other way round in 1 (a). The least alike is that by a: Kendall's tau "
         "-1.00 (95 % interval -1.00 to -0.20)."),
    ],
)  # fmt: skip
def test_rankings_are_alike_only_where_the_interval_excludes_0(table, says):
    said = words.stability(table)
    assert says in said if says else said == ""


@pytest.mark.parametrize(("seeds", "alike"), [(5, False), (6, True)])
def test_two_arms_need_six_seeds_to_be_ranked_alike(seeds, alike):
    """Of equal arms all seeds agree by chance once in 16 times with five seeds."""
    study = study_of({"learned": [20.0 + seed for seed in range(seeds)], "rope2d": [10.0] * seeds})
    said = words.stability(tables.stability_table(study))
    assert ("as at the endpoint beyond chance in all of them" in said) == alike
    assert [html.unescape(text).count(said) for text in pages_of(study)] == [1, 1]


# Cells that are not done, and captions


def states(study, **changed):
    """Other states of cells, by run id."""
    cells = study.cells
    state = [changed.get(cell.run_id.replace("-", "_"), cell.state) for cell in cells.itertuples()]
    message = ["" if one == "done" else "why" for one in state]
    return replace(study, cells=cells.assign(state=state, message=message))


def test_the_banner_says_what_became_of_the_cells():
    study = states(example().study, learned_0="failed", none_1="failed", rope2d_2="diverged")
    study = replace(study, scores=study.scores[study.scores["run_id"] != "none-1"])
    heading = "Of 9 cells 3 are not done: 1 failed after it was scored, 1 failed and 1 diverged."
    for text in pages_of(study):
        assert heading in text
        assert "learned, seed 0: failed after it was scored (why)" in text
        assert "none, seed 1: failed (why)" in text
        assert "rope2d, seed 2: diverged (why)" in text
        assert "Not all cells have a score" not in text


def test_one_cell_that_is_not_done_is_counted_as_one():
    assert words.lost_heading(states(example().study, none_1="missing")).endswith("1 is not done: 1 missing.")
    assert words.lost_heading(example().study) == ""


def test_the_headline_is_of_one_data_set_and_its_split():
    for text in pages_of(example().study):
        assert re.search(r"On digits and its split: .*(than|from) learned", text)


def held_out(study, floor=15.0, **changed):
    """Scores that were measured from held-out pictures, or were not."""
    columns = {"real_floor": floor, "held_out": 19.0 + study.scores["seed"], "held_out_floor": 2.5} | changed
    return replace(study, scores=study.scores.assign(**columns))


def test_a_distance_stands_beside_that_from_held_out_pictures():
    for text in pages_of(held_out(example().study)):
        assert "From held-out (floor)" in text
        assert text.count("20.0 \u00b1 2.5 (2.50)") == 3
        assert "copies of those would lie at it" in text
        assert "may be copies" not in text


def test_scores_that_were_not_measured_so_have_a_dash_also_where_one_seed_was_not():
    study = held_out(example().study)
    lacking = study.scores["held_out"].mask(study.scores["run_id"] == "none-1")
    row = tables.main_table(held_out(study, held_out=lacking), example().curves).set_index("arm")
    assert row["held_out"].notna().to_dict() == {"learned": True, "none": False, "rope2d": True}
    unmeasured = held_out(study, held_out=math.nan, held_out_floor=math.nan)
    assert "(2.5)" not in pages_of(unmeasured)[1]
    assert re.search(r"\| learned \| 3 of 3 \| [^|]+ \| [^|]+ \| \u2013 \|", pages_of(unmeasured)[1])


@pytest.mark.parametrize(
    ("better", "floor_n", "says"),
    [
        ("lower", pd.NA, "The real floor is what real pictures score at this n, an estimate."),
        (
            "lower",
            360,
            "The real floor is what real pictures score at this n, concluded from 360 held-out ones.",
        ),
        ("lower", 500, "The real floor is what as many held-out pictures score."),
        ("higher", 360, "The real floor is what real pictures score, of 360 held-out ones."),
    ],
)
def test_the_real_floor_says_of_how_many_pictures_it_is(better, floor_n, says):
    study = example(better=better).study
    scores = study.scores.assign(floor_n=pd.array([floor_n] * len(study.scores), dtype="Int64"))
    study = replace(study, scores=scores)
    assert study.definition.endpoint.n == 500
    for text in pages_of(study):
        assert says in text
    lacking = replace(study, scores=scores.assign(real_floor=math.nan))
    if floor_n is not pd.NA:
        assert "What real pictures would score at this n could not be told." in pages_of(lacking)[1]


def test_an_fid_of_fewer_pictures_than_those_of_papers_says_so_in_tables_and_figures():
    study = example().study
    end = replace(study.definition.endpoint, metric="fid", extractor="inception")
    of_fid = {"metric": "fid", "extractor": "inception"}
    study = replace(
        study, definition=replace(study.definition, endpoint=end), scores=study.scores.assign(**of_fid)
    )
    main = tables.main_table(study, example().curves)
    assert text_tables.scores(study, main).columns[2].title == "FID (n = 500)"
    made = score_against_nfe(tables.final_scores(study), "fid", study.arms)
    assert made.axes[0].get_ylabel() == "fid (n = 500) (lower is better)"


def test_another_metric_has_no_held_out_column_and_no_copies():
    study = held_out(example(better="higher").study, floor=99.0)
    for text in pages_of(study):
        assert "held-out" not in text
        assert "copies" not in text


@pytest.mark.parametrize(
    ("known", "says"),
    [(19.0, "from held-out pictures it is 19.0 away, and training pictures themselves are 2.50."),
     (math.nan, "its distance from held-out pictures was not measured.")],
)  # fmt: skip
def test_an_arm_below_the_real_floor_may_be_copies(known, says):
    study = held_out(example().study, floor=24.0, held_out=known)
    means = tables.main_table(study, example().curves).set_index("arm")["mean"]
    below = [arm for arm, mean in means.items() if mean < 24.0]
    assert 0 < len(below) < len(means)
    for text in pages_of(study):
        for arm in means.index:
            assert (f"FD (digits) of {arm} (" in text) == (arm in below)
        assert "lies below the real floor (24.0): its pictures may be copies of training pictures; " in text
        assert says in text


def test_intervals_of_means_are_called_normal_theory():
    for text in pages_of(example().study):
        assert text.count("normal-theory") >= 2
        assert "never narrower than so many seeds can tell" in text


def test_one_floor_is_one_text_in_every_row_however_sure_the_means_are():
    study = study_of({"learned": [20.0, 20.001, 19.999], "rope2d": [20.0, 45.0, 31.0]})
    scores = study.scores.assign(real_floor=0.2234)
    main = tables.main_table(replace(study, scores=scores), example().curves)
    table = text_tables.scores(replace(study, scores=scores), main)
    place = [column.title for column in table.columns].index("Real floor")
    assert [row[place] for row in table.rows] == ["0.223", "0.223"]
