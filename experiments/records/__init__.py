"""What stays of runs and studies: run folders, scores, definitions, and their mirror in MLflow.

Formats of files and what reads and writes them may live here, nothing that trains or measures. Files here
import `rope_dit`, `cli` and `config`, never torch, also not indirectly, and mlflow only inside functions.
"""
