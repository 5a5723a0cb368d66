"""Nine objectives: what the network predicts, and where the loss is taken (JiT, arXiv:2511.13720), on digits.

  python -m experiments.study objectives

Cost: 27 runs; not yet run.
Expected: not yet run.
"""

from experiments.config.study import study

PREDICTED = ("velocity", "x", "noise")
STUDY = study(
    "digits",
    arms=tuple(f"{p}_{s}=rope2d;train.objective={p}:loss={s}" for p in PREDICTED for s in PREDICTED),
    seeds=3,
    eval={"every": 400, "every_n": 250},
)
