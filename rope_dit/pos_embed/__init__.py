"""Positional embeddings, one file a variant: `base.py` says what that is, `compose.py` builds from a spec.

A new file that registers a class in `POS_EMBEDS` is a new variant. Files here import torch, the registry,
errors, randomness, `rope_dit.positions` and each other: they know places and widths, and neither the model
nor its training.
"""
