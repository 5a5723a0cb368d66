"""The time grid `sharp` in a study: measured once, on the baseline of its first seed, and then frozen.

`profile.py` is the coordinator's part, `measure.py` a process of its own. Files here import what the
coordinator may import.
"""
