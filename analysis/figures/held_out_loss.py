"""Where along the path an arm's velocity is better on pictures that were not trained on."""

from collections.abc import Callable, Sequence

import pandas as pd
from matplotlib.figure import Figure

from analysis import stats
from analysis.figures.base import FIGURES, Material, StudyFigure
from analysis.figures.drawing.palette import (
    INK,
    Palette,
    arm_colors,
    figure,
    label_ends,
    note,
    sentence,
    style,
)
from analysis.figures.drawing.parts import absent
from analysis.figures.examples.evidence import example_evidence
from analysis.judging.evidence import loss_by_t


@FIGURES.register("held_out_loss")
class HeldOutLoss(StudyFigure):
    """Held-out loss by tenth of t, as a difference from the baseline."""

    title = "Held-out loss by t"
    section = "evidence"
    place = 20
    exploratory = True

    def caption(self, material: Material) -> str:
        """What the figure shows, for readers."""
        baseline = material.study.definition.baseline
        return (
            f"Squared error of the velocity on held-out pictures by tenth of t (0 is noise, 1 is data), each "
            f"arm minus {baseline}, on the same pictures, times and noise; below 0 the arm is better. Bands "
            "are 95 % intervals over training seeds. A loss is not quality."
        )

    def draw(self, material: Material) -> Figure | None:
        """Return the figure, or None where there is nothing to draw."""
        study = material.study
        values, baseline = loss_by_t(study), study.definition.baseline
        if baseline not in {*values["arm"]} or values["arm"].nunique() < 2:
            return None
        return differences_by_t(values, baseline, study.arms, study.is_paired, material.palette)

    def example(self) -> Material:
        """A study with all measurements."""
        return example_evidence()


def differences_by_t(
    values: pd.DataFrame,
    baseline: str,
    arms: Sequence[str],
    paired: Callable[[str, str], bool],
    palette: Palette = None,
) -> Figure:
    """Difference of each arm from the baseline by t, with its interval.

    Args:
        values: columns arm, seed, t, value.
        baseline: the arm that the others are compared with.
        arms: which arms there are.
        paired: whether the seeds of two arms are paired, such as `Study.is_paired`.
        palette: colours by arm.
    """
    pairs = [(arm, baseline) for arm in arms if arm != baseline and arm in {*values["arm"]}]
    if not pairs:
        return sentence("No arm to compare by t.")
    rules = stats.Rules(paired=[pair for pair in pairs if paired(*pair)], margins={})
    at = {float(str(t)): {c.arm: c.difference for c in stats.compare(own, (), rules, pairs)}
          for t, own in values.groupby("t")}  # fmt: skip
    tints, times = arm_colors([arm for arm, _ in pairs], palette), list(at)
    with style():
        made = figure()
        ax = made.subplots()
        for arm in tints:
            line = [at[t][arm] for t in times]
            low, high = ([getattr(one, end) for one in line] for end in ("low", "high"))
            ax.fill_between(times, low, high, color=tints[arm], alpha=0.1, lw=0)
            ax.plot(times, [one.value for one in line], "o-", color=tints[arm])
        ax.axhline(0, color=INK, lw=1)
        ax.set(xlabel="t (0 noise, 1 data)", ylabel=f"held-out loss minus that of {baseline}", xlim=(0, 1))
        label_ends(ax, [(at[times[-1]][arm].value, arm, tint) for arm, tint in tints.items()])
        note(made, absent(values, arms))
    return made
