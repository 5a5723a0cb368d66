"""A study as Optuna shows it: its database, which is made again from the run folders, and what stands in it.

Files here import what the coordinator may import, and each other.
"""
