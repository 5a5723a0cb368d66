"""What a trained model does about grids larger than its own, one file an item.

A new file that registers a class in `EXTRAPOLATIONS` is a new item. Files here import torch, the registry,
errors and each other: they know grids and numbers, and neither variants nor the model.
"""
