"""Samplers as text: one text and one slug for one sampler, and one line for each mistake."""

import itertools
import re
import subprocess
import sys

import pytest
import torch
from contract_grids import sampler_options

from rope_dit.errors import UserError
from rope_dit.registry import GRIDS, SOLVERS, Entry, show
from rope_dit.samplers.spec import SamplerSpec


def settings(entry: Entry) -> list[list[str]]:
    """Options of a thing as written: none, and each number doubled."""
    changed = [
        [f"{o.name}={show(o.default * 2 or 0.5)}"] for o in entry.options.values() if o.type in (int, float)
    ]
    chosen = [
        [f"{o.name}={value}"] for o in entry.options.values() for value in o.choices if value != o.default
    ]
    lists = [["times=0/0.25/1"], ["times=" + show(tuple(i / 64 for i in range(65)))]]
    return [[], *changed, *chosen, *(lists if "times" in entry.options else [])]


def all_specs() -> list[str]:
    """Every solver with every grid, each with every option changed in turn, at three numbers of steps."""
    texts = []
    for solver in SOLVERS:
        times: list[list[str]] = [[]]
        if not solver.claims.get("adaptive"):
            times = [
                [*steps, *sampler_options(grid.name), *options]
                for steps, grid in itertools.product((["steps=1"], ["steps=25"], []), GRIDS)
                for options in settings(grid)
                if not (steps and "times" in grid.options)
            ]
        for options, more in itertools.product(settings(solver), times):
            texts.append(solver.name + (":" + ",".join(options + more) if options + more else ""))
    return texts


@pytest.mark.parametrize(
    ("text", "canonical", "slug", "family", "nfe"),
    [
        ("euler", "euler:grid=uniform,steps=50", "euler-50", "euler", 50),
        ("heun:steps=25", "heun:grid=uniform,steps=25", "heun-25", "heun", 50),
        ("rk4:steps=012", "rk4:grid=uniform,steps=12", "rk4-12", "rk4", 48),
        (
            "heun:steps=25,grid=shifted,shift=3.0",
            "heun:grid=shifted,shift=3,steps=25",
            "heun-25-shifted",
            "heun-shifted",
            50,
        ),
        (
            "heun:shift=1.5,grid=shifted",
            "heun:grid=shifted,shift=1.5,steps=50",
            "heun-50-shifted-shift1.5",
            "heun-shifted-shift1.5",
            100,
        ),
        (
            "rk4:grid=custom,times=0/1e-1/.50/1",
            "rk4:grid=custom,times=0/0.1/0.5/1",
            "rk4-3-custom-times0_0.1_0.5_1",
            "rk4-custom-times0_0.1_0.5_1",
            12,
        ),
        ("dopri5", "dopri5:atol=0.0001,rtol=0.0001", "dopri5", "dopri5", None),
        ("dopri5:rtol=1e-3", "dopri5:atol=0.0001,rtol=0.001", "dopri5-rtol0.001", "dopri5-rtol0.001", None),
    ],
)
def test_text_slug_and_evaluations(text, canonical, slug, family, nfe):
    spec = SamplerSpec.parse(text)
    assert (str(spec), spec.slug, spec.family, spec.nfe) == (canonical, slug, family, nfe)


@pytest.mark.parametrize("text", all_specs())
def test_text_survives_a_round_trip_and_builds(text):
    spec = SamplerSpec.parse(text)
    assert SamplerSpec.parse(str(spec)) == spec
    assert str(SamplerSpec.parse(str(spec))) == str(spec)
    sampler = spec.build()
    assert type(sampler.solver) is SOLVERS.load(spec.solver)
    for key, value in spec.solver_options:
        assert getattr(sampler.solver, key) == value
    if spec.steps is not None:
        assert torch.equal(sampler.times, GRIDS.load(spec.grid)(spec.steps, **dict(spec.grid_options)))


def test_slugs_are_unique_and_usable_as_names_of_metrics_and_files():
    specs = {str(SamplerSpec.parse(text)): SamplerSpec.parse(text) for text in all_specs()}
    assert len(specs) == len(all_specs())
    slugs = [spec.slug for spec in specs.values()]
    assert len(set(slugs)) == len(slugs)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,80}", slug) for slug in slugs)


def test_a_family_leaves_out_the_steps_and_nothing_else():
    by_family: dict[str, set[str]] = {}
    for text in all_specs():
        spec = SamplerSpec.parse(text)
        by_family.setdefault(spec.family, set()).add(re.sub(r"steps=\d+", "", str(spec)))
    assert all(len(rest) == 1 for rest in by_family.values())


@pytest.mark.parametrize(
    "other", ["heun:steps=50", "heun:grid=uniform", "heun:steps=050,grid=uniform", " heun "]
)
def test_equal_samplers_are_equal(other):
    assert SamplerSpec.parse(other) == SamplerSpec.parse("heun")
    assert hash(SamplerSpec.parse(other)) == hash(SamplerSpec.parse("heun"))


@pytest.mark.parametrize(("solver", "grid"), list(itertools.product(SOLVERS.names(), GRIDS.names())))
def test_no_option_of_a_grid_has_the_name_of_a_solvers(solver, grid):
    """They share one flat spec, in which one value would set both."""
    names = [*SOLVERS[solver].options, *GRIDS[grid].options, "steps", "grid"]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("huen", "unknown sampler 'huen'. Did you mean 'heun'?"),
        ("heun:step=5", "heun: unknown option 'step'; its options are: grid, steps. Did you mean 'steps'?"),
        ("heun:grid=shfted", "unknown grid 'shfted'. Did you mean 'shifted'?"),
        ("heun:grid=shifted,shfit=2", "Did you mean 'shift'?"),
        ("heun:shift=2", "unknown option 'shift'"),
        ("heun:steps=0", "heun: option 'steps' got 0, expected a whole number from 1 to 100000."),
        ("heun:steps=-1", "got -1, expected"),
        ("heun:steps=100001", "got 100001, expected"),
        ("heun:steps=1e3", "heun: option 'steps' got '1e3', expected"),
        ("heun:steps=2.0", "option 'steps' got '2.0', expected"),
        ("heun:steps=nan", "option 'steps' got 'nan', expected"),
        ("heun:steps=1_0", "option 'steps' got '1_0', expected"),
        ("heun:steps=", "expected key=value"),
        ("heun:steps=5,steps=6", "'steps' is given twice"),
        ("heun:grid=shifted,shift=nan", "option 'shift' got 'nan', expected"),
        ("heun:grid=custom,steps=2", "grid custom has times of its own: 'steps' has no effect; remove it."),
        ("heun:times=0/1", "heun: unknown option 'times'"),
        ("heun:grid=custom,times=0/x/1", "option 'times' got '0/x/1', expected numbers joined by '/'"),
        ("heun:grid=custom,times=0//1", "option 'times' got '0//1', expected numbers joined"),
        ("heun:grid=custom,times=0/1e999/1", "option 'times' got '0/1e999/1', expected numbers"),
        (
            "sde:schedule=cosine",
            "sde: option 'schedule' got 'cosine', expected one of linear, constant, sine",
        ),
        ("dopri5:steps=5", "dopri5 chooses its own times: 'steps' has no effect; remove it."),
        ("dopri5:grid=uniform,rtol=1e-3", "dopri5 chooses its own times: 'grid' has no effect"),
        ("dopri5:shift=2", "dopri5: unknown option 'shift'; its options are: atol, rtol."),
        ("dopri5:rtol=inf", "option 'rtol' got 'inf', expected"),
        ("heun+euler", "sampler got 'heun+euler', expected one solver"),
        ("", "expected letters"),
    ],
)
def test_mistakes_are_named_in_one_line(text, message):
    with pytest.raises(UserError) as caught:
        SamplerSpec.parse(text)
    assert message in str(caught.value)
    assert len(str(caught.value)) <= 200
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "dopri5:rtol=-1",
        "dopri5:atol=1e-12",
        "heun:grid=shifted,shift=0",
        "heun:grid=edm,sigma_min=90",
        "heun:grid=custom,times=0",
        "heun:grid=custom,times=0/0.5",
        "heun:grid=sharp,profile=0/0.5",
        "sde:scale=-1",
    ],
)
def test_values_that_only_the_file_can_judge_are_refused_when_built(text):
    with pytest.raises(UserError, match=r"option '\w+' got"):
        SamplerSpec.parse(text).build()


def test_parsing_imports_no_torch():
    code = (
        "import sys; from rope_dit.samplers.spec import SamplerSpec as S; "
        "s = S.parse('heun:grid=shifted'); str(s), s.slug, s.nfe; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
