"""AdamW against Muon on the matrices of the blocks (K. Jordan, 2024), on digits.

  python -m experiments.study optimizers

Cost: 6 runs, 8 minutes on 2 CPU cores.
Expected: fd_digits, mean of 3 seeds and half-width of its 95 % interval: adamw 1.18 +- 0.49, muon 0.330 +-
0.054, which is better (p = 0.019) and trains 0.72 times as many pictures a second. Neither was tuned.
"""

from experiments.config.study import study

STUDY = study(
    "digits",
    arms=("adamw=rope2d", "muon=rope2d;train.optimizer=muon"),
    seeds=3,
    eval={"every": 400, "every_n": 250},
)
