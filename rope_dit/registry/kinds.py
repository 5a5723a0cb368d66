"""The registries of the library, one a factor; those of the harness and of reports stand there."""

from typing import Any

from rope_dit.registry.registry import Registry

POS_EMBEDS: Registry[Any] = Registry(
    "variant", "POS_EMBEDS", "rope_dit.pos_embed", joins=True, brief=True,
    shown=("relative", "sees", "symmetric", "extrapolates", "depends_on_t", "needs_grid"),
)  # fmt: skip
POSITIONS: Registry[Any] = Registry(
    "position", "POSITIONS", "rope_dit.positions", base="index", shown=("modifies",)
)
EXTRAPOLATIONS: Registry[Any] = Registry(
    "extrapolation", "EXTRAPOLATIONS", "rope_dit.extrapolations", base="none", shown=("acts_on", "modifies")
)
SOLVERS: Registry[Any] = Registry(
    "sampler", "SOLVERS", "rope_dit.samplers", shown=("order", "evals_per_step", "adaptive", "stochastic")
)
GRIDS: Registry[Any] = Registry("grid", "GRIDS", "rope_dit.grids")
OBJECTIVES: Registry[Any] = Registry("objective", "OBJECTIVES", "rope_dit.objectives")
DENSITIES: Registry[Any] = Registry(
    "density", "DENSITIES", "rope_dit.densities", "densities", base="uniform", shown=("modifies",)
)
COUPLINGS: Registry[Any] = Registry("coupling", "COUPLINGS", "rope_dit.couplings")
OPTIMIZERS: Registry[Any] = Registry("optimizer", "OPTIMIZERS", "rope_dit.optimizers")
SCHEDULES: Registry[Any] = Registry("schedule", "SCHEDULES", "rope_dit.schedules")
AVERAGES: Registry[Any] = Registry("average", "AVERAGES", "rope_dit.averages")
GUIDANCES: Registry[Any] = Registry(
    "guidance", "GUIDANCES", "rope_dit.guidance", shown=("evals", "needs_null_class", "needs_weak")
)
