"""Objectives, one file each: what the network predicts, and in which space the loss is taken.

A new file that registers a class in `OBJECTIVES` is a new objective. Files here import torch, the registry,
errors and each other: they see tensors, and neither the model nor its training.
"""
