"""A sampler as text, as in `heun:steps=25,grid=shifted,shift=3`. Imports no torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rope_dit.errors import UserError, check
from rope_dit.registry import GRIDS, SOLVERS, Option, Part, Value, show, slug

if TYPE_CHECKING:
    from rope_dit.samplers.sampler import Sampler

STEPS, GRID = Option("steps", int, 50), Option("grid", str, "uniform")
TIMES = "times"
"""option of a grid whose values are its times: then there is no option `steps`"""


@dataclass(frozen=True)
class SamplerSpec:
    """A solver with its options, and for those that do not choose their own times the steps and the grid.

    >>> spec = SamplerSpec.parse("heun:steps=25")
    >>> str(spec), spec.slug, spec.family, spec.nfe
    ('heun:grid=uniform,steps=25', 'heun-25', 'heun', 50)
    >>> spec = SamplerSpec.parse("heun:grid=custom,times=0/.1/1")  # times that are given say their number
    >>> str(spec), spec.slug, spec.nfe
    ('heun:grid=custom,times=0/0.1/1', 'heun-2-custom-times0_0.1_1', 4)
    """

    solver: str
    solver_options: tuple[tuple[str, Value], ...]
    steps: int | None = None
    grid: str = ""
    grid_options: tuple[tuple[str, Value], ...] = ()

    @classmethod
    def parse(cls, text: str, *, stored: bool = False) -> "SamplerSpec":
        """Read a spec. Raises UserError for what is unknown, out of range, or without effect.

        Args:
            text: the spec.
            stored: it comes from a record, where options that it lacks are at their neutral values.
        """
        if "+" in text:
            raise UserError(f"sampler got '{text}', expected one solver; only variants are joined by '+'.")
        part = Part.parse(text)
        solver, given = SOLVERS[part.name], dict(part.options)
        if solver.claims.get("adaptive"):
            if useless := sorted({"steps", "grid"} & given.keys()):
                raise UserError(
                    f"{part.name} chooses its own times: '{useless[0]}' has no effect; remove it."
                )
            return cls(part.name, tuple(solver.resolve(part, stored=stored).items()))
        grid = GRIDS[given.get("grid", str(GRID.default))]
        more = {"grid": GRID, **grid.options} | ({} if TIMES in grid.options else {"steps": STEPS})
        if "steps" in given and "steps" not in more:
            raise UserError(f"grid {grid.name} has times of its own: 'steps' has no effect; remove it.")
        values = solver.resolve(part, more, stored=stored)
        own, its = (tuple((k, values[k]) for k in sorted(entry.options)) for entry in (solver, grid))
        if isinstance(times := values.get(TIMES), tuple):
            return cls(part.name, own, len(times) - 1, grid.name, its)
        steps = values["steps"]
        assert isinstance(steps, int)
        check(1 <= steps <= 100_000, f"{part.name}: option 'steps'", steps, "a whole number from 1 to 100000")
        return cls(part.name, own, steps, grid.name, its)

    def __str__(self) -> str:
        given = dict(self.solver_options + self.grid_options)
        if self.steps is not None:
            given |= {"grid": self.grid} | ({} if self.own_times else {"steps": self.steps})
        return str(Part(self.solver, tuple((k, show(v)) for k, v in sorted(given.items()))))

    @property
    def own_times(self) -> bool:
        """Whether the grid's times are given, and with them the number of steps."""
        return TIMES in dict(self.grid_options)

    @property
    def family(self) -> str:
        """Slug of everything but the steps: samplers of one family lie on one curve against NFE."""
        solver = {k: show(v) for k, v in self.solver_options if v != SOLVERS[self.solver].options[k].default}
        grid = {k: show(v) for k, v in self.grid_options if v != GRIDS[self.grid].options[k].default}
        times = "" if self.grid in ("", GRID.default) else "-" + slug(self.grid, grid)
        return slug(self.solver, solver) + times

    @property
    def slug(self) -> str:
        """Short unique name for files and metrics; options at their default are left out."""
        name, _, rest = self.family.partition("-")
        return "-".join(filter(None, [name, "" if self.steps is None else str(self.steps), rest]))

    @property
    def nfe(self) -> int | None:
        """Declared evaluations of the velocity, or None where the path decides."""
        claims = SOLVERS[self.solver].claims
        if self.steps is None or claims.get("evals_per_step") is None:
            return None
        return int(self.steps * claims["evals_per_step"] + claims.get("start_evals", 0))

    def build(self) -> "Sampler":
        """Import the solver and the grid and put them together."""
        from rope_dit.samplers.sampler import Sampler

        solver = SOLVERS.load(self.solver)(**dict(self.solver_options))
        times = GRIDS.load(self.grid or str(GRID.default))(self.steps or 1, **dict(self.grid_options))
        return Sampler(solver, times)
