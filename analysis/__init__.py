"""What the store says of a study: frames, tables and the report on top; below statistics, figures and words.

It imports pandas, matplotlib and MLflow's client, of `experiments` only `cli` and `records`, and never torch.
"""

import experiments  # noqa: F401  answers a Ctrl-C while the rest is imported
