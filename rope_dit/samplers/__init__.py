"""Solvers, one file each; `spec.py` reads a sampler from text, `base.py` says what a solver is.

A new file that registers a class in `SOLVERS` is a new solver. Files here import torch, the registry,
errors and each other: they see a velocity, and never the model.
"""
