"""Made-up studies that every figure is tried with, by formulas alone.

Files here import `judging` and what figures are given, but no figure.
"""
