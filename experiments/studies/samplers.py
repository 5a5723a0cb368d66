"""Samplers at equal numbers of network evaluations (NFE): Euler, midpoint, Heun and RK4 at 8, 16, 32 and 64.

  python -m experiments.study samplers

Cost: 14 runs, each scored under 16 samplers; not yet run.
Expected: not yet run.
"""

from experiments.config.study import study

EVALS = {"euler": 1, "midpoint": 2, "heun": 2, "rk4": 4}
STUDY = study(
    "digits",
    name="samplers",
    variants=("learned", "rope2d"),
    eval={
        "samplers": tuple(
            f"{solver}:steps={nfe // evals}" for nfe in (64, 32, 16, 8) for solver, evals in EVALS.items()
        )
    },
)
