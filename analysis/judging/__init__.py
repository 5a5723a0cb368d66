"""From a study and its scores to its verdicts: looks, margins, and which verdict stands.

Files here import `analysis.study`, `stats`, numbers and each other; what it is called in words is `page`'s.
"""
