"""How often verdicts and intervals are wrong and what they find, by simulation: `python -m analysis.rates`.

A file a question, which fills a table of docs/rates.md. They import `analysis.stats` and `experiments.cli`.
"""
