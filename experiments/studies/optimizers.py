"""AdamW against Muon on the matrices of the blocks (K. Jordan, 2024), on digits.

  python -m experiments.study optimizers

Cost: 6 runs; not yet run.
Expected: not yet run.
"""

from experiments.config.study import study

STUDY = study(
    "digits",
    arms=("adamw=rope2d", "muon=rope2d;train.optimizer=muon"),
    seeds=3,
    eval={"every": 400, "every_n": 250},
)
