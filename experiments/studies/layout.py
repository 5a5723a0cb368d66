"""Ten positional embeddings on scenes whose class is a spatial relation: does 2D RoPE keep relations better?

  python -m experiments.study layout

Cost: 70 runs of about 5 CPU minutes (Intel Xeon); under way.
Expected: of seed 0 the share of scenes that are right is 0 for none, shuffled and learned, 0.07 for rope1d,
0.10 for relative_bias, 0.16 to 0.19 for sincos2d, conv, rope2d and learned+rope2d, 0.31 for rope2d_mixed.
"""

from experiments.config.endpoint import EndpointConfig
from experiments.config.study import study

STUDY = study(
    "layout",
    variants=(
        *("none", "learned", "sincos2d", "rope1d", "rope2d", "rope2d_mixed", "learned+rope2d"),
        *("relative_bias", "conv", "shuffled"),
    ),
    confirm=("rope2d",),
    margin=0.02,
    margin_unit="absolute",
    endpoint=EndpointConfig(metric="layout_accuracy"),
)
