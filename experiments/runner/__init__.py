"""One run, from settings to its last score: checked, trained, scored, gone on with after a kill.

What needs exactly one run may live here, on one process or on the ranks of torchrun. Files here import
`rope_dit` and the rooms up to `scoring`; they know nothing of studies.
"""
