"""Pages about all that is registered, made of the files themselves, so that they say what the code says.

`pages.py` gives all files that `experiments.document` writes. Files here import `cli` and `config` of the
harness, the library and matplotlib; torch where something is computed.
"""
