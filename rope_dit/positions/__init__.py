"""Where tokens are, one file an item: bases (`index`, `centered`) and what moves tokens before or after them.

A new file that registers a class in `POSITIONS` is a new item of `model.positions`. Files here import torch,
the registry, errors and each other: they know grids and numbers, and neither variants nor the model.
"""
