"""Optimizers, one file each: from gradients to new weights, masked out where a step was bad.

A new file that registers a class in `OPTIMIZERS` is a new optimizer. Files here import torch, the registry,
`rope_dit.config`, errors and each other: they know weights by name, and not the model.
"""
