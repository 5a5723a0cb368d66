"""What the noise of the evaluation adds to a score: two embeddings on digits, each network scored 4 times.

  python -m experiments.study sampling_noise
  python -m experiments.study sampling_noise --name sampling-noise-fixed --eval.fixed-noise

Cost: 12 runs each, 8 minutes on 2 CPU cores; the second trains the same networks and scores all of them with
the same four draws, so that networks and draws are crossed.
Expected: the variance of fd_digits between draws is twice that between networks of learned, and a difference
has none of it (analysis/results/sampling_noise).
"""

from experiments.config.study import study

STUDY = study(
    "digits",
    name="sampling-noise",
    variants=("learned", "rope2d"),
    seeds=6,
    eval={"samplers": ("euler:steps=50",), "sampling_seeds": 4},
)
