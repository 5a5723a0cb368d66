"""Studies: many runs, each a process of its own, planned, started, watched, and told to MLflow and Optuna.

What must know several runs may live here; it reads run folders and never trains. Files here import `rope_dit`
and the rooms up to `runner`, and not `analysis`: the command hands in what writes the report.
"""
