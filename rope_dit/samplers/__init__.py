"""Solvers, one file each; `spec.py` reads a sampler from text, `base.py` says what a solver is."""
