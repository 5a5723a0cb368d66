"""How often verdicts and intervals are wrong and what they find, by simulation: `python -m analysis.rates`.

A file a question, which fills one table of docs/rates.md. Imports `analysis.stats` and `experiments.cli` only.
"""
