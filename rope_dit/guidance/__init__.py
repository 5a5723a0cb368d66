"""Guidance, one file each: how a velocity is made of what a network says of some classes.

A new file that registers a class in `GUIDANCES` is a new guidance; `spec.py` reads one from text and imports
no torch. Files here import torch, the registry, errors, what a velocity is and each other:
they see a network as a function, and never the model.
"""
