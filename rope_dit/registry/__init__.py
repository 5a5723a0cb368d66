"""Registries: a new variant, solver, grid, metric or data set is one new file in its folder.

A registry reads names, first lines, options, defaults and claims from the files' syntax trees, so that
`--help` and `--list` import nothing; a file is imported when its thing is built.

Results outlive the code, so a file says beside its name what has changed since the first results, in plain
values, for classes and functions alike:

    @POS_EMBEDS.register("rope2d", version=2, neutral={"scale": 1.0})

* `version`, 1 unless said, is raised when the numbers of something that ships change on purpose.
* `neutral` gives to each option that was added later the value that does what was done before it was there.

Files here import `errors` alone: nothing of torch, and nothing of what registers.
"""

from rope_dit.registry.entries import Entry
from rope_dit.registry.kinds import (
    AVERAGES,
    COUPLINGS,
    DENSITIES,
    EXTRAPOLATIONS,
    GRIDS,
    GUIDANCES,
    OBJECTIVES,
    OPTIMIZERS,
    POS_EMBEDS,
    POSITIONS,
    SCHEDULES,
    SOLVERS,
)
from rope_dit.registry.registry import PLUGINS, REGISTRIES, Registry, add_plugins
from rope_dit.registry.specs import Option, Part, Text, Value, show, slug

__all__ = [
    "AVERAGES",
    "COUPLINGS",
    "DENSITIES",
    "EXTRAPOLATIONS",
    "GRIDS",
    "GUIDANCES",
    "OBJECTIVES",
    "OPTIMIZERS",
]
__all__ += ["PLUGINS", "POSITIONS", "POS_EMBEDS", "REGISTRIES", "SCHEDULES", "SOLVERS", "Entry", "Option"]
__all__ += ["Part", "Registry", "Text", "Value", "add_plugins", "show", "slug"]
