"""Write the report of a study: verdicts, tables, figures and where they come from, out of the tracking store.

Needs no GPU, no checkpoint and no run folder. The page opens from disk and loads nothing from outside.

  python -m analysis.report --study digits
  python -m analysis.report --study digits --uri http://tracking.example:5000 --out /tmp/reports
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis import load, tables
from analysis.figures.attention import attention_seen
from analysis.figures.base import FIGURES, Drawing, Material, draw
from analysis.figures.samples import sample_pictures
from analysis.judging.best_guidance import best_guidance
from analysis.judging.evidence import evidence
from analysis.judging.judge import judge
from analysis.page import earlier, provenance, words
from analysis.page.render import Contents, now, render
from analysis.study import Study, load_study
from experiments.cli.arguments import parse
from experiments.cli.main import OK, StopFlag, main, one_line
from experiments.cli.outputs import check_folder
from experiments.cli.plugins import plugin_errors
from experiments.records.definition import LABEL
from rope_dit.durable import write_durably
from rope_dit.errors import check
from rope_dit.words import printable

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # with which a spreadsheet takes a cell for a formula


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Which study, and where to."""

    study: str
    """name of the study"""
    uri: str = ""
    """tracking store; by default MLFLOW_TRACKING_URI, or mlflow.db in the current folder"""
    out: Path = Path("reports")
    """folder of reports"""
    plugins: str = ""
    """folder of your own files that register figures, and whatever runs were made with"""

    def __post_init__(self) -> None:
        ok = re.fullmatch(LABEL, self.study) is not None  # it names a folder
        check(ok, "study", self.study, "1 to 80 of A-Z a-z 0-9 . _ -, not starting with a dot")


def command(args: list[str], stop: StopFlag) -> int:
    """Write the report and say where it is; returns the exit code."""
    wanted = parse(ReportConfig, None, args, "python -m analysis.report", __doc__)
    check_folder(wanted.out / wanted.study, "--out")  # before anything takes time
    contents = compute(wanted.study, wanted.uri or None)
    page = write(contents, wanted.out / wanted.study)
    print(one_line(words.headline(contents.study, contents.compared), 2000))
    for line in (*words.verdicts(contents.study, contents.compared), *words.lost(contents.study)):
        print(f"  {one_line(line, 2000)}")
    print(f"page    {page}\ntext    {page.parent / 'report.md'}\nfigures {page.parent / 'figures'}")
    return OK


def write_report(name: str, uri: str | None, out: Path) -> Path:
    """Write the report of a study into `out`/NAME and return the path of its page.

    Raises:
        UserError: there is no such study, the store cannot be read (see `load_study`), a file is where
            the folder should be, or the report there has what this one would lack.
        OSError: the folder cannot be written.
    """
    check_folder(out / name, "--out")
    return write(compute(name, uri), out / name)


def compute(name: str, uri: str | None = None) -> Contents:
    """Read a study and compute all that its report says."""
    study, curves = load_study(name, uri), load.curves(name, uri)
    pictures, seed = sample_pictures(study, uri)
    material = Material(study, curves, judge(study), pictures, seed, attention_seen(study, uri, seed))
    with plugin_errors():
        drawings = draw(material)
    return contents_of(study, curves, drawings)


def contents_of(study: Study, curves: pd.DataFrame, drawings: Mapping[str, Drawing]) -> Contents:
    """All that a report says of a study, around figures that have been drawn."""
    return Contents(
        study=study,
        compared=judge(study),
        main=tables.main_table(study, curves),
        samplers=tables.sampler_table(study),
        stability=tables.stability_table(study),
        spreads=tables.spread_table(study),
        sizes=tables.infinity_table(study),
        averages=tables.average_table(study),
        evidence=evidence(study),
        best_guidance=best_guidance(study),
        figures=drawings,
        made=now(),
    )


def write(contents: Contents, folder: Path) -> Path:
    """Write a report's files into a folder, without those of an earlier one that are no longer true.

    Raises UserError where the earlier one has what this one would lack.
    """
    earlier.check_keeps(contents.study, folder)
    frames = dict(_frames(contents))
    texts = {name: csv(frame) for name, frame in frames.items()} | render(contents, sorted(frames))
    for name, text in texts.items():
        _put(folder / name, re.sub(r"[^\n\t]+", lambda line: printable(line[0]), text).encode())
    for name in FIGURES.names():
        drawing = contents.figures.get(name)
        for ending, content in {"png": drawing.png, "svg": drawing.svg.encode()}.items() if drawing else ():
            _put(folder / "figures" / f"{name}.{ending}", content)
        if not drawing:
            for ending in ("png", "svg"):
                (folder / "figures" / f"{name}.{ending}").unlink(missing_ok=True)
    _put(folder / earlier.FILE, earlier.record(contents.study).encode())
    return folder / "index.html"


def csv(frame: pd.DataFrame) -> str:
    """A frame as CSV; text that a spreadsheet would take for a formula begins with an apostrophe.

    >>> csv(pd.DataFrame({"arm": ["=1+1", "none"], "value": [-1.5, 2.0]}))
    "arm,value\\n'=1+1,-1.5\\nnone,2.0\\n"
    """
    safe = frame.copy()
    for column in safe.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in safe.dtypes]]:
        safe[column] = [
            f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
            for value in safe[column]
        ]
    return safe.to_csv(index=False, lineterminator="\n")


def _frames(contents: Contents) -> Iterator[tuple[str, pd.DataFrame]]:
    study = contents.study
    asked = {"evidence": contents.evidence, "best_guidance": contents.best_guidance}
    yield "main.csv", contents.main
    yield "endpoint.csv", tables.values(study)
    yield "comparisons.csv", tables.comparison_table(list(contents.compared))
    yield "samplers.csv", contents.samplers
    yield "ranking.csv", contents.stability
    yield "spreads.csv", contents.spreads
    yield "sizes.csv", contents.sizes
    yield "averages.csv", contents.averages
    yield from ((f"{name}.csv", table) for name, table in asked.items() if len(table))
    yield "scores.csv", study.scores
    yield "score_groups.csv", provenance.score_groups(study)
    yield "pairing.csv", study.pairing
    yield "runs.csv", _without_settings(study)


def _without_settings(study: Study) -> pd.DataFrame:
    """Runs with the settings in which they differ; what all share stands in each run's config.json."""
    runs = study.runs
    equal = [c for c in runs.columns if c.startswith("params.") and runs[c].nunique(dropna=False) == 1]
    return runs.drop(columns=equal)


def _put(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_durably(file, content)


if __name__ == "__main__":
    main(command)
