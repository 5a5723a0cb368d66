"""Schedules, one file each: from the share of the training that is done to that of the learning rate.

A new file that registers a function in `SCHEDULES` is a new schedule. Files here import the registry
and errors.
"""
