"""RoPE-DiT: the library. Positional embeddings, flows and samplers for diffusion transformers.

Knows nothing of studies, trackers or reports, and imports neither `experiments` nor `analysis`.
Conventions, used everywhere:

* x0 is noise, x1 is data, t=0 is noise, t=1 is data; x_t = t*x1 + (1-t)*x0; the target is x1 - x0.
* Images are floats in [-1, 1] inside, uint8 outside. Tokens are row-major.
* Shape suffixes: B batch, C channels, T = h*w tokens, D width, H heads, K head width.
"""
