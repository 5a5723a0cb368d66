"""Figures that are part of no study's report, one file each: of a command's tables, or of several studies.

They may import the palette and parts of figures, and of `experiments` what commands share.
"""
