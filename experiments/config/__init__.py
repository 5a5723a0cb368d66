"""Settings: dataclasses of a run and of a study, presets, their text, and the identity that follows.

What is said before anything is done may live here: no device, no picture, no file of a run. Files here
import `rope_dit` and `cli`, and never torch, also not indirectly.
"""
