"""Solvers compared on a finished run: what is written, what is exact, and what is refused."""

import csv
import math

import pytest
from commands import call, copy_fixture, finished_fixture, work_elsewhere  # noqa: F401  fixtures

from analysis.figures.apart import convergence as drawing
from experiments.scoring.apart import convergence
from rope_dit.errors import UserError
from rope_dit.samplers.spec import SamplerSpec


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(convergence, "EXACT", SamplerSpec.parse("rk4:steps=40"))


def test_each_solver_has_its_distances_and_scores(copy, tmp_path):
    file = tmp_path / "new" / "points.csv"
    solvers = ("euler", "rk4", "dopri5", "euler_maruyama:churn=2")
    result = call("convergence", copy, "--out", file, "--nfe", 8, 160, "--n", 50, "--tolerances", 1e-2, 1e-4,
                  "--solvers", *solvers)  # fmt: skip
    assert (result.code, result.err) == (0, "")
    with file.open() as opened:
        rows = list(csv.DictReader(opened))
    found = {row["sampler"]: row for row in rows}
    assert len(found) == len(rows) == 8
    far, near = (float(found[f"euler:grid=uniform,steps={n}"]["rms"]) for n in (8, 160))
    assert 0 < near < far
    assert float(found["rk4:grid=uniform,steps=2"]["rms"]) > 0
    assert float(found["rk4:grid=uniform,steps=40"]["rms"]) == 0, "it is the exact solution itself"
    loose, tight = (found[f"dopri5:atol={tol},rtol={tol}"] for tol in ("0.01", "0.0001"))
    assert float(tight["nfe"]) > float(loose["nfe"])
    stochastic = found["euler_maruyama:churn=2,grid=uniform,steps=8"]
    assert math.isnan(float(stochastic["rms"]))
    assert float(stochastic["fd_digits"]) > 0
    figure = drawing.draw(drawing.read(file))
    left, right = figure.axes
    assert len(left.get_lines()) == 3
    assert [text.get_text() for text in right.get_legend().get_texts()] == [
        "dopri5", "euler", "euler_maruyama-churn2", "rk4",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--nfe", 3, "--solvers", "rk4"), "none of these solvers"),
        (("--nfe", 0), "numbers of at least 1"),
        (("--solvers", "eular"), "Did you mean 'euler'"),
        (("--solvers", "euler:steps=4"), "'steps' is given twice"),
    ],
)
def test_refusals(copy, tmp_path, args, words):
    result = call("convergence", copy, "--out", tmp_path / "points.csv", *args)
    assert result.code == 2
    assert words in result.err
    assert not (tmp_path / "points.csv").exists()


def test_other_tables_are_no_points(tmp_path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="no column solver"):
        drawing.read(tmp_path / "other.csv")
