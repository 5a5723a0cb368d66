"""What the templates are given, and their rendering: the page, its Markdown and its LaTeX table."""

import base64
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from analysis import tables
from analysis.figures.base import Drawing
from analysis.figures.drawing.palette import colors
from analysis.judging.margin import nothing_learned, withheld
from analysis.numbers import NONE, metric_title, significant
from analysis.page import evidence, provenance, secondary, text_tables, words
from analysis.page.text_tables import Column, TextTable
from analysis.reading import seals
from analysis.stats import Comparison
from analysis.study import Study
from rope_dit.errors import UserError
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.words import listed

_HERE = Path(__file__).parent
_TEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        "\u00b1": r"$\pm$", NONE: "--", **{c: f"\\{c}" for c in "&%$#_{}"}}  # fmt: skip


@dataclass(frozen=True)
class Contents:
    """All that was computed for a report.

    Attributes:
        study: the study.
        compared: its comparisons; none while it is partial.
        main, samplers, stability, spreads, sizes, averages: see `analysis.tables`.
        evidence, best_guidance: see `analysis.judging`.
        figures: by name, in the order of their places.
        made: when, UTC.
    """

    study: Study
    compared: Sequence[Comparison]
    main: pd.DataFrame
    samplers: pd.DataFrame
    stability: pd.DataFrame
    spreads: pd.DataFrame
    sizes: pd.DataFrame
    averages: pd.DataFrame
    evidence: pd.DataFrame
    best_guidance: pd.DataFrame
    figures: Mapping[str, Drawing]
    made: datetime


def render(contents: Contents, files: Sequence[str]) -> dict[str, str]:
    """Return index.html, report.md and table.tex as text.

    Args:
        contents: what they say.
        files: names of the CSV files beside them.
    """
    r = _values(contents) | {"files": files}
    columns, rows = _tex_columns(r["scores"])
    return {
        "index.html": environment().get_template("page.html.j2").render(r=r),
        "report.md": re.sub(r"\n{3,}", "\n\n", environment().get_template("report.md.j2").render(r=r)),
        "table.tex": environment().get_template("table.tex.j2").render(r=r, columns=columns, rows=rows),
    }


def published() -> dict[str, Any]:
    """Published FID of CIFAR-10 models, with sources and what keeps them from comparing."""
    found: dict[str, Any] = json.loads((_HERE / "published.json").read_text())
    return found


def _values(c: Contents) -> dict[str, Any]:
    study, definition = c.study, c.study.definition
    return {
        **_identity(c),
        **_words(c),
        "evidence": _evidence(c) if len(c.evidence) else None,
        "best_guidance": secondary.best_guidance(c.best_guidance, study) if len(c.best_guidance) else None,
        "scores": text_tables.scores(study, c.main),
        "costs": text_tables.costs(c.main),
        "comparisons": text_tables.comparisons(c.compared),
        "samplers": text_tables.samplers(c.samplers, study),
        "stability": text_tables.stability(c.stability),
        "spreads": text_tables.spreads(c.spreads),
        "sizes": text_tables.sizes(c.sizes, study),
        "averages": text_tables.averages(c.averages, study),
        "cells": text_tables.cells(study),
        "groups": text_tables.groups(study),
        "machines": text_tables.machines(study),
        **(_published(study) if definition.data == "cifar10" else {"published": None}),
    }


def _evidence(c: Contents) -> dict[str, Any]:
    found, study = c.evidence, c.study
    return {
        "verdict": evidence.verdict(study, c.compared),
        "conclusion": evidence.conclusion(study, found),
        "means": evidence.means(found),
        "differences": evidence.differences(found, study),
        "grids": evidence.other_grids(found),
        "remarks": evidence.remarks(study, found),
        "baseline": study.definition.baseline,
    }


def _identity(c: Contents) -> dict[str, Any]:
    study, definition = c.study, c.study.definition
    return {
        "name": study.name,
        "made": f"{c.made:%d %B %Y, %H:%M} UTC",
        "end": definition.endpoint,
        "guidance": _guidance(definition.endpoint.guidance),
        "ema": definition.endpoint.ema,
        "metric": metric_title(
            definition.endpoint.metric, definition.endpoint.extractor, definition.endpoint.n
        ),
        "arms": study.arms,
        "palette": colors(study.arms),
        "seeds": len(definition.seeds),
        "seed_list": listed([str(seed) for seed in definition.seeds]),
        **{key: getattr(definition, key) for key in ("planned_seeds", "data", "sampling_seeds")},
        "margin": definition.margin_text,
        "devices": study.runs["device"].nunique(),
        "figures": c.figures,
        "partial": study.partial,
        "is_distance": tables.is_distance(study),
        "withheld": withheld(study),
        "seal": seals.words(definition),
    }


def _guidance(spec: str) -> str:
    try:
        return GuidanceSpec.parse(spec).short
    except UserError:  # of a plug-in that is not here
        return spec


def _words(c: Contents) -> dict[str, Any]:
    end = c.study.definition.endpoint
    return {
        "headline": words.headline(c.study, c.compared),
        "unfinished": words.unfinished(c.study) if c.study.partial else "",
        "nothing_learned": nothing_learned(c.study),
        "lost": words.lost(c.study),
        "lost_heading": words.lost_heading(c.study),
        "floor": words.floor(c.study),
        "below_floor": words.below_floor(c.study, c.main),
        "verdicts": list(zip(c.compared, words.verdicts(c.study, c.compared), strict=True)),
        "looks": words.looks(c.study, c.compared),
        "pairing": words.pairing(c.study, c.compared),
        "same_models": words.same_models(c.study),
        "cautions": provenance.cautions(c.study),
        "stability_words": words.stability(c.stability),
        "spread_words": words.spreads(c.spreads),
        "bias_words": words.bias(c.sizes, end.n, end.better),
    }


def _published(study: Study) -> dict[str, Any]:
    found, end = published(), study.definition.endpoint
    title = metric_title(end.metric, end.extractor, end.n)
    same = end.metric == "fid" and end.n == 50_000
    said = "This study's endpoint is the same measure."
    if not same:
        said = (
            f"This study's endpoint is {title} at n = {end.n:,}, which is another "
            "scale: its numbers must not be set beside these."
        )
    columns = [
        Column("Model", number=False), Column("Parameters, M"), Column("Classes", number=False),
        Column("Sampler", number=False), Column("NFE"), Column("Training", number=False),
        Column("FID", "lower"), Column("Source", number=False), Column("Mind", number=False),
    ]  # fmt: skip
    rows = [
        [
            row["model"],
            NONE if row["parameters_millions"] is None else significant(row["parameters_millions"], 3),
            {True: "given", False: "not given", None: NONE}[row["conditional"]],
            row["sampler"] or NONE, row["nfe"] or NONE, row["budget"] or NONE, f"{row['fid']:.2f}",
            row["source"], ", ".join(row["flags"]) or NONE,
        ]
        for row in sorted(found["rows"], key=lambda row: row["fid"])
    ]  # fmt: skip
    return {"published": found, "published_words": said, "published_table": TextTable(columns, rows)}


def _tex_columns(table: TextTable) -> tuple[list[Column], list[list[str]]]:
    """The main table without the columns that no paper's page is wide enough for."""
    kept = [i for i, column in enumerate(table.columns) if not column.wraps]
    return [table.columns[i] for i in kept], [[row[i] for i in kept] for row in table.rows]


def environment() -> jinja2.Environment:
    """Templates escape what comes from the store: in HTML by themselves, elsewhere by `md` and `tex`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"md": _markdown, "tex": _latex, "base64": _base64}
    return environment


def _markdown(text: object) -> str:
    plain = re.sub(r"([\\`*_{}\[\]|#!~$])", r"\\\1", " ".join(str(text).split()))
    return html.escape(plain, quote=False)  # not every reader takes a backslash before <


def _latex(text: object) -> str:
    return "".join(_TEX.get(c, c) for c in " ".join(str(text).split()))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def now() -> datetime:
    """The time, UTC."""
    return datetime.now(UTC)
