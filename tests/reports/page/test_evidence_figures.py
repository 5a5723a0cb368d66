"""Figures of the evidence and of guidance show the numbers that they are drawn from."""

import numpy as np
import pandas as pd
import pytest

from analysis.figures.base import FIGURES, Material
from analysis.figures.evidence import scaled
from analysis.figures.examples.evidence import example_evidence
from analysis.figures.guidance_curve import by_weight
from analysis.judging.evidence import evidence, loss_by_t
from analysis.study import endpoint_scores


@pytest.fixture(scope="module")
def material() -> Material:
    return example_evidence()


def lines(figure, color: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Lines of one colour that have markers and more than one point."""
    found = [line for ax in figure.axes for line in ax.lines if line.get_color() == color]
    return [(line.get_xdata(), line.get_ydata()) for line in found if len(line.get_xdata()) > 1]


def test_better_is_right_whichever_way_is_better(material):
    found = evidence(material.study)
    rows = scaled(found).set_index(["title", "tokens", "extrapolation", "arm"])
    of = {(title, tokens): rows.loc[(title, tokens, how, "rope2d")]
          for title, tokens, how in [("Layout accuracy", "trained", "none"),
                                     ("Seam, off from real", "trained", "none"),
                                     ("Layout accuracy", "12x12", "pi")]}  # fmt: skip
    assert of["Layout accuracy", "trained"]["low"] > 0
    assert of["Layout accuracy", "12x12"]["low"] > 0
    assert of["Seam, off from real", "trained"]["high"] < 0
    [seam] = found[(found["metric"] == "seam") & (found["tokens"] == "trained")
                   & (found["arm"] == "rope2d")].to_dict("records")  # fmt: skip
    scale = [-seam[name] / seam["unit"] for name in ("difference", "difference_high", "difference_low")]
    assert [*of["Seam, off from real", "trained"]] == pytest.approx(scale)
    assert ("Layout found", "12x12", "pi", "rope2d") not in rows.index  # one stands for all there
    assert "learned" not in rows.index.get_level_values("arm")


def test_what_has_no_spread_or_interval_is_not_drawn(material):
    found = evidence(material.study)
    still = found.assign(unit=found["unit"].where(found["metric"] != "seam", 0.0))
    assert {*scaled(still)["title"]} == {*scaled(found)["title"]} - {"Seam, off from real"}
    assert scaled(evidence(example_evidence(seeds=1).study)).empty


def test_losses_by_t_are_paired_differences(material):
    values = loss_by_t(material.study)
    wide = values.pivot_table(index="t", columns=["arm", "seed"], values="value")
    apart = (wide["none"] - wide["learned"]).mean(axis=1)
    figure = FIGURES.load("held_out_loss")().draw(material)
    [(t, y)] = lines(figure, material.palette["none"])
    np.testing.assert_allclose(t, apart.index)
    np.testing.assert_allclose(y, apart)
    assert len(figure.axes[0].collections) == 2  # bands of both arms


def test_the_curve_goes_through_the_means_of_every_weight(material):
    study = material.study
    scores = endpoint_scores(study.scores, study.definition, "guidance")
    frame = by_weight(scores)
    means = frame[frame["arm"] == "none"].groupby("weight")["value"].mean()
    assert [*means.index] == [1, 2, 4]
    [(x, y)] = lines(FIGURES.load("guidance_curve")().draw(material), material.palette["none"])
    np.testing.assert_allclose(x, means.index)
    np.testing.assert_allclose(y, means)


def test_no_guidance_is_a_point_of_every_family():
    texts = ["cfg:begin=0,end=1,weight=1", "cfg:begin=0,end=1,weight=3", "cfg:begin=0.2,end=0.9,weight=3",
             "cfg_zero:weight=2", "of_a_plugin:strength=9"]  # fmt: skip
    scores = pd.DataFrame({"arm": "a", "guidance": texts, "value": range(5)})
    frame = by_weight(scores)
    families = {str(name): sorted(own["weight"]) for name, own in frame.groupby("family")}
    assert families["cfg"] == [1, 3]
    assert families["cfg from t = 0.2 to 0.9"] == [1, 3]
    assert all(weights[0] == 1 for weights in families.values())
    assert 4 not in {*frame["value"]}
