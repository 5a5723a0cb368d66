"""Couplings, one file each: which noise of a batch goes with which of its pictures.

A new file that registers a class in `COUPLINGS` is a new coupling. Files here import torch, the registry,
errors, randomness and each other, and SciPy.
"""
