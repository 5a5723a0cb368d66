"""A study whose endpoint is better the higher it is: verdicts, words, tables and figures turn round."""

import re

import pytest

from analysis import report
from analysis.figures.base import draw
from analysis.figures.examples.study import example
from analysis.judging.judge import judge
from analysis.page.render import render


@pytest.fixture(scope="module", params=["lower", "higher"])
def made(request):
    """The same study with a distance and with a share, whose values rank the arms alike."""
    material = example(better=request.param, seeds=5)
    study = material.study
    return request.param, material, render(report.contents_of(study, material.curves, draw(material)), [])


@pytest.mark.slow
def test_both_rank_the_arms_alike(made):
    better, material, _ = made
    verdicts = {c.arm: c.verdict for c in judge(material.study)}
    assert verdicts == {"none": "better", "rope2d": "better"}
    means = material.study.endpoint().groupby("arm")["value"].mean()
    assert (means["rope2d"] > means["learned"]) == (better == "higher")


def test_the_report_says_which_way_is_better(made):
    better, _, texts = made
    title, arrow = {"lower": ("FD (digits)", "\u2193"), "higher": ("Recall (digits)", "\u2191")}[better]
    assert f"Primary endpoint: {title} ({better} is better)" in texts["report.md"]
    assert f"| {title} {arrow} |" in texts["report.md"]
    assert re.search(rf"rope2d is better than learned [a-z ]*[\d.]+: {re.escape(title)}", texts["index.html"])
    number = "lower" if better == "lower" else "higher"
    [said] = [line for line in texts["report.md"].splitlines() if "rope2d is better than learned by" in line]
    assert f" {number} (" in said
    assert "the arms keep the ranking" in texts["report.md"]


def test_figures_say_it_too(made):
    better, material, _ = made
    drawn = draw(material)
    side = {"lower": "left", "higher": "right"}[better]
    assert f"{side} of 0 the arm is better" in drawn["forest"].caption
    assert f"{better} is better" in drawn["steps"].caption
    for name in ("steps", "nfe", "samplers", "bias"):
        assert f"({better} is better)" in drawn[name].svg, name
    assert "Pareto front: rope2d" in drawn["nfe"].svg
