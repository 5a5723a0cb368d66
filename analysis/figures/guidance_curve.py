"""The whole curve of guidance, of which an endpoint sees one weight."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.base import FIGURES, Material, StudyFigure
from analysis.figures.drawing.palette import Palette, arm_colors, figure, note, sentence, style
from analysis.figures.drawing.parts import absent, is_lower, mean_lines, metric_label
from analysis.figures.examples.evidence import example_evidence
from analysis.study import endpoint_scores
from rope_dit.errors import UserError
from rope_dit.guidance.spec import GuidanceSpec


@FIGURES.register("guidance_curve")
class GuidanceCurve(StudyFigure):
    """Score against the weight of guidance, by arm."""

    title = "Score against guidance"
    section = "guidance"
    place = 10
    exploratory = True

    def caption(self, material: Material) -> str:
        """What the figure shows, for readers."""
        return (
            f"{material.metric} of the endpoint's sampler and average by weight of guidance (1 is none), "
            "mean over training seeds with 95 % bands. A guided step evaluates the network twice. Arms whose "
            "lines cross would rank otherwise at another weight."
        )

    def draw(self, material: Material) -> Figure | None:
        """Return the figure, or None where there is nothing to draw."""
        study = material.study
        frame = by_weight(endpoint_scores(study.scores, study.definition, "guidance"))
        if frame["weight"].nunique() < 2:
            return None
        return curves(frame, material.end.metric, study.arms, material.palette)

    def example(self) -> Material:
        """A study that is scored under three weights."""
        return example_evidence()


def by_weight(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores with columns weight and family: the guidance without its weight.

    No guidance is a point of every family. Guidances without a weight have no place on the curve, nor have
    those of plug-ins that are not here.
    """
    specs = {text: _split(text) for text in scores["guidance"].unique()}
    weight, family = ([specs[text][i] for text in scores["guidance"]] for i in (0, 1))
    frame = scores.assign(weight=pd.Series(weight, scores.index, dtype="float64"), family=family)
    frame = frame[frame["weight"].notna()]
    off = frame[frame["family"] == ""]
    families = [name for name in frame["family"].unique() if name]
    return pd.concat([frame[frame["family"] != ""], *(off.assign(family=name) for name in families)])


def curves(frame: pd.DataFrame, metric: str, arms: Sequence[str], palette: Palette = None) -> Figure:
    """A panel a family of guidances, a line an arm.

    Args:
        frame: what `by_weight` gave.
        metric: name of the score.
        arms: which arms there are.
        palette: colours by arm.
    """
    if frame.empty:
        return sentence("No scores under guidance.")
    families = [str(name) for name in frame["family"].unique()]
    with style():
        made = figure(2.6 + 3.8 * len(families), 4.0)
        for ax, family in zip(made.subplots(1, len(families), squeeze=False)[0], families, strict=True):
            own = frame[frame["family"] == family]
            mean_lines(ax, own, "weight", arm_colors(arms, palette), marker="o", markeredgewidth=0)
            ax.set(xlabel=f"weight of {family}", ylabel=metric_label(metric, is_lower(frame)))
        note(made, absent(frame, arms))
    return made


def _split(text: str) -> tuple[float, str]:
    """Weight of a guidance, and the rest of it; no rest where it is none."""
    try:
        spec = GuidanceSpec.parse(text)
    except UserError:  # of a plug-in that is not here
        return np.nan, ""
    options = dict(spec.options)
    if not isinstance(weight := options.pop("weight", None), (int, float)):
        return np.nan, ""
    if spec.is_off:
        return float(weight), ""
    everywhere = (options.get("begin"), options.get("end")) == (0, 1)
    rest = "" if everywhere else f" from t = {options.get('begin')} to {options.get('end')}"
    return float(weight), f"{spec.name}{rest}"
