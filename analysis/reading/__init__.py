"""What lies in the tracking store, as it lies there: the client, files of runs, seals.

Files here import `experiments.cli`, `experiments.records` and each other; `analysis.load` makes frames of it.
"""
