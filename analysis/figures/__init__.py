"""Figures of a report, one file each: a new file that registers one is all that a new figure takes.

They may import analysis's own files and `stats`, never `page`; notebooks import the functions that draw.
"""
