"""Positional embeddings, one file a variant: `base.py` says what that is, `compose.py` builds from a spec."""
