"""What any tracking store needs: URIs, a local store's artifacts, errors in one line. Imports no mlflow.

It imports `experiments.cli` and the library's errors alone, and nothing else of records.
"""
