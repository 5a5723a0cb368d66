"""The secondary endpoint best_guidance as readers see it."""

import pandas as pd

from analysis.numbers import NONE, metric_title, plus_minus, significant
from analysis.page.text_tables import Column, TextTable
from analysis.study import Study
from rope_dit.errors import UserError
from rope_dit.guidance.spec import GuidanceSpec


def best_guidance(found: pd.DataFrame, study: Study) -> TextTable:
    """Each arm's choices, its cross-fitted score, and its difference from the baseline."""
    end = study.definition.endpoint
    title = metric_title(end.metric, end.extractor)
    several = len({average for _, average in study.definition.best_guidance}) > 1
    columns = [
        Column("Arm", number=False), Column("Chosen on even samplings", number=False),
        Column("on odd samplings", number=False), Column("NFE"), Column("Seeds"), Column(title, end.better),
        Column(f"minus {study.definition.baseline}"),
    ]  # fmt: skip
    rows = [
        [
            row["arm"],
            *(_choice(row[f"guidance_{half}"], row[f"average_{half}"], several) for half in ("even", "odd")),
            significant(row["nfe"], 3), str(row["seeds"]), plus_minus(row["mean"], row["half"]),
            plus_minus(row["difference"], (row["difference_high"] - row["difference_low"]) / 2)
            if row["reference"] else NONE,
        ]
        for row in found.to_dict("records")
    ]  # fmt: skip
    return TextTable(columns, rows, list(found["arm"]))


def _choice(guidance: str, average: str, several: bool) -> str:
    try:
        said = GuidanceSpec.parse(guidance).short
    except UserError:  # of a plug-in that is not here
        said = guidance
    return f"{said}, average {average}" if several else said
