"""Four positional embeddings on handwritten digits (8x8).

  python -m experiments.study digits

Cost: 28 runs, 20 minutes on 2 CPU cores (38 CPU minutes, AMD EPYC, Zen 4).
Expected: fd_digits, mean of 7 seeds and half-width of its 95 % interval: learned 0.76 +- 0.07, rope1d
0.82 +- 0.10, rope2d 0.98 +- 0.17, none 12.53 +- 0.21; against learned, none (adjusted p < 0.001) and rope2d
(0.022) are worse and rope1d (0.154) is inconclusive. On 4 x 4 tokens: nothing follows for larger grids.
"""

from experiments.config.study import study
from experiments.config.tuning import Range

STUDY = study("digits", eval={"every": 400, "every_n": 250, "n": (1000, 500, 250)})
SPACE = {
    "train.lr": Range(3e-4, 1e-2, log=True),
    "train.weight_decay": Range(1e-3, 0.3, log=True),
    "theta": Range(10, 10_000, log=True),
}
