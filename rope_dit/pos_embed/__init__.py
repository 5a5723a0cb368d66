"""Positional embeddings, one file a variant; `base.py` says what a variant is, `compose.py` builds one from a spec."""
