"""The search of each arm's settings: its space, its rungs, and what it found.

What asks and tells Optuna about configurations may live here. Files here import what the coordinator may
import; of its own files only the entrance, `tune`, is imported by commands, and `tuned`, which reads what
was found.
"""
