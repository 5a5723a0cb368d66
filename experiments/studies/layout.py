"""Ten positional embeddings on scenes whose class is a spatial relation: does 2D RoPE keep relations better?

  python -m experiments.study layout

Cost: 70 runs of 4 to 7 CPU minutes (two kinds of machine); under way.
Expected: of seed 0 none and learned are right in no scene, rope1d in 7 %, sincos2d in 16 %, rope2d in 19 %.
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
