"""Averages of the weights, one file each: functions from a step to how far the average moves in it.

A new file that registers a function in `AVERAGES` is a new average. Files here import the registry,
`rope_dit.config` and errors.
"""
