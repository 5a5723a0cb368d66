"""Densities of training times, one file each: functions of random numbers to t in [0, 1].

A new file that registers a class in `DENSITIES` is a new density. Files here import torch, the registry,
errors, randomness and each other.
"""
