"""One trained network is scored under every sampler, at the evaluations that each declares."""

import shutil
from pathlib import Path

from commands import SMOKE, call, finished_fixture, rows, work_elsewhere  # noqa: F401
from contract_grids import sampler_options

from rope_dit.registry import GRIDS, SOLVERS
from rope_dit.samplers.spec import SamplerSpec

CUSTOM = "euler:grid=custom,times=0/0.1/0.2/0.3/0.4/0.5/1"


def all_samplers() -> list[SamplerSpec]:
    """Each solver with few steps, one on each grid."""
    loose = {"dopri5": "dopri5:rtol=0.01,atol=0.01"}
    texts = [loose.get(name, f"{name}:steps=3") for name in SOLVERS.names()]
    texts += [
        f"heun:{','.join(sampler_options(grid.name))}" + ("" if "times" in grid.options else ",steps=3")
        for grid in GRIDS
    ]
    return [SamplerSpec.parse(text) for text in dict.fromkeys(texts)]


def test_a_run_is_scored_under_all_of_them_later(finished):
    run, samplers = Path(shutil.copytree(finished, "run")), all_samplers()
    done = call("evaluate", run, "--n", "50", "--samplers", *map(str, samplers))
    assert (done.code, done.err) == (0, "")
    nfe = {
        row["sampler"]: float(row["nfe"])
        for row in rows(run)
        if (row["n"], row["train_step"], row["metric"]) == ("50", "20", "fd_digits")
    }
    assert {str(sampler) for sampler in samplers} <= nfe.keys()
    for sampler in samplers:
        if sampler.nfe is not None:
            assert nfe[str(sampler)] == sampler.nfe
        else:
            assert nfe[str(sampler)] > 5


def test_a_run_with_times_of_its_own_is_tried_and_scored(tmp_path):
    done = call("run", *SMOKE, "--eval.samplers", CUSTOM, "--eval.n", "60", "--out", tmp_path / "run")
    assert (done.code, done.err) == (0, "")
    assert {float(row["nfe"]) for row in rows(tmp_path / "run")} == {6}
