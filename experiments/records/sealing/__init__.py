"""The seal of a study: the chain of hashes, and what of the study's definition it holds.

They import `experiments.config` and the definition; see docs/seals.md.
"""
