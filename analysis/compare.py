"""Put several studies side by side: arms x data sets with verdicts, and whether rankings and gains agree.

Each study must be in the store. What is computed between studies is exploratory: intervals, no verdicts.

  python -m analysis.compare digits layout
  python -m analysis.compare digits layout cifar10-small --out side-by-side.html
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from analysis.figures.apart.side_by_side import side_by_side
from analysis.figures.base import Drawing, StudyFigure, as_files
from analysis.figures.drawing.palette import colors
from analysis.judging.across import Across, across
from analysis.page import across_words
from analysis.page.render import environment, now
from analysis.report import csv
from analysis.study import load_study
from experiments.cli.arguments import parse
from experiments.cli.main import OK, StopFlag, main
from experiments.cli.outputs import check_folder
from experiments.records.definition import LABEL
from rope_dit.durable import write_durably
from rope_dit.errors import check
from rope_dit.words import listed, printable

ENDINGS = (".html", ".md", ".csv")


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Which studies, and where to."""

    studies: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="STUDY ...")]
    """names of the studies; the baseline of the first is what gains are counted from"""
    uri: str = ""
    """tracking store; by default MLFLOW_TRACKING_URI, or mlflow.db in the current folder"""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: none)")] = None
    """file to write too: .html, .md with a picture beside it, or .csv with gains and rankings beside it"""
    plugins: str = ""
    """folder of your own files, where runs were made with one"""

    def __post_init__(self) -> None:
        for name in self.studies:
            check(re.fullmatch(LABEL, name) is not None, "STUDY", name, "1 to 80 of A-Z a-z 0-9 . _ -")
        if self.out is not None:
            check(self.out.suffix in ENDINGS, "out", self.out, f"a file ending in {listed(ENDINGS)}")


def command(args: list[str], stop: StopFlag) -> int:
    """Compare, and say it in Markdown; returns the exit code."""
    wanted = parse(CompareConfig, None, args, "python -m analysis.compare", __doc__)
    if wanted.out is not None:
        check_folder(wanted.out.parent, "--out")
    found = across([load_study(name, wanted.uri or None) for name in wanted.studies])
    print(_clean(markdown(found)), end="")
    if wanted.out is not None:
        for file, content in files(found, wanted.out).items():
            file.parent.mkdir(parents=True, exist_ok=True)
            write_durably(file, content)
            print(f"written {file}")
    return OK


def files(found: Across, out: Path) -> dict[Path, bytes]:
    """The files of a comparison whose first is `out`: see `CompareConfig.out`."""
    if out.suffix == ".csv":
        frames = {"": found.arms, "-gains": found.interactions, "-rankings": found.taus}
        named = {out.with_stem(out.stem + suffix): frame for suffix, frame in frames.items()}
        return {file: _clean(csv(frame)).encode() for file, frame in named.items()}
    if out.suffix == ".html":
        return {out: _clean(page(found)).encode()}
    drawing = drawn(found)
    picture = out.with_suffix(".png")
    return {out: _clean(markdown(found, drawing, picture.name)).encode(), picture: drawing.png}


def markdown(found: Across, drawing: Drawing | None = None, picture: str = "") -> str:
    """All that is said, as Markdown, with a link to the picture where there is one."""
    values = _values(found) | {"figure": drawing, "picture": picture}
    return re.sub(r"\n{3,}", "\n\n", environment().get_template("compare.md.j2").render(r=values))


def page(found: Across) -> str:
    """The same as a page that loads nothing from outside."""
    values = _values(found) | {"figure": drawn(found)}
    return environment().get_template("compare.html.j2").render(r=values)


def drawn(found: Across) -> Drawing:
    """The figure: a panel a study."""
    titles = {side.study.name: side.title for side in found.sides}
    made = side_by_side(found.arms, titles, list(found.names.values()))
    return as_files("side-by-side", StudyFigure(), made, across_words.caption(found))


def _values(found: Across) -> dict[str, Any]:
    return {
        "names": listed(side.study.name for side in found.sides),
        "made": f"{now():%d %B %Y, %H:%M} UTC",
        "mind": across_words.MIND,
        "facts": across_words.facts(found),
        "headlines": across_words.headlines(found),
        "arms": across_words.arms_table(found),
        "left_out": found.left_out,
        "rankings": across_words.rankings(found),
        "taus": across_words.taus_table(found),
        "interactions": across_words.interactions(found),
        "gains": across_words.interactions_table(found),
        "baseline": found.names[found.baseline],
        "palette": colors([*found.names.values()]),
    }


def _clean(text: str) -> str:
    """Text in which what would steer a terminal is written out."""
    return re.sub(r"[^\n\t]+", lambda line: printable(line[0]), text)


if __name__ == "__main__":
    main(command)
