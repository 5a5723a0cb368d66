"""Scores: pictures from a trained network, their features, and the metrics on them.

What makes a number out of weights may live here; when that is done is for the runner to say. Files here
import `rope_dit` and the rooms up to `datasets`.
"""
