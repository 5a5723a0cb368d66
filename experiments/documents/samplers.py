"""The page of what sampling is made of: solvers, time grids, guidances."""

import contextlib

import numpy as np

from experiments.documents.pictures import Picture, of_times
from experiments.documents.words import MADE, about, cell, linked, section, shipped, table
from rope_dit.errors import UserError
from rope_dit.registry import GRIDS, Entry
from rope_dit.samplers.spec import TIMES

STEPS = 10
PICTURE = "grids.png"
HEAD = f"""{MADE}

# Samplers

A sampler is a solver with its options, a number of steps and a time grid, `heun:steps=25,grid=shifted`; a
guidance, `cfg:weight=2`, changes the velocity that it follows. Samplers are compared at equal network
evaluations a picture (NFE)."""


def pictures() -> dict[str, Picture]:
    """Times of all grids, but of those that want to be measured first."""
    times = {}
    for entry in shipped("grids"):
        with contextlib.suppress(UserError):
            times[entry.name] = _times(entry)
    return {PICTURE: of_times(times)}


def _times(entry: Entry) -> np.ndarray:
    given = entry.options[TIMES].default if TIMES in entry.options else ()
    steps = len(given) - 1 if isinstance(given, tuple) and given else STEPS
    return np.asarray(GRIDS.bind(entry.name)(steps))


def page() -> str:
    """Solvers, grids and guidances, each in a table and one by one."""
    return "\n\n".join([HEAD, *_solvers(), *_grids(), *_guidances()]) + "\n"


def _solvers() -> list[str]:
    head = ("solver", "what it is", "order", "evaluations a step", "adaptive", "stochastic")
    rows = [(linked("samplers", e), cell(e.summary), *_solver(e)) for e in shipped("samplers")]
    return ["## Solvers", table(head, rows), *_sections("samplers")]


def _solver(entry: Entry) -> tuple[str, ...]:
    claims = entry.claims
    evals = str(claims.get("evals_per_step") or "as many as it needs")
    if start := claims.get("start_evals"):
        evals += f", and {start} at the start"
    yes = ("yes" if claims.get(claim) else "no" for claim in ("adaptive", "stochastic"))
    return (str(claims.get("order") or "-"), evals, *yes)


def _grids() -> list[str]:
    picture = f"![Times of each grid with {STEPS} steps]({PICTURE})"
    caption = f"Times of {STEPS} steps, with the options at their defaults. A measured one is not shown."
    return ["## Time grids", about("grids"), picture, caption, *_sections("grids")]


def _guidances() -> list[str]:
    head = ("guidance", "what it is", "evaluations where it acts", "needs the null class")
    rows = [
        (linked("guidances", e), cell(e.summary), str(e.claims.get("evals", 1)),
         "yes" if e.claims.get("needs_null_class") else "no")
        for e in shipped("guidances")
    ]  # fmt: skip
    return ["## Guidances", about("guidances"), table(head, rows), *_sections("guidances")]


def _sections(kind: str) -> list[str]:
    return [section(kind, entry) for entry in shipped(kind)]
