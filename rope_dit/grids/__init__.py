"""Time grids, one file each: functions from a number of steps to steps + 1 times from 0 to 1, float64.

A new file that registers a function in `GRIDS` is a new grid. Files here import torch, the registry and
errors.
"""
