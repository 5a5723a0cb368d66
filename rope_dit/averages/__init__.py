"""Averages of the weights, one file each: functions from a step to how far the average moves in it.

A new file that registers a function in `AVERAGES` is a new average; `ema.py` keeps them. Files here import
the registry, errors and each other, and `ema.py` alone torch.
"""
